"""Descriptors against their written definition, their Jacobian against automatic differentiation."""

import itertools
import math

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.families.panna.config import BpConfig, MbpConfig, NetworkConfig, PannaConfig
from panna_plus.families.panna.descriptors import angular_block_numbers, descriptor_from_config, neighbor_pairs
from panna_plus.families.panna.jacobian import descriptor_inputs, edge_jacobian, merged_images, touched_features
from panna_plus.families.panna.model import from_arrays, from_config
from panna_plus.graph import graph_from_atoms
from tests.geometries import cluster, crystal

ELEMENTS = ["H", "Cu", "O"]
MBP = MbpConfig(
    radial_cutoff=4.2, n_radial=3, radial_eta=3.0, angular_cutoff=3.4, n_angular=2, angular_eta=2.0, n_theta=3, zeta=5.0
)
BP = BpConfig(
    radial_cutoff=4.2, radial_eta=(1.0, 3.0), radial_centers=(1.5, 2.3), angular_cutoff=3.9,
    angular_eta=(0.02, 0.1), angular_zeta=(1.0, 4.0),
)  # fmt: skip
BOTH = pytest.mark.parametrize("config", [MBP, BP], ids=["mbp", "bp"])


def fc(r, cutoff):
    return 0.5 * (1 + math.cos(math.pi * r / cutoff)) if r < cutoff else 0.0


def mbp_radial(c, r):
    step = (c.radial_cutoff - c.radial_start) / c.n_radial
    centers = [c.radial_start + k * step for k in range(c.n_radial)]
    return [math.exp(-c.radial_eta * (r - center) ** 2) * fc(r, c.radial_cutoff) for center in centers]


def mbp_angular(c, d, e):
    r, s = np.linalg.norm(d), np.linalg.norm(e)
    cosine = float(d @ e / (r * s))
    step = (c.angular_cutoff - c.angular_start) / c.n_angular
    values = []
    for a in range(c.n_angular):
        gaussian = math.exp(-c.angular_eta * ((r + s) / 2 - c.angular_start - a * step) ** 2)
        for b in range(c.n_theta):
            theta = (b + 0.5) * math.pi / c.n_theta
            sine = math.sqrt(1 - cosine**2 + c.epsilon * math.sin(theta) ** 2)
            top = 1 + math.cos(theta) * cosine + math.sin(theta) * sine
            angle = (top / (1 + math.sqrt(1 + c.epsilon * math.sin(theta) ** 2))) ** c.zeta
            values.append(2 * angle * gaussian * fc(r, c.angular_cutoff) * fc(s, c.angular_cutoff))
    return values


def bp_radial(c, r):
    grid = itertools.product(c.radial_eta, c.radial_centers)
    return [math.exp(-eta * (r - center) ** 2) * fc(r, c.radial_cutoff) for eta, center in grid]


def bp_angular(c, d, e):
    r, s, t = (np.linalg.norm(x) for x in (d, e, d - e))
    cosine = float(d @ e / (r * s))
    cutoffs = fc(r, c.angular_cutoff) * fc(s, c.angular_cutoff) * fc(t, c.angular_cutoff)
    grid = itertools.product(c.angular_eta, c.angular_zeta, c.angular_lambda)
    return [
        2 * (0.5 * (1 + sign * cosine)) ** zeta * math.exp(-eta * (r * r + s * s + t * t)) * cutoffs
        for eta, zeta, sign in grid
    ]


def written_definition(config, graph, n_elements):
    """Evaluate the sums term by term."""
    radial, angular = (mbp_radial, mbp_angular) if config.type == "mbp" else (bp_radial, bp_angular)
    blocks = {pair: k for k, pair in enumerate(itertools.combinations_with_replacement(range(n_elements), 2))}
    features = []
    for atom in range(graph.n_atoms):
        mine = graph.centers == atom
        d, s = graph.displacements[mine].numpy(), graph.species[graph.neighbors[mine]].tolist()
        radial_sums = [np.zeros(len(radial(config, 1.0))) for _ in range(n_elements)]
        angular_sums = [np.zeros(len(angular(config, np.array([1.0, 0, 0]), np.array([0, 1.0, 0])))) for _ in blocks]
        for a in range(len(d)):
            radial_sums[s[a]] += radial(config, np.linalg.norm(d[a]))
            for b in range(a):
                angular_sums[blocks[tuple(sorted((s[a], s[b])))]] += angular(config, d[a], d[b])
        features.append(np.concatenate([*radial_sums, *angular_sums]))
    return np.array(features)


@BOTH
@pytest.mark.parametrize("structure", [cluster, crystal])
def test_features_equal_the_written_definition(config, structure):
    graph = graph_from_atoms(structure(ELEMENTS), ELEMENTS, 4.2)
    descriptor = descriptor_from_config(config, 3)
    features = descriptor(graph.displacements, graph.centers, graph.neighbors, graph.species).numpy()
    expected = written_definition(config, graph, 3)
    assert features.shape == expected.shape == (graph.n_atoms, descriptor.n_features)
    assert expected.max() > 0.1
    assert np.abs(features - expected).max() < 1e-12


def full_jacobian(descriptor, graph):
    """Return dG/d(displacement) of all pairs, (n_atoms, F, n_pairs, 3), by automatic differentiation."""

    def features(displacements):
        return descriptor(displacements, graph.centers, graph.neighbors, graph.species)

    return torch.autograd.functional.jacobian(features, graph.displacements)


@BOTH
@pytest.mark.parametrize("structure", [cluster, crystal])
def test_edge_jacobian_equals_automatic_differentiation(config, structure):
    graph = graph_from_atoms(structure(ELEMENTS, n=4), ELEMENTS, 4.2)
    descriptor = descriptor_from_config(config, 3)
    full, sparse = full_jacobian(descriptor, graph), edge_jacobian(descriptor, graph)
    touched = touched_features(descriptor)[graph.species[graph.neighbors]]
    found = torch.zeros_like(full)
    for edge in range(len(sparse)):
        found[graph.centers[edge], touched[edge], edge] = sparse[edge]
    assert full.abs().max() > 0.1
    assert (found - full).abs().max() < 1e-12


@BOTH
def test_merged_jacobian_equals_automatic_differentiation_by_positions(config):
    atoms = crystal(ELEMENTS)
    graph = graph_from_atoms(atoms, ELEMENTS, 4.2)
    descriptor = descriptor_from_config(config, 3)
    constant = graph.displacements - (
        torch.eye(5)[graph.neighbors] - torch.eye(5)[graph.centers]
    ).double() @ torch.tensor(atoms.positions)

    def features(positions):
        moved = positions[graph.neighbors] - positions[graph.centers] + constant
        return descriptor(moved, graph.centers, graph.neighbors, graph.species)

    full = torch.autograd.functional.jacobian(features, torch.tensor(atoms.positions))
    centers, neighbors, merged = merged_images(graph, edge_jacobian(descriptor, graph))
    touched = touched_features(descriptor)[graph.species[neighbors]]
    found = torch.zeros_like(full)
    for pair in range(len(merged)):
        found[centers[pair], touched[pair], neighbors[pair]] = merged[pair]
        found[centers[pair], touched[pair], centers[pair]] -= merged[pair]
    assert (centers != neighbors).all()
    assert (found - full).abs().max() < 1e-12


@BOTH
def test_strain_jacobian_equals_automatic_differentiation(config):
    graph = graph_from_atoms(crystal(ELEMENTS), ELEMENTS, 4.2)
    descriptor = descriptor_from_config(config, 3)
    full = torch.einsum("iflx,ly->ifxy", full_jacobian(descriptor, graph), graph.displacements)
    inputs = descriptor_inputs(descriptor, graph)
    expected = full[:, :, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    assert (full - full.transpose(2, 3)).abs().max() < 1e-11
    scale = expected.abs().max()
    assert (inputs.strain_jacobian - expected).abs().max() < 3e-7 * scale
    assert inputs.jacobian.dtype == inputs.strain_jacobian.dtype == torch.float32


def test_frames_without_a_volume_keep_no_strain_jacobian():
    inputs = descriptor_inputs(descriptor_from_config(MBP, 3), graph_from_atoms(cluster(ELEMENTS), ELEMENTS, 4.2))
    assert inputs.strain_jacobian.shape[0] == 0
    assert inputs.to("meta").jacobian.device.type == "meta"


@pytest.mark.parametrize("epsilon", [0.0, 1e-3])
def test_straight_chains_have_finite_gradients(epsilon):
    atoms = Atoms("OCuO", [[0, 0, -1.5], [0, 0, 0], [0, 0, 1.5]])
    graph = graph_from_atoms(atoms, ELEMENTS, 4.2)
    descriptor = descriptor_from_config(MBP.model_copy(update={"epsilon": epsilon}), 3)
    assert torch.isfinite(full_jacobian(descriptor, graph)).all()
    assert torch.isfinite(edge_jacobian(descriptor, graph)).all()


def test_angle_factor_reaches_exactly_one():
    descriptor = descriptor_from_config(MBP, 1)
    theta = descriptor.angular_theta
    best = torch.cos(theta) * torch.sqrt(1 + descriptor.angular_epsilon * torch.sin(theta) ** 2)
    assert torch.allclose(torch.diagonal(descriptor.angle_factor(best)), torch.ones(3).double(), atol=1e-14)
    assert descriptor.angle_factor(torch.linspace(-1, 1, 1001).double()).max() <= 1.0 + 1e-14


def test_blocks_are_numbered_row_by_row():
    assert angular_block_numbers(3).tolist() == [[0, 1, 2], [1, 3, 4], [2, 4, 5]]


def test_pairs_of_entries_with_one_center():
    a, b = neighbor_pairs(torch.tensor([0, 0, 0, 2, 5, 5]))
    assert list(zip(a.tolist(), b.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2), (4, 5)]
    assert neighbor_pairs(torch.tensor([], dtype=torch.int64))[0].numel() == 0


def small_potential(**options):
    return from_config(PannaConfig(descriptor=MBP, network=NetworkConfig(hidden=(4,)), **options), ELEMENTS, seed=1)


def test_imported_networks_keep_the_energy_of_a_lone_atom():
    potential = small_potential()
    with torch.no_grad():
        potential.networks[2][-1].bias.fill_(1.5)
    parameters = potential.family_parameters() | {"lone_atom": "network"}
    kept = from_arrays(ELEMENTS, parameters, potential.arrays())
    graph = graph_from_atoms(Atoms("O"), ELEMENTS, 4.2)
    assert potential.predict(graph).energies.tolist() == [0.0]
    value = potential.networks[2](torch.zeros(1, potential.descriptor.n_features)).item()
    assert kept.predict(graph).energies.item() == pytest.approx(value, abs=1e-12)
    assert value != 0.0


def test_seed_decides_the_weights():
    first, again, other = (
        from_config(PannaConfig(descriptor=MBP), ELEMENTS, seed).arrays()["element/Cu/layer/0/weight"]
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert not (first == other).any()


def test_both_precisions_start_from_the_same_numbers():
    single, double = small_potential(dtype="float32"), small_potential(dtype="float64")
    name = "element/Cu/layer/0/weight"
    assert single.arrays()[name].dtype == np.float32
    assert (single.arrays()[name] == double.arrays()[name].astype(np.float32)).all()


def test_features_are_standardised_by_element():
    potential = small_potential()
    graphs = [graph_from_atoms(s(ELEMENTS), ELEMENTS, 4.2) for s in (cluster, crystal)]
    inputs = [potential.prepare(g) for g in graphs]
    potential.initialize(inputs)
    features, species = (torch.cat([getattr(i, n) for i in inputs]) for n in ("features", "species"))
    for s in range(3):
        scaled = (features[species == s] - potential.feature_mean[s]) / potential.feature_scale[s]
        assert scaled.mean(dim=0).abs().max() < 1e-9
        deviation = scaled.std(dim=0, unbiased=False)
        assert deviation.max() <= 1.0 + 1e-9
        assert deviation.median() > 0.9
