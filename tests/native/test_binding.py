"""The Python module of the engine: numpy in and out, named errors, nothing read out of bounds."""

import copy
import pickle
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from panna_plus.errors import ModelFileError, NumericalError, PannaPlusError
from panna_plus.native import Engine, image_lists, library, load_module, neighborhood_from_pairs
from panna_plus.native.neighborhood import ordered_keys, ranks
from panna_plus.neighbors import pair_list
from tests.geometries import crystal
from tests.native.model_files import mbp_arrays, random_model, write_model

ELEMENTS = ["Si", "O"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    card, arrays = random_model(ELEMENTS, mbp_arrays())
    return write_model(tmp_path_factory.mktemp("model") / "modèle.pt", card, arrays)


@pytest.fixture(scope="module")
def engine(path):
    return Engine(path)


@pytest.fixture
def system(engine):
    """Return atoms, their pairs and species."""
    atoms = crystal(ELEMENTS, n=9)
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    return atoms, pairs, np.array([ELEMENTS.index(s) for s in atoms.symbols])


@pytest.fixture
def rows(system):
    """Return the neighborhood and the species of its rows."""
    atoms, pairs, species = system
    neighborhood = neighborhood_from_pairs(atoms.positions, atoms.cell.array, *pairs)
    return neighborhood, species[neighborhood.owners]


def test_describes_the_model(engine, path):
    assert engine.family == "panna"
    assert engine.elements == ELEMENTS
    assert engine.cutoff == 4.6
    assert engine.cards[0]["elements"] == ELEMENTS
    assert len(engine.weights_sha256) == 64
    assert engine.memory_usage > 1000
    assert engine.kernels != "reference" == Engine(path, kernels="reference").kernels


def test_rows_and_folded_images_agree(engine, system, rows):
    atoms, pairs, species = system
    of_rows = engine.compute(*rows)
    found = engine.bound_to(image_lists(len(atoms), *pairs), species).compute(atoms.positions, atoms.cell.array)
    assert np.sqrt((found.forces**2).mean()) > 0.1
    folded = np.zeros((len(atoms), 3))
    np.add.at(folded, rows[0].owners, of_rows.forces)
    assert np.abs(found.forces - folded).max() < 1e-12
    assert (found.atomic_energies == of_rows.atomic_energies[: len(atoms)]).all()
    assert found.energy == of_rows.energy
    assert (found.virial == of_rows.virial).all()
    assert found.atomic_virials is None
    assert found.closest_distance == of_rows.closest_distance
    assert found.closest_pair == tuple(rows[0].owners[k] for k in of_rows.closest_pair)


def test_virials_of_atoms_add_up(engine, rows):
    found = engine.compute(*rows, atomic_virials=True)
    assert np.abs(found.virial).max() > 0.1
    assert found.atomic_virials is not None
    assert found.centroid_virials is not None
    assert np.allclose(found.atomic_virials.sum(axis=0), found.virial, atol=1e-11)
    assert np.allclose(found.centroid_virials.sum(axis=0)[:3], found.virial[:3], atol=1e-11)


def test_any_layout_and_type_of_array_is_taken(engine, rows):
    neighborhood, species = rows
    expected = engine.compute(neighborhood, species)
    awkward = replace(
        neighborhood,
        positions=np.asfortranarray(neighborhood.positions),
        neighbors=np.repeat(neighborhood.neighbors.astype(np.int64), 2)[::2],
        starts=neighborhood.starts.astype(np.int32),
    )
    found = engine.compute(awkward, species.astype(np.int8))
    assert (found.forces == expected.forces).all()


def test_arrays_outlive_the_names_they_had(engine, system):
    atoms, pairs, species = system
    bound = engine.bound_to(image_lists(len(atoms), *pairs), species)
    expected = bound.compute(atoms.positions, atoms.cell.array).forces
    del pairs, species
    rubbish = [np.full(2000, 7, dtype=np.int32) for _ in range(50)]
    assert (bound.compute(atoms.positions, atoms.cell.array).forces == expected).all()
    assert len(rubbish) == 50


# Errors


def test_files_that_cannot_be_opened_are_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"absent\.pt' cannot be opened"):
        Engine(tmp_path / "absent.pt")
    (tmp_path / "é.pt").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match=r"é\.pt': expected a zip archive"):
        Engine(tmp_path / "é.pt")


def test_unknown_options_are_refused(path):
    with pytest.raises(ValueError, match="mixed, double, found 'half'"):
        Engine(path, "half")
    with pytest.raises(ModelFileError, match="kernels 'sse9' are not available"):
        Engine(path, kernels="sse9")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_a_numerical_error(engine, rows, bad):
    neighborhood, species = rows
    positions = neighborhood.positions.copy()
    positions[2, 1] = bad
    with pytest.raises(NumericalError, match="finite"):
        engine.compute(replace(neighborhood, positions=positions), species)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: {"starts": n.starts[:5]}, "starts must ascend"),
        (lambda n: {"starts": n.starts[::-1]}, "starts must ascend"),
        (lambda n: {"starts": n.starts + 1}, "starts must ascend"),
        (lambda n: {"starts": np.where(n.starts == n.starts[3], 10**9, n.starts)}, "starts must ascend"),
        (lambda n: {"starts": np.empty(0, np.int64)}, "one longer"),
        (lambda n: {"neighbors": n.neighbors[:-5]}, "starts must ascend"),
        (lambda n: {"positions": n.positions[:-1]}, "positions must have .* rows of 3"),
        (lambda n: {"positions": n.positions[:, :2]}, "positions must have .* rows of 3"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(engine, rows, change, message):
    neighborhood, species = rows
    with pytest.raises(ValueError, match=message):
        engine.compute(replace(neighborhood, **change(neighborhood)), species)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: {"neighbors": np.full_like(n.neighbors, 10**6)}, "lists neighbour 1000000"),
        (lambda n: {"neighbors": np.full_like(n.neighbors, -1)}, "lists neighbour -1"),
        (lambda n: {"centers": np.array([10**6], dtype=np.int32)}, "centre 1000000 does not exist"),
    ],
)
def test_rows_that_do_not_exist_are_refused(engine, rows, change, message):
    neighborhood, species = rows
    with pytest.raises(NumericalError, match=message):
        engine.compute(replace(neighborhood, **change(neighborhood)), species)


def test_images_of_atoms_that_do_not_exist_are_refused(engine, system):
    atoms, pairs, species = system
    lists = image_lists(len(atoms), *pairs)
    bound = engine.bound_to(replace(lists, owners=lists.owners + 1), species)
    with pytest.raises(ValueError, match="which does not exist"):
        bound.compute(atoms.positions, atoms.cell.array)
    with pytest.raises(ValueError, match="species must have"):
        engine.bound_to(lists, species[:-1]).compute(atoms.positions, atoms.cell.array)


def test_wrong_species_are_refused(engine, rows):
    neighborhood, species = rows
    with pytest.raises(NumericalError, match="has species 9, expected 0 to 1"):
        engine.compute(neighborhood, np.full_like(species, 9))


def test_a_closed_engine_says_so(path, rows):
    engine = Engine(path)
    engine.close()
    engine.close()
    assert engine.memory_usage == 0
    with pytest.raises(ModelFileError, match="was closed"):
        engine.compute(*rows)


def test_an_absent_engine_is_explained(monkeypatch):
    monkeypatch.setattr(library, "ENGINE_NAME", "libabsent.so")
    assert not library.is_built()
    with pytest.raises(PannaPlusError, match=r"was not built: expected '.*libabsent\.so'"):
        load_module.__wrapped__()


# Copies and threads


def test_copies_share_the_model_and_pickles_open_it_again(engine, rows):
    assert copy.copy(engine) is engine
    assert copy.deepcopy(engine) is engine
    again = pickle.loads(pickle.dumps(engine))
    assert (again.compute(*rows).forces == engine.compute(*rows).forces).all()


def test_one_engine_serves_many_threads_and_reasons_stay_with_theirs(engine, rows):
    neighborhood, species = rows
    expected = engine.compute(neighborhood, species).forces
    positions = neighborhood.positions.copy()
    positions[0] = np.nan
    broken = replace(neighborhood, positions=positions)
    wrong = []

    def compute():
        for _ in range(50):
            if (engine.compute(neighborhood, species).forces != expected).any():
                wrong.append("forces")

    def fail():
        for _ in range(50):
            try:
                engine.compute(broken, species)
                wrong.append("no error")
            except NumericalError as error:
                if "finite" not in str(error):
                    wrong.append(str(error))

    threads = [threading.Thread(target=f) for f in (compute, fail, compute, fail)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture
def slow(path, system):
    """Return an engine, and a computation with it that takes some tenths of a second."""
    atoms, _, species = system
    atoms = atoms.repeat(6)
    engine = Engine(path, kernels="reference")
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    bound = engine.bound_to(image_lists(len(atoms), *pairs), np.tile(species, 6**3))
    return engine, lambda: bound.compute(atoms.positions, atoms.cell.array)


def test_other_threads_run_while_the_engine_computes(slow):
    span, ticks = [], []

    def work():
        span.append(time.perf_counter())
        slow[1]()
        span.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(1e-3)
    thread.join()
    assert span[1] - span[0] > 0.1, "too short a computation to tell"
    assert len([t for t in ticks if span[0] + 0.02 < t < span[1] - 0.02]) >= 3


def test_closing_does_not_pull_the_model_away_from_a_computation(slow):
    engine, compute = slow
    outcome = []

    def work():
        try:
            outcome.append(np.isfinite(compute().energy))
        except ModelFileError as error:  # where the thread came too late
            outcome.append("was closed" in str(error))

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    engine.close()
    assert engine.memory_usage == 0
    thread.join()
    assert outcome == [True]


# Keys that put rows in order


@pytest.mark.parametrize("scale", [1, 10**6])
def test_keys_order_rows_as_their_columns_do(scale):
    columns = list(np.random.default_rng(0).integers(-3 * scale, 3 * scale, (4, 200)))
    columns[0][:100] = columns[0][100:]
    columns = [np.concatenate([c, c[:50]]) for c in columns]
    expected = np.lexsort(columns[::-1])
    keys = ordered_keys(columns)
    assert (np.argsort(keys, kind="stable") == expected).all()
    assert (keys[:50] == keys[-50:]).all()
    assert len(np.unique(keys)) == len(np.unique(np.column_stack(columns), axis=0))
    assert (np.argsort(ranks(columns), kind="stable") == expected).all()


def test_keys_of_nothing():
    empty = [np.empty(0, dtype=np.int64)] * 3
    assert len(ordered_keys(empty)) == len(ranks(empty)) == 0
