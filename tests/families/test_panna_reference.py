"""The panna family against numbers of PANNA itself and of an independent implementation of its formulas."""

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read

from panna_plus.families.panna.config import MbpConfig
from panna_plus.families.panna.descriptors import descriptor_from_config
from panna_plus.families.panna.import_folder import import_folder
from panna_plus.families.panna.jacobian import edge_jacobian, merged_images, touched_features
from panna_plus.graph import graph_from_atoms

ELEMENTS = ["H", "C", "N", "O"]


@pytest.fixture(scope="module")
def folder(reference_folder):
    if not (reference_folder / "panna").is_dir():
        pytest.skip(f"no PANNA reference numbers in {reference_folder}")
    return reference_folder / "panna"


def example_descriptor(folder, epsilon):
    p = json.loads((folder / "parameters.json").read_text())
    config = MbpConfig(
        radial_cutoff=p["Rc_rad"], radial_start=p["Rs0_rad"], n_radial=p["RsN_rad"], radial_eta=p["eta_rad"],
        angular_cutoff=p["Rc_ang"], angular_start=p["Rs0_ang"], n_angular=p["RsN_ang"], angular_eta=p["eta_ang"],
        n_theta=p["ThetasN"], zeta=p["zeta"], epsilon=epsilon,
    )  # fmt: skip
    descriptor = descriptor_from_config(config, 4)
    assert np.allclose(descriptor.radial_centers, p["Rs_rad"], atol=1e-12)
    return descriptor


def dense_jacobian(descriptor, graph):
    """Return dG_i/dx_k, (n_atoms, F, n_atoms, 3), the center's own row included."""
    centers, neighbors, merged = merged_images(graph, edge_jacobian(descriptor, graph))
    touched = touched_features(descriptor)[graph.species[neighbors]]
    dense = torch.zeros(graph.n_atoms, descriptor.n_features, graph.n_atoms, 3, dtype=torch.float64)
    for pair in range(len(merged)):
        dense[centers[pair], touched[pair], neighbors[pair]] += merged[pair]
        dense[centers[pair], touched[pair], centers[pair]] -= merged[pair]
    return dense


@pytest.mark.parametrize(("suffix", "epsilon"), [("", 1e-2), ("_eps0", 0.0)])
@pytest.mark.parametrize("example", [1, 2, 3])
def test_descriptor_equals_the_arrays_of_panna(folder, example, suffix, epsilon):
    reference = np.load(folder / f"example_{example}{suffix}.npz")
    atoms = read(folder / f"example_{example}.extxyz")
    assert np.allclose(atoms.positions, reference["positions"], atol=1e-8)
    # The stored positions have all digits, and PANNA computed with them.
    atoms = Atoms(atoms.symbols, reference["positions"], cell=reference["cell"], pbc=True)
    descriptor = example_descriptor(folder, epsilon)
    graph = graph_from_atoms(atoms, ELEMENTS, descriptor.cutoff)
    assert graph.species.tolist() == reference["species"].tolist()
    features = descriptor(graph.displacements, graph.centers, graph.neighbors, graph.species).numpy()
    jacobian = dense_jacobian(descriptor, graph).numpy()
    assert np.abs(reference["gvects"]).max() > 0.5
    assert np.abs(features - reference["gvects"]).max() < 2e-7
    assert np.abs(jacobian - reference["dgvects"]).max() < 5e-7
    diagonal = np.arange(len(atoms))
    assert np.abs(reference["dgvects"][diagonal, :, diagonal]).max() > 0.5


def test_another_epsilon_misses_the_arrays_of_panna(folder):
    reference = np.load(folder / "example_2.npz")
    atoms = read(folder / "example_2.extxyz")
    descriptor = example_descriptor(folder, 1e-3)
    graph = graph_from_atoms(atoms, ELEMENTS, descriptor.cutoff)
    features = descriptor(graph.displacements, graph.centers, graph.neighbors, graph.species).numpy()
    assert np.abs(features - reference["gvects"]).max() > 1e-3


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("kind", ["mol", "periodic"])
def test_toy_potential_equals_the_computed_numbers(folder, kind, index):
    reference = np.load(folder / "toy_energy_forces.npz")
    imported = import_folder(folder / "toy_potential", epsilon=float(reference["epsilon"][index]))
    assert imported.notes == []
    assert imported.gversion == 0
    potential = imported.potential
    symbols = [str(reference["species_names"][s]) for s in reference[f"{kind}_species"]]
    cell = reference[f"{kind}_cell"]
    atoms = Atoms(symbols, reference[f"{kind}_positions"], cell=cell, pbc=kind == "periodic")
    graph = graph_from_atoms(atoms, potential.elements, potential.cutoff)

    def difference(found, name):
        return np.abs(np.asarray(found) - reference[f"{kind}_{name}"][index]).max()

    prediction = potential.double().predict(graph)
    features = potential.descriptor(graph.displacements, graph.centers, graph.neighbors, graph.species)
    _, gradient = potential(graph.displacements, graph.centers, graph.neighbors, graph.species)
    forces = reference[f"{kind}_forces"][index]
    assert np.abs(forces).max() > 0.1, "the reference must have forces worth a comparison"
    assert difference(features, "gvects") < 1e-10
    assert difference(prediction.energies[0], "energy") < 1e-10
    assert difference(prediction.atomic_energies, "atomic_energies") < 1e-10
    assert difference(prediction.forces, "forces") < 1e-10
    assert difference(graph.displacements.T @ gradient, "strain_derivative") < 1e-10
    if kind == "periodic":
        assert difference(prediction.stress[0] * atoms.get_volume(), "strain_derivative") < 1e-10
