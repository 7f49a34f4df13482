"""A model of a few hundred bytes and 16 atoms, on which an installation is tried; torch is not needed."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from panna_plus.model_file import FORMAT_VERSION, archive_bytes, write_atomically
from panna_plus.native import Engine, neighborhood_from_pairs
from panna_plus.neighbors import pair_list

ELEMENT = "Si"
CUTOFF = 4.0  # Å
N_RADIAL, N_ANGULAR, N_THETA = 4, 2, 2
N_HIDDEN = 4


def tiny_atoms() -> Atoms:
    """Return displaced silicon atoms in a sheared box, long enough to be cut in two."""
    atoms = bulk(ELEMENT, "diamond", 5.43, cubic=True) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array + np.array([[0, 0, 0], [0.4, 0, 0], [0, 0, 0]]), scale_atoms=True)
    atoms.positions += np.random.default_rng(1).normal(scale=0.1, size=atoms.positions.shape)
    return atoms


def write_tiny_model(folder: Path) -> Path:
    """Write the model into a folder and return its path. It has no TorchScript part, which nothing here reads."""
    about = io.BytesIO()
    with zipfile.ZipFile(about, "w") as archive:
        archive.writestr("tiny/about.txt", "random weights, for trying an installation")
    path = folder / "model.pt"
    write_atomically(path, archive_bytes(about.getvalue(), tiny_card(), tiny_arrays()))
    return path


def tiny_card() -> dict[str, Any]:
    """Return the card of a panna model with one hidden layer."""
    return {
        "format_version": FORMAT_VERSION,
        "family": "panna",
        "elements": [ELEMENT],
        "cutoff": CUTOFF,
        "reach": CUTOFF,
        "n_exchanges": 0,
        "units": {"length": "angstrom", "energy": "eV"},
        "family_parameters": {
            "descriptor": {"type": "mbp"},
            "activations": {ELEMENT: ["silu", "linear"]},
            "lone_atom": "reference",
        },
    }


def tiny_arrays() -> dict[str, np.ndarray]:
    """Return the arrays of the model: a fixed descriptor and fixed random weights."""
    random = np.random.default_rng(7)
    n_features = N_RADIAL + N_ANGULAR * N_THETA
    network = {
        "feature_mean": np.zeros(n_features),
        "feature_scale": np.ones(n_features),
        "layer/0/weight": random.normal(size=(N_HIDDEN, n_features)),
        "layer/0/bias": random.normal(size=N_HIDDEN),
        # Large, so that forces are of order 1 eV/Å.
        "layer/1/weight": random.normal(scale=20.0, size=(1, N_HIDDEN)),
        "layer/1/bias": random.normal(size=1),
    }
    return {
        "descriptor/radial/cutoff": np.array([CUTOFF]),
        "descriptor/radial/eta": np.full(N_RADIAL, 4.0),
        "descriptor/radial/centers": np.linspace(1.5, 3.5, N_RADIAL),
        "descriptor/angular/cutoff": np.array([CUTOFF]),
        "descriptor/angular/eta": np.full(N_ANGULAR, 2.0),
        "descriptor/angular/centers": np.linspace(2.0, 3.0, N_ANGULAR),
        "descriptor/angular/theta": (np.arange(N_THETA) + 0.5) * np.pi / N_THETA,
        "descriptor/angular/zeta": np.full(N_THETA, 4.0),
        "descriptor/angular/epsilon": np.array([1e-3]),
        "reference_energies": np.array([-1.0]),
        "shortest_distances": np.array([[1.0]]),
        **{f"element/{ELEMENT}/{name}": array for name, array in network.items()},
    }


def tiny_energy(model: Path, atoms: Atoms) -> tuple[float, str]:
    """Return the energy by the native engine, in eV, and the instruction set that it used."""
    engine = Engine(model)
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    neighborhood = neighborhood_from_pairs(atoms.positions, atoms.cell.array, *pairs)
    species = np.zeros(len(neighborhood.positions), dtype=np.int32)
    return engine.compute(neighborhood, species).energy, engine.kernels
