"""Several model files opened as one model: the mean of theirs, whatever their descriptors, families and elements."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest

from panna_plus.errors import ModelFileError, NumericalError
from panna_plus.native import Engine
from tests.native.conftest import DESCRIPTORS
from tests.native.model_files import bp_arrays, committee, mbp_arrays, random_model, write_model
from tests.native.systems import ELEMENTS, disordered_crystal, evaluate, rms
from tests.native.test_engine_interface import rows_of
from tests.small_so3krates import exported_so3krates

KERNELS = [("", "double"), ("", "mixed"), ("reference", "double")]


def panna(folder, name, descriptor, seed, elements=ELEMENTS, n_members=1):
    """Write a model of random weights, or a committee with statistics of training atoms, and return its path."""
    models = [random_model(elements, descriptor, (9, 5), seed=10 * seed + n) for n in range(n_members)]
    return str(write_model(folder / f"{name}.pt", *(committee(models) if n_members > 1 else models[0])))


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A merged committee of four, and files that hold the same members: one, one, and two."""
    folder, descriptor = tmp_path_factory.mktemp("merged"), DESCRIPTORS["mbp"]
    models = [random_model(ELEMENTS, descriptor, (9, 5), seed=n) for n in range(4)]
    for _, arrays in models[1:]:
        arrays["shortest_distances"] = models[0][1]["shortest_distances"]
    write_model(folder / "all.pt", *committee(models))
    paths = [write_model(folder / f"{n}.pt", *models[n]) for n in range(2)]
    return str(folder / "all.pt"), [*map(str, paths), str(write_model(folder / "two.pt", *committee(models[2:])))]


@pytest.fixture(scope="module")
def different(tmp_path_factory):
    """Files with nothing in common but their elements, in three orders: the last two know their training data."""
    folder = tmp_path_factory.mktemp("different")
    return [
        panna(folder, "bp", bp_arrays(), 1),
        panna(folder, "mbp", DESCRIPTORS["mbp"], 2, ["H", "Si", "O"], 2),
        panna(folder, "wide", mbp_arrays((4.5, 0.5, 3, 0.2), (4.0, 0.5, 2, 0.1), 2, 1.0), 3, ["O", "H", "Si"], 2),
    ]


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """A panna file and a so3krates file."""
    folder, elements = tmp_path_factory.mktemp("families"), ["H", "C", "O"]
    messages = exported_so3krates(folder / "messages.pt", elements=["O", "C", "H"])
    return [panna(folder, "panna", DESCRIPTORS["mbp"], 4, elements), str(messages)]


@pytest.mark.parametrize(("kernels", "precision"), KERNELS)
def test_files_are_the_committee_merged_of_them(kernels, precision, merged):
    together, alone = (Engine(paths, precision, kernels) for paths in merged[::-1])
    assert together.n_members == alone.n_members == 4
    atoms, options = disordered_crystal(), {"atomic_virials": True, "members": True}
    found, expected = (evaluate(engine, atoms, **options) for engine in (together, alone))
    assert rms(expected.forces) > 0.1
    tolerance = 1e-11 if precision == "double" else 1e-5
    for name in ("energies", "forces", "strain_gradient"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=tolerance, abs=tolerance)
    for name in ("atomic_virials", "centroid_virials", "member_energies", "member_forces"):
        expected_values = getattr(expected.raw, name)
        assert getattr(found.raw, name) == pytest.approx(expected_values, rel=tolerance, abs=10 * tolerance), name
    assert found.raw.closest_pair == expected.raw.closest_pair
    assert found.raw.closest_ratio == expected.raw.closest_ratio


@pytest.mark.parametrize(("kernels", "precision"), KERNELS)
def test_means_of_different_descriptors(kernels, precision, different):
    """Files of one, two and two members: the first counts for a fifth. The elements are in three orders."""
    engine = Engine(different, precision, kernels)
    atoms, options = disordered_crystal(), {"atomic_virials": True, "members": True}
    parts = [Engine(path, precision, kernels) for path in different]
    found = evaluate(engine, atoms, **options)
    alone = [evaluate(part, atoms, **(options | {"members": part.n_members > 1})) for part in parts]
    shares, tolerance = [0.2, 0.4, 0.4], 1e-12 if precision == "double" else 3e-5
    assert min(rms(part.forces) for part in alone) > 0.1
    assert found.raw.energy == pytest.approx(sum(s * p.raw.energy for s, p in zip(shares, alone, strict=True)))
    for name in ("energies", "forces", "strain_gradient"):
        expected = sum(s * getattr(p, name) for s, p in zip(shares, alone, strict=True))
        assert getattr(found, name) == pytest.approx(expected, abs=10 * tolerance), name
    energies = [alone[0].raw.energy, *alone[1].raw.member_energies, *alone[2].raw.member_energies]
    assert found.raw.member_energies == pytest.approx(np.array(energies), rel=tolerance)
    assert found.raw.member_energies.mean() == pytest.approx(found.raw.energy, rel=tolerance)
    assert found.raw.member_forces.mean(axis=0) == pytest.approx(found.raw.forces, abs=10 * tolerance)
    assert np.std(found.raw.member_forces, axis=0).max() > 0.1


def test_members_alone_give_their_forces(different):
    engine, atoms = Engine(different[::-1]), disordered_crystal()
    members = evaluate(engine, atoms, members=True).raw.member_forces
    own = evaluate(Engine(different[0]), atoms, skin=engine.cutoff - Engine(different[0]).cutoff).raw.forces
    assert members.shape[0] == 5 and members[4] == pytest.approx(own, abs=1e-12)


def test_uncounted_atoms_are_not_seen(different):
    engine, atoms = Engine(different), disordered_crystal()
    rows, species = rows_of(engine, atoms)
    kept = np.arange(len(atoms)) % 3 != 0
    with_gaps = engine.compute(rows, np.where(kept[rows.owners], species, -1))
    alone = evaluate(engine, atoms[kept])
    assert with_gaps.energy == pytest.approx(alone.raw.energy, abs=1e-11)
    assert not with_gaps.forces[~kept[rows.owners]].any()
    for wrong in (3, -2, 2**31 - 1):
        with pytest.raises(NumericalError, match="species"):
            engine.compute(rows, np.where(rows.owners == 1, wrong, species))


def test_two_families(families):
    """The charge reaches the model that looks at it; what only one knows of atoms is not told."""
    engine = Engine(families)
    assert engine.family == "panna, so3krates"
    parts = [Engine(path) for path in families]
    assert (engine.cutoff, engine.reach) == (6.0, parts[1].reach)
    assert (engine.message_cutoff, engine.n_exchanges) == (parts[1].message_cutoff, parts[1].n_exchanges)
    assert engine.uses_charge and engine.uses_spin and engine.details == []
    atoms = disordered_crystal(["H", "C", "O"])
    state = {"total_charge": 1.0, "unpaired_electrons": 1.0}
    found, *alone = (evaluate(each, atoms, **state) for each in (engine, *parts))
    assert min(rms(part.forces) for part in alone) > 0.1
    assert found.forces == pytest.approx(np.mean([part.forces for part in alone], axis=0), abs=1e-11)
    assert found.energies == pytest.approx(np.mean([part.energies for part in alone], axis=0), abs=1e-9)
    members = evaluate(engine, atoms, members=True, **state).raw
    assert members.member_energies == pytest.approx([part.raw.energy for part in alone], rel=1e-13)


def test_details_are_means_and_the_largest_extrapolation(different, families):
    engine, atoms = Engine(different[1:]), disordered_crystal()
    assert engine.details == ["extrapolation"]
    found, *alone = (
        evaluate(each, atoms, details=["extrapolation"]).raw.details["extrapolation"][: len(atoms)]
        for each in (engine, *map(Engine, different[1:]))
    )
    assert found == pytest.approx(np.maximum(*alone), rel=1e-13)
    assert (alone[0] > alone[1]).any() or (alone[0] < alone[1]).any()
    assert Engine(different).details == []
    twice = Engine([families[1]] * 2)
    charges = [
        evaluate(each, disordered_crystal(["H", "C", "O"]), details=["charges"]).raw.details["charges"]
        for each in (twice, Engine(families[1]))
    ]
    assert abs(charges[1]).max() > 1e-3 and charges[0] == pytest.approx(charges[1], abs=1e-14)


def test_what_a_model_of_several_files_is(different):
    engine, parts = Engine(different), [Engine(path) for path in different]
    assert engine.elements == parts[0].elements == ELEMENTS
    assert (engine.family, engine.cutoff, engine.n_members) == ("panna", 5.0, 5)
    assert engine.cards == [card for part in parts for card in part.cards]
    hashes = "".join(part.weights_sha256 for part in parts)
    assert engine.weights_sha256 == sha256(hashes.encode()).hexdigest()
    assert Engine(different[::-1]).weights_sha256 != engine.weights_sha256
    assert engine.memory_usage == sum(part.memory_usage for part in parts)
    assert Engine(different[:1]).weights_sha256 == parts[0].weights_sha256


def test_pickled_engines_open_all_files_again(different):
    engine, atoms = Engine(different, "mixed"), disordered_crystal()
    again = pickle.loads(pickle.dumps(engine))
    assert (evaluate(again, atoms).forces == evaluate(engine, atoms).forces).all()


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_threads_change_nothing_but_rounding(precision, different):
    engine, atoms = Engine(different, precision), disordered_crystal().repeat((2, 1, 1))
    options = {"members": True, "atomic_virials": True}
    one, many = (evaluate(engine, atoms, n_threads=n, **options) for n in (1, 3))
    assert many.forces == pytest.approx(one.forces, abs=1e-11)
    assert many.raw.member_forces == pytest.approx(one.raw.member_forces, abs=1e-11)


def test_one_model_serves_several_threads_at_once(different):
    engine = Engine(different, "mixed")
    structures = [disordered_crystal(seed=seed, n=6 + 2 * seed) for seed in range(6)]
    expected = [evaluate(engine, atoms).forces for atoms in structures]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda k: evaluate(engine, structures[k % 6]).forces, range(36)))
    assert all((forces == expected[k % 6]).all() for k, forces in enumerate(found))


def test_refusals(different, families, tmp_path):
    with pytest.raises(ModelFileError, match="expected at least one path"):
        Engine([])
    with pytest.raises(ModelFileError, match=r"absent\.pt"):
        Engine([different[0], tmp_path / "absent.pt"])
    with pytest.raises(ModelFileError) as error:
        Engine([different[0], families[0]])
    assert str(error.value) == (
        "several model files are one potential only if all know the same elements: "
        f"'{different[0]}' knows Si O H, '{families[0]}' knows H C O: leave one of them out, or train them with the "
        "same elements"
    )
    engine, atoms = Engine(different), disordered_crystal()
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(NumericalError):
        evaluate(engine, atoms)
