"""What the engine says when memory runs out, which only its C interface can provoke."""

import ctypes

import numpy as np
import pytest

from panna_plus.native.library import library_path

# Rows whose forces no machine can hold: each thread wants an array of them, and threads share more than a few centers.
TOO_MANY = 2**45
N_CENTERS = 100


class Options(ctypes.Structure):
    """PannaPlusOptions, as far as it is set here."""

    _fields_ = (("precision", ctypes.c_int), ("rest", ctypes.c_char * 64))


class Neighborhood(ctypes.Structure):
    """PannaPlusNeighborhood, as far as it is set here."""

    _fields_ = (
        ("n_atoms", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("species", ctypes.c_void_p),
        ("n_centers", ctypes.c_int64),
        ("centers", ctypes.c_void_p),
        ("n_neighbors", ctypes.c_void_p),
        ("neighbors", ctypes.c_void_p),
        ("neighbor_mask", ctypes.c_int32),
        ("n_threads", ctypes.c_int32),
        ("rest", ctypes.c_char * 128),
    )


class Results(ctypes.Structure):
    """PannaPlusResults, as far as it is set here."""

    _fields_ = (
        ("energy_and_virial", ctypes.c_double * 7),
        ("atomic_energies", ctypes.c_void_p),
        ("forces", ctypes.c_void_p),
        ("rest", ctypes.c_char * 256),
    )


@pytest.fixture
def engine() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    library.panna_plus_last_error.restype = ctypes.c_char_p
    library.panna_plus_close.argtypes = (ctypes.c_void_p,)
    return library


def test_atoms_pairs_and_bytes_are_named(engine: ctypes.CDLL, model_path) -> None:
    model = ctypes.c_void_p()
    paths = (ctypes.c_char_p * 1)(str(model_path()).encode())
    assert engine.panna_plus_open(paths, 1, ctypes.byref(Options()), ctypes.byref(model)) == 0
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
    status = engine.panna_plus_compute(model, ctypes.byref(atoms), ctypes.byref(results))
    reason = engine.panna_plus_last_error().decode()
    engine.panna_plus_close(model)
    assert status == 1
    assert reason.startswith(
        f"out of memory: {N_CENTERS} atoms and {TOO_MANY - N_CENTERS} images with {N_CENTERS - 1} listed pairs, "
        "beside a model of "
    )
    assert "distribute the atoms over more processes" in reason
