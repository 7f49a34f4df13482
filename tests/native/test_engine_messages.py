"""The engine's Python side for models with messages: what it tells of them, what it is told, what it returns."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from panna_plus.errors import ModelFileError, NumericalError
from panna_plus.graph import graph_from_atoms, pair_list
from panna_plus.layers.terms import TermsConfig
from panna_plus.native import Engine, image_lists, neighborhood_from_pairs, neighborhood_of_displacements
from tests.geometries import cluster, crystal, largest, predict
from tests.native.systems import rms, species_of
from tests.small_so3krates import ELEMENTS, VARIANTS, small_so3krates

PARTS = ["network_energies", "repulsion_energies", "electrostatic_energies", "dispersion_energies"]


@pytest.fixture
def path(so3krates_path):
    """Path of the model with all terms."""
    return so3krates_path()


@pytest.fixture
def engine(path):
    return Engine(path)


def rows_of(engine, atoms):
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    rows = neighborhood_from_pairs(atoms.positions, atoms.cell.array, *pairs)
    return rows, species_of(atoms, engine)[rows.owners]


def folded(rows, forces):
    """Add the shares of images to those of their atoms."""
    result = np.zeros((int(rows.owners.max()) + 1, 3))
    np.add.at(result, rows.owners, forces)
    return result


@pytest.mark.parametrize("variant", VARIANTS)
def test_engine_describes_the_model(variant, so3krates_path):
    potential = small_so3krates(variant)
    engine = Engine(so3krates_path(variant))
    assert (engine.family, engine.elements) == ("so3krates", ELEMENTS)
    assert (engine.cutoff, engine.message_cutoff) == (potential.cutoff, float(potential.short_cutoff))
    assert (engine.reach, engine.n_exchanges) == (potential.reach, potential.n_exchanges)
    assert (engine.uses_charge, engine.uses_spin) == ("charge" in potential.info_keys, "spin" in potential.info_keys)
    assert sorted(engine.details) == sorted(potential.detail_names)


def test_details_are_given_where_they_are_asked_for(engine):
    rows, species = rows_of(engine, crystal(ELEMENTS))
    found = engine.compute(rows, species, details=[*PARTS, "charges"], total_charge=1.0)
    assert list(found.details) == [*PARTS, "charges"]
    parts = sum(found.details[name] for name in PARTS)
    assert parts == pytest.approx(found.atomic_energies, abs=1e-10)
    assert found.details["charges"][: len(rows.centers)].sum() == pytest.approx(1.0, abs=1e-12)
    assert not found.details["charges"][len(rows.centers) :].any()
    assert engine.compute(rows, species).details == {}
    with pytest.raises(NumericalError, match="models of the family so3krates give no 'age'"):
        engine.compute(rows, species, details=["age"])


def test_bound_engine_equals_rows(engine):
    atoms = crystal(ELEMENTS)
    rows, species = rows_of(engine, atoms)
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    bound = engine.bound_to(image_lists(len(atoms), *pairs), species_of(atoms, engine))
    options = {"details": engine.details, "total_charge": -1.0, "unpaired_electrons": 1.0}
    of_rows = engine.compute(rows, species, **options)
    found = bound.compute(atoms.positions, atoms.cell.array, **options)
    assert rms(found.forces) > 0.1
    assert found.forces == pytest.approx(folded(rows, of_rows.forces), abs=1e-12)
    assert found.virial == pytest.approx(of_rows.virial, abs=1e-11)
    for name in engine.details:
        assert found.details[name] == pytest.approx(of_rows.details[name][: len(atoms)], abs=1e-12), name


def test_pairs_without_positions_give_the_same(engine):
    atoms = crystal(ELEMENTS)
    rows, species = rows_of(engine, atoms)
    expected = engine.compute(rows, species)
    graph = graph_from_atoms(atoms, ELEMENTS, engine.cutoff)
    pairs = (graph.centers.numpy(), graph.neighbors.numpy(), graph.displacements.numpy())
    scattered = neighborhood_of_displacements(len(atoms), *pairs)
    found = engine.compute(scattered, species_of(atoms, engine)[scattered.owners])
    assert rms(folded(rows, expected.forces)) > 0.1
    assert found.energy == pytest.approx(expected.energy, abs=1e-11)
    assert folded(scattered, found.forces) == pytest.approx(folded(rows, expected.forces), abs=1e-11)


def test_rows_that_are_images_of_nothing_are_refused(engine):
    rows, species = rows_of(engine, crystal(ELEMENTS))
    owners = rows.owners.copy()
    owners[-1] = len(owners) - 2
    with pytest.raises(NumericalError, match="is no atom: owners must name rows"):
        engine.compute(replace(rows, owners=owners), species)
    with pytest.raises(ValueError, match="owners must have"):
        engine.compute(replace(rows, owners=owners[:-1]), species)


# Options of long-range terms


def with_other_range(potential, cutoff, damping):
    """Return the potential with another long-range cutoff and damping, its weights unchanged."""
    terms = TermsConfig(electrostatics=True, dispersion=True, long_range_cutoff=cutoff, dispersion_damping=damping)
    other = small_so3krates("all terms", terms=terms)
    with torch.no_grad():
        for own, weights in zip(other.parameters(), potential.parameters(), strict=True):
            own.copy_(weights)
        for name in ("message_norms", "reference_energies"):
            getattr(other, name).copy_(getattr(potential, name))
    return other


def test_long_range_can_be_given_at_opening(path):
    potential = small_so3krates()
    engine = Engine(path, long_range_cutoff=5.0, dispersion_damping=1.5)
    other = with_other_range(potential, 5.0, 1.5)
    assert engine.cutoff == other.cutoff == 5.0
    for atoms in (cluster(ELEMENTS, n=12), crystal(ELEMENTS)):
        rows, species = rows_of(engine, atoms)
        expected, stored = predict(other, atoms), predict(potential, atoms)
        found = folded(rows, engine.compute(rows, species).forces)
        assert largest(expected.forces - stored.forces) > 1e-4
        assert largest(found - expected.forces.numpy()) < 1e-8
    again = pickle.loads(pickle.dumps(engine))
    assert again.cutoff == 5.0 and again.long_range == (5.0, 1.5)
    assert copy.deepcopy(engine) is engine


def test_long_range_is_refused_where_there_is_none(so3krates_path):
    for options in ({"long_range_cutoff": 9.0}, {"dispersion_damping": 1.0}):
        with pytest.raises(ModelFileError, match="is asked for, but the model has no long-range terms: leave it out"):
            Engine(so3krates_path("plain"), **options)


def test_one_model_serves_several_threads_at_once(path):
    engine = Engine(path, "mixed")
    inputs = [rows_of(engine, crystal(ELEMENTS, n=4 + k, cell=3 * np.eye(3) * (1 + 0.1 * k), seed=k)) for k in range(4)]
    expected = [engine.compute(*one, details=["charges"]) for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: engine.compute(*inputs[k % 4], details=["charges"]), range(24)))
    for k, result in enumerate(found):
        assert (result.forces == expected[k % 4].forces).all()
        assert (result.details["charges"] == expected[k % 4].details["charges"]).all()
