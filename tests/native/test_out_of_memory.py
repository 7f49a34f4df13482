"""What the engine says when memory runs out, which only its C interface can provoke."""

import ctypes

import numpy as np
import pytest

from tests.native.c_interface import Neighborhood, Results, checked, engine_library, opened_model

# Rows whose forces no machine can hold: each thread wants an array of them, and threads share more than a few centers.
TOO_MANY = 2**45
N_CENTERS = 100


def test_atoms_pairs_and_bytes_are_named(model_path) -> None:
    engine = engine_library()
    positions = np.array([[3.0 * k, 0, 0] for k in range(N_CENTERS)])
    forces = np.zeros((N_CENTERS, 3))
    species, centers = np.zeros(N_CENTERS, np.int32), np.arange(N_CENTERS, dtype=np.int32)
    # Every atom has one neighbor, the next one, the last one has none.
    neighbors = np.arange(1, N_CENTERS, dtype=np.int32)
    counts = np.array([1] * len(neighbors) + [0], np.int32)
    rows = (neighbors.ctypes.data + 4 * np.arange(N_CENTERS)).astype(np.uint64)
    atoms = Neighborhood(
        n_atoms=TOO_MANY,
        positions=positions.ctypes.data,
        species=species.ctypes.data,
        n_centers=N_CENTERS,
        centers=centers.ctypes.data,
        n_neighbors=counts.ctypes.data,
        neighbors=rows.ctypes.data,
        neighbor_mask=-1,
        n_threads=2,
    )
    results = Results(forces=forces.ctypes.data)
    with opened_model(engine, model_path()) as model, pytest.raises(ValueError) as failure:
        checked(engine, engine.panna_plus_compute(model, ctypes.byref(atoms), ctypes.byref(results)))
    reason = str(failure.value)
    assert reason.startswith(
        f"out of memory: {N_CENTERS} atoms and {TOO_MANY - N_CENTERS} images with {N_CENTERS - 1} listed pairs, "
        "beside a model of "
    )
    assert "distribute the atoms over more processes" in reason
