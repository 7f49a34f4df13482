"""A small model with forces of order 1 eV/Å, and how calculators are tried on it."""

import io
import zipfile

import numpy as np
import torch
from ase import Atoms

from panna_plus.export import card_of, export_model
from panna_plus.families import build_potential
from panna_plus.families.panna.config import MbpConfig, NetworkConfig, PannaConfig
from panna_plus.model_file import archive_bytes
from tests.geometries import cluster, crystal, graph_of, predict, rms_force

ELEMENTS = ["H", "Cu"]
REFERENCE_ENERGIES = {"H": -13.25, "Cu": -1500.5}
CONFIG = PannaConfig(
    descriptor=MbpConfig(
        radial_cutoff=4.0, n_radial=5, radial_eta=2.0, angular_cutoff=3.2, n_angular=2, angular_eta=1.0, n_theta=3,
        zeta=3.0,
    ),
    network=NetworkConfig(hidden=(8,), activation="tanh"),
)  # fmt: skip


def small_potential(seed=3):
    """Return an untrained potential whose forces are of order 1 eV/Å."""
    potential = build_potential("panna", CONFIG, ELEMENTS, seed=seed)
    potential.initialize([potential.prepare(graph_of(potential, cluster(ELEMENTS), crystal(ELEMENTS)))])
    potential.reference_energies.copy_(torch.tensor([REFERENCE_ENERGIES[e] for e in ELEMENTS]))
    factor = 1.0 / rms_force(predict(potential, cluster(ELEMENTS)))
    for network in potential.networks:
        network[-1].weight.data *= factor
    return potential


def moving(atoms):
    """Make sure that the forces are worth a test, and return the atoms."""
    assert np.sqrt((atoms.get_forces() ** 2).mean()) > 0.1
    return atoms


def with_calculator(atoms, calculator):
    atoms.calc = calculator
    return atoms


def dimer(symbols, distance):
    return Atoms(symbols, [[0, 0, 0], [0, 0, distance]])


def guarded_potential():
    """Return the small potential with shortest training distances of 1.0, 1.5 and 2.0 Å."""
    potential = small_potential()
    potential.shortest_distances.copy_(torch.tensor([[1.0, 1.5], [1.5, 2.0]]))
    return potential


def write_unchecked(potential, path):
    """Write a model file without its TorchScript part, which takes seconds to make and which few tests look at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/version", "3\n")
    path.write_bytes(archive_bytes(buffer.getvalue(), card_of(potential), potential.arrays()))
    return path


def exported_small_model(path):
    """Export the small potential and return the path."""
    potential = small_potential()
    export_model(potential, path, [graph_of(potential, cluster(ELEMENTS))])
    return path
