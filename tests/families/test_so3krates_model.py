"""What is particular to so3krates: reach, smoothness, switches, charge and spin, lone ions."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.calculator.torch_backend import described, rebuilt
from panna_plus.config import parse
from panna_plus.errors import ConfigError, DataError
from panna_plus.export import export_model, load_script
from panna_plus.families import build_potential
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.graph import AtomicGraph
from panna_plus.layers.pairs import Pairs, safe_distances
from panna_plus.layers.terms import TermsConfig
from panna_plus.potential import forces_of
from tests.geometries import assert_same, chain, cluster, crystal, graph_of, largest, moving, predict, rms_force

ELEMENTS = ["H", "C", "O"]
SMALL = {"cutoff": 4.0, "n_features": 24, "n_layers": 2, "n_heads": 2, "n_radial": 8, "energy_hidden": 12}
SMALL |= {"dtype": "float64", "radial_basis": "bernstein", "layer_norm_2": True}
CHARGED = {"charge_embedding": True, "spin_embedding": True}


def potential_of(elements=ELEMENTS, **options):
    """Return an untrained potential with forces of order 1 eV/Å."""
    potential = build_potential("so3krates", So3kratesConfig(**(SMALL | options)), elements, seed=3)
    graph = graph_of(potential, cluster(elements))
    potential.initialize([graph])
    potential.energy.outer.weight.data /= rms_force(potential.predict(graph))
    return potential.requires_grad_(False)


def with_state(atoms, **info):
    atoms = atoms.copy()
    atoms.info.update(info)
    return atoms


# Reach


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_energy_depends_on_atoms_as_far_as_the_layers_reach(n_layers):
    potential = potential_of(n_layers=n_layers)
    assert potential.reach == n_layers * 4.0
    assert potential.n_exchanges == n_layers - 1
    # 0.9 cutoffs apart: every layer passes what happened on to one more atom.
    atoms = chain(ELEMENTS, 7, 0.9 * 4.0)
    before = predict(potential, atoms).atomic_energies
    atoms.positions[6] += [0.15, 0.1, -0.1]
    changes = (predict(potential, atoms).atomic_energies - before).abs()
    assert changes[: 6 - n_layers].max() <= 1e-13
    assert changes[6 - n_layers :].min() > 1e-12


def test_molecules_apart_do_not_feel_each_other():
    potential = potential_of()
    first, second = cluster(ELEMENTS), cluster(ELEMENTS, n=7, seed=8)
    second.positions += [20.0, 0, 0]
    parts = [moving(predict(potential, a)) for a in (first, second)]
    both = predict(potential, first + second)
    assert largest(both.forces - torch.cat([p.forces for p in parts])) < 1e-12


# Smoothness


def curvatures(potential, offsets):
    """Return the second derivative of the energy along a path on which an atom crosses the cutoff of two others.

    Both keep further neighbors, so that nothing ends at an isolated atom.
    """
    base = np.array([[0, 0, 0], [1.4, 0.2, 0], [-0.3, 1.3, 0.4], [4.0, 0.1, 0.2], [5.1, 0.9, 0.1]])
    found = []
    for offset in offsets:
        positions = torch.tensor(base, requires_grad=True)
        step = torch.zeros(5, 3, dtype=torch.float64)
        step[3:, 0] = 1.0
        t = torch.tensor(offset, dtype=torch.float64, requires_grad=True)
        moved = positions + t * step
        i, j = (torch.tensor(k) for k in np.nonzero(~np.eye(5, dtype=bool)))
        energies = potential.atomic_energies(moved[j] - moved[i], i, j, torch.tensor([0, 1, 2, 1, 0]))
        (slope,) = torch.autograd.grad(energies.sum(), t, create_graph=True)
        found.append(float(torch.autograd.grad(slope, t)[0]))
    return np.array(found)


def crossing_offset():
    """Return the shift at which atoms 0 and 3 are one cutoff apart."""
    return math.sqrt(4.0**2 - 0.1**2 - 0.2**2) - 4.0


@pytest.mark.parametrize(("function", "is_smooth"), [("quintic", True), ("exponential", True), ("cosine", False)])
def test_second_derivative_is_continuous_at_the_cutoff(function, is_smooth):
    potential = potential_of(cutoff_function=function)
    crossing = crossing_offset()
    before, after = curvatures(potential, [crossing - 1e-6, crossing + 1e-6])
    around = curvatures(potential, [crossing - 0.1, crossing + 0.1])
    assert abs(around[1] - around[0]) > 1e-3
    assert (abs(after - before) < 1e-4) == is_smooth


def test_symmetric_site_has_finite_first_and_second_derivatives():
    # Vectors cancel in the middle of an octahedron: Euclidean variables of odd degrees are zero there.
    potential = potential_of()
    positions = np.concatenate([np.zeros((1, 3)), 1.6 * np.eye(3), -1.6 * np.eye(3)])
    graph = graph_of(potential, Atoms("CH6", positions))
    displacements = graph.displacements.requires_grad_(True)
    energies = potential.atomic_energies(displacements, graph.centers, graph.neighbors, graph.species)
    (gradient,) = torch.autograd.grad(energies.sum(), displacements, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), displacements)
    assert torch.isfinite(gradient).all() and torch.isfinite(second).all()
    assert largest(second) > 1e-3


def test_two_atoms_at_one_place_give_finite_numbers_without_the_repulsion():
    potential = potential_of(terms=TermsConfig(repulsion=False))
    prediction = predict(potential, Atoms("HCO", [[0, 0, 0], [0, 0, 0], [1.2, 0, 0]]))
    assert torch.isfinite(prediction.forces).all()


def test_first_attention_on_a_dimer_gives_vectors_of_known_length():
    potential = potential_of(["H"], n_layers=1)
    graph = graph_of(potential, Atoms("H2", [[0, 0, 0], [0.3, -0.9, 0.7]]))
    pairs = Pairs(safe_distances(graph.displacements), graph.centers, graph.neighbors)
    edges = potential.edges(pairs, graph.displacements, potential.envelope(pairs.distances))
    attention = potential.layers[0].attention
    x = potential.embedding(graph.species, graph.states)
    v = torch.zeros(2, 24, dtype=torch.float64)
    spherical = torch.zeros(2, 4, dtype=torch.float64)
    a2 = attention.vectors(x, spherical, edges, edges.envelopes[:, 1])
    _, v = attention(x, v, edges)
    for k, degree in enumerate((1, 2, 3, 4)):
        expected = math.sqrt(2 * degree + 1) / (4 * math.pi) * a2[:, k] ** 2
        assert largest(attention.invariants(v)[:, k] - expected) < 1e-15
    assert largest(a2) > 1e-4


# Switches


@pytest.mark.parametrize(
    "options",
    [
        {"degrees": [1]},
        {"degrees": [0, 2, 2, 4]},
        {"radial_basis": "physnet"},
        {"radial_basis": "bessel"},
        {"cutoff_function": "cosine"},
        {"cutoff_function": "exponential"},
        {"message_normalization": "features"},
        {"message_normalization": "none"},
        {"layer_norm_1": False},
        {"layer_norm_2": False},
        {"residual_mlp_1": False},
        {"residual_mlp_2": True},
        {"query_key_activation": "silu"},
        {"energy_activation": "linear"},
        {"n_heads": 1},
        {"n_layers": 1},
        {"terms": TermsConfig(repulsion=False)},
        {"terms": TermsConfig(electrostatics=True, long_range_cutoff=5.0)},
        {"terms": TermsConfig(dispersion=True, long_range_cutoff=5.0)},
    ],
    ids=str,
)
def test_every_switch_changes_the_energy_and_survives_a_file(options):
    atoms = chain(ELEMENTS, 3, 1.1)
    plain, potential = (potential_of(**o) for o in ({}, options))
    expected = moving(predict(potential, atoms))
    assert largest(expected.energies - predict(plain, atoms).energies) > 1e-6
    loaded = rebuilt(described(potential), "float64", torch.device("cpu"))
    assert loaded.config == potential.config
    assert_same(expected, predict(loaded, atoms), 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_features": 30}, "n_features: Input should be a multiple of 4"),
        ({"n_features": 32, "n_heads": 3}, "n_features must be a multiple of n_heads, found 32 and 3"),
        ({"degrees": [1, 2, 3]}, "n_features must be a multiple of the number of degrees, found 64 and 3"),
        ({"degrees": [2, 1]}, r"degrees must ascend, found \[2, 1\]"),
        ({"degrees": [5]}, "less than or equal to 4"),
        ({"terms": {"long_range_cutof": 9}}, "did you mean 'long_range_cutoff'"),
    ],
)
def test_impossible_shapes_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        parse(So3kratesConfig, options, "test")


def test_neighbors_are_counted_in_the_training_frames():
    potential = build_potential("so3krates", So3kratesConfig(**SMALL), ELEMENTS, seed=0)
    atoms = chain(ELEMENTS, 4, 1.9)  # ends see two others, the middle three
    frames = [with_state(atoms, charge=-1), with_state(atoms, spin=2, charge=1)]
    potential.initialize([graph_of(potential, a) for a in frames])
    assert potential.message_norms.tolist() == [2.5, 2.5]
    assert potential.charge_range.tolist() == [-1.0, 1.0]
    assert potential.spin_range.tolist() == [0.0, 2.0]


def test_weights_depend_on_the_seed_alone():
    potentials = [build_potential("so3krates", So3kratesConfig(**SMALL), ELEMENTS, seed=s) for s in (1, 1, 2)]
    first, same, other = (p.arrays() for p in potentials)
    assert all((first[name] == same[name]).all() for name in first)
    assert (first["embedding/elements/weight"] != other["embedding/elements/weight"]).all()


def test_float32_and_float64_start_from_the_same_weights():
    single, double = (
        build_potential("so3krates", So3kratesConfig(**(SMALL | {"dtype": d})), ELEMENTS, seed=1).arrays()
        for d in ("float32", "float64")
    )
    assert all(largest(single[name] - double[name]) < 1e-6 for name in single)
    assert single["energy/outer/weight"].dtype == np.float32


def test_names_of_arrays_are_those_of_the_format():
    """The names are part of docs/reference/model_file.md: changing one breaks every file there is."""
    options = {**CHARGED, "n_layers": 1, "residual_mlp_2": True}
    terms = TermsConfig(electrostatics=True, dispersion=True)
    found = set(potential_of(terms=terms, **options).arrays())
    dense = ["energy/inner", "energy/outer", "layers/0/exchange/linear"]
    dense += [f"terms/{t}/{p}" for t in ("charges", "ratios") for p in ("inner", "outer")]
    dense += [f"layers/0/residual_{n}/{p}" for n in (1, 2) for p in ("inner", "outer")]
    heads = [f"layers/0/attention/{part}" for part in ("features", "vectors")]
    dense += [f"{h}/filter/{k}_{p}" for h in heads for k in ("radial", "spherical") for p in ("inner", "outer")]
    expected = {
        f"{name}/{part}" for name in [*dense, "layers/0/norm_1", "layers/0/norm_2"] for part in ("weight", "bias")
    }
    expected |= {f"{h}/{k}/weight" for h in heads for k in ("query", "key")} | {"layers/0/attention/value/weight"}
    states = [f"embedding/{state}" for state in ("charge", "spin")]
    expected |= {f"{s}/{n}" for s in states for n in ("query/weight", "keys", "values", "inner/weight", "outer/weight")}
    expected |= {"embedding/elements/weight", "energy/scale/weight", "energy/shift/weight", "terms/charges/bias/weight"}
    expected |= {"terms/ratios/offset/weight", "terms/ratios/query/weight", "basis/decay"}
    expected |= {f"terms/repulsion/{n}" for n in ("exponents", "coefficients", "power", "screening", "end")}
    expected |= {f"terms/electrostatics/{n}" for n in ("width", "cutoff", "switch_start")}
    expected |= {
        f"terms/dispersion/{n}" for n in ("polarizabilities", "coefficients", "scale", "switch_start", "cutoff")
    }
    expected |= {"short_cutoff", "message_norms", "charge_range", "spin_range"}
    assert found == expected | {"reference_energies", "shortest_distances"}


# Charge and spin


@pytest.fixture(scope="module")
def charged():
    """A potential with both embeddings and partial charges, trained on charges -1 to 1 and up to two odd electrons."""
    terms = TermsConfig(electrostatics=True, dispersion=True, long_range_cutoff=7.0)
    potential = potential_of(**CHARGED, terms=terms)
    states = [{"charge": -1}, {"charge": 1, "spin": 2}]
    potential.initialize([graph_of(potential, with_state(cluster(ELEMENTS), **s)) for s in states])
    return potential


def test_charge_and_spin_change_the_energy_where_they_are_embedded(charged):
    energies = {}
    for charge in (-1, 0, 1):
        for spin in (0, 1, 2):
            atoms = with_state(cluster(ELEMENTS), charge=charge, spin=spin)
            prediction = predict(charged, atoms)
            energies[charge, spin] = float(prediction.energies)
            assert float(prediction.details["charges"].sum()) == pytest.approx(charge, abs=1e-12)
    values = np.array(list(energies.values()))
    assert np.abs(np.subtract.outer(values, values) + np.eye(9)).min() > 1e-5
    plain = potential_of()
    states = [{}, {"charge": 1}, {"spin": 1}]
    assert len({float(predict(plain, with_state(cluster(ELEMENTS), **s)).energies) for s in states}) == 1


def test_forces_of_an_ion_are_minus_the_slope_of_its_energy(charged):
    atoms = with_state(cluster(ELEMENTS), charge=1, spin=1)
    forces = moving(predict(charged, atoms)).forces.numpy()
    for atom, axis in ((0, 0), (4, 1), (8, 2)):
        energies = []
        for h in (1e-4, -1e-4):
            moved = atoms.copy()
            moved.positions[atom, axis] += h
            energies.append(float(predict(charged, moved).energies))
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / 2e-4, abs=1e-6)


def test_states_stay_with_their_frames_in_a_batch(charged):
    frames = [with_state(cluster(ELEMENTS), charge=q, spin=s) for q, s in ((1, 0), (0, 0), (-1, 2))]
    batch = charged.predict(graph_of(charged, *frames))
    singles = torch.cat([predict(charged, f).energies for f in frames])
    assert largest(batch.energies - singles) < 1e-11
    assert AtomicGraph.concatenate([graph_of(charged, f) for f in frames]).charges.tolist() == [1.0, 0.0, -1.0]


def test_neutral_lone_atom_has_its_reference_energy_and_an_ion_another(charged):
    charged.reference_energies.copy_(torch.tensor([-13.6, -1030.1, -2043.2]))
    for s, symbol in enumerate(ELEMENTS):
        energies = [float(predict(charged, with_state(Atoms(symbol), charge=q)).energies) for q in (0, 1)]
        assert energies[0] == float(charged.reference_energies[s])
        assert abs(energies[1] - energies[0]) > 1e-6


def test_parts_add_up_to_the_energies(charged):
    prediction = predict(charged, crystal(ELEMENTS))
    parts = [name for name in prediction.details if name.endswith("energies")]
    assert len(parts) == 4
    assert largest(sum(prediction.details[name] for name in parts) - prediction.atomic_energies) < 1e-12
    assert set(prediction.details) == set(charged.detail_names)


def test_spin_outside_the_training_is_refused_where_it_counts(charged):
    for spin, is_known in ((2, True), (3, False), (-1, False), (0.5, False)):
        graph = graph_of(charged, with_state(cluster(ELEMENTS), spin=spin))
        if is_known:
            charged.check(graph.charges, graph.spins)
        else:
            with pytest.raises(DataError, match=r"atoms.info\['spin'\]"):
                charged.check(graph.charges, graph.spins)
    potential_of().check(graph.charges, graph.spins)


def test_charges_are_kept_through_a_strain(charged):
    atoms = with_state(crystal(ELEMENTS), charge=1)
    prediction = predict(charged, atoms)
    step = 1e-5
    energies = []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array * (1 + sign * step), scale_atoms=True)
        energies.append(float(predict(charged, strained).energies))
    trace = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
    assert float(torch.trace(prediction.stress[0])) == pytest.approx(trace, abs=1e-6)


# Copies of atoms


def with_copies(potential, atoms, depth):
    """Return flat inputs in which periodic images up to `depth` Å are atoms of their own, and whom each copies."""
    reach = np.ceil(depth / np.abs(np.linalg.det(atoms.cell.array)) ** (1 / 3)).astype(int) + 1
    shifts = np.array(list(np.ndindex(*[2 * reach + 1] * 3))) - reach
    shifts = shifts[np.argsort((shifts != 0).any(axis=1), kind="stable")]
    positions = (atoms.positions[None] + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3)
    near = np.linalg.norm(positions[:, None] - atoms.positions[None], axis=-1).min(axis=1) < depth
    free = Atoms(np.tile(atoms.numbers, len(shifts))[near], positions[near])
    free.info.update(atoms.info)
    return graph_of(potential, free), np.tile(np.arange(len(atoms)), len(shifts))[near]


def test_copies_of_atoms_stand_for_periodic_images(tmp_path):
    terms = TermsConfig(electrostatics=True, dispersion=True, long_range_cutoff=5.0)
    potential = potential_of(**CHARGED, terms=terms, cutoff=3.0)
    atoms = with_state(crystal(ELEMENTS, n=4), charge=1, spin=2)
    # As if trained on such a frame: export evaluates the file, which refuses other spins.
    potential.spin_range[1] = 2
    expected = moving(predict(potential, atoms))
    graph, original = with_copies(potential, atoms, potential.reach)
    is_owned = torch.arange(graph.n_atoms) < len(atoms)
    export_model(potential, tmp_path / "model.pt", [graph_of(potential, atoms)])
    for module in (potential, load_script(tmp_path / "model.pt")):
        energies, gradient = module(
            graph.displacements, graph.centers, graph.neighbors, graph.species, *graph.states[:3], is_owned
        )
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, original, forces_of(gradient, graph.centers, graph.neighbors, graph.n_atoms).numpy())
        assert largest(energies[is_owned] - expected.atomic_energies) < 1e-10
        assert largest(forces - expected.forces.numpy()) < 1e-10
