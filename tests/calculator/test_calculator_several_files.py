"""A list of files in ASE: a committee whose members need not share a descriptor, on the engine and in PyTorch."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from panna_plus.calculator import PannaPlusCalculator
from panna_plus.errors import ConfigError, DataError, ModelFileError, NumericalError
from panna_plus.families import build_potential
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.model import PannaPotential
from tests.geometries import cluster, crystal, graph_of
from tests.small_model import CONFIG, ELEMENTS, dimer, small_potential, write_unchecked
from tests.small_so3krates import exported_so3krates


def member(seed: int, **descriptor: object) -> PannaPotential:
    """Return a member of small forces that it gives back, and energies of its own for lone atoms."""
    potential = small_potential(seed)
    if descriptor:
        config = CONFIG.model_copy(update={"descriptor": CONFIG.descriptor.model_copy(update=descriptor)})
        potential = build_potential("panna", config, ELEMENTS, seed=seed)
        frames = cluster(ELEMENTS), crystal(ELEMENTS)
        potential.initialize([potential.prepare(graph_of(potential, *frames))])
    potential.reference_energies += 0.25 * seed
    potential.shortest_distances.fill_(0.5 + 0.125 * seed)
    return potential


@pytest.fixture(scope="module")
def members() -> list[PannaPotential]:
    return [member(n) for n in range(3)]


@pytest.fixture(scope="module")
def alike(members: list[PannaPotential], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of members that could be merged, the last two of which are."""
    folder = tmp_path_factory.mktemp("alike")
    rest = committee_of(members[1:], ["1", "2"])
    return [write_unchecked(members[0], folder / "0.pt"), write_unchecked(rest, folder / "rest.pt")]


@pytest.fixture(scope="module")
def merged(members: list[PannaPotential], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_unchecked(committee_of(members, ["0", "1", "2"]), tmp_path_factory.mktemp("merged") / "all.pt")


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files of two descriptors, which cannot be merged."""
    folder = tmp_path_factory.mktemp("different")
    other = member(4, radial_cutoff=4.75, n_theta=4)
    return [write_unchecked(member(1), folder / "1.pt"), write_unchecked(other, folder / "4.pt")]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A panna file, and a so3krates file with the elements in another order."""
    folder = tmp_path_factory.mktemp("families")
    return [
        write_unchecked(member(2), folder / "panna.pt"),
        exported_so3krates(folder / "messages.pt", elements=ELEMENTS[::-1]),
    ]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_files_are_the_committee_merged_of_them(backend: str, dtype: str, alike: list[Path], merged: Path) -> None:
    together, alone = (PannaPlusCalculator(model, dtype, backend=backend) for model in (alike, merged))
    atoms = crystal(ELEMENTS)
    results = [each.evaluate([atoms])[0] for each in (together, alone)]
    assert rms(results[1]["forces"]) > 0.1
    assert results[0].keys() == results[1].keys()
    tolerance = 1e-11 if dtype == "float64" else 1e-5
    for name, expected in results[1].items():
        np.testing.assert_allclose(results[0][name], expected, rtol=tolerance, atol=tolerance, err_msg=name)
    found, expected = (each.uncertainty(atoms) for each in (together, alone))
    for name in ("energy_members", "forces_members", "force_deviation"):
        np.testing.assert_allclose(found[name], expected[name], rtol=100 * tolerance, atol=tolerance, err_msg=name)
    assert found["force_deviation"].min() > 1e-3


def test_extrapolation_is_the_largest(backend: str, different: list[Path]) -> None:
    atoms = crystal(ELEMENTS)
    found, *alone = (
        PannaPlusCalculator(model, backend=backend).uncertainty(atoms)["extrapolation"]
        for model in (different, *different)
    )
    np.testing.assert_allclose(found, np.maximum(*alone), rtol=1e-12)


def test_finite_differences_and_members(backend: str, different: list[Path]) -> None:
    """Forces are the derivative of the mean; members give what their files alone do."""
    calculator, atoms, step = PannaPlusCalculator(different, backend=backend), cluster(ELEMENTS), 1e-4
    atoms.calc = calculator
    forces = atoms.get_forces()
    assert rms(forces) > 0.1
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = calculator
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=2e-6)
    alone = [PannaPlusCalculator(path, backend=backend).evaluate([atoms])[0] for path in different]
    found = calculator.uncertainty(atoms)
    np.testing.assert_allclose(found["energy_members"], [each["energy"] for each in alone], rtol=1e-13)
    np.testing.assert_allclose(found["forces_members"], [each["forces"] for each in alone], rtol=0, atol=1e-11)
    np.testing.assert_allclose(forces, np.mean([each["forces"] for each in alone], axis=0), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("structure", "charge"), [(cluster, 1), (crystal, 0)])
def test_engine_finds_what_pytorch_finds(structure, charge: int, families: list[Path]) -> None:
    """Of two families, charge and spin included."""
    atoms = structure(ELEMENTS)
    atoms.info |= {"charge": charge, "spin": 1}
    native, torch = (PannaPlusCalculator(families, backend=name) for name in ("native", "torch"))
    (found,), (expected,) = (calculator.evaluate([atoms]) for calculator in (native, torch))
    assert rms(expected["forces"]) > 0.1
    assert found.keys() == expected.keys()
    assert "charges" not in found
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-8, atol=1e-8, err_msg=name)
    found, expected = (calculator.uncertainty(atoms) for calculator in (native, torch))
    assert list(found) == list(expected) == ["energy_members", "forces_members", "force_deviation"]
    np.testing.assert_allclose(found["forces_members"], expected["forces_members"], rtol=0, atol=1e-8)
    atoms.info["spin"] = 3
    for calculator in (native, torch):
        with pytest.raises(DataError, match="trained with 0 to 2"):
            calculator.evaluate([atoms])


def test_warnings_of_one_family_hold_for_all(backend: str, families: list[Path]) -> None:
    atoms = crystal(ELEMENTS)
    atoms.info["charge"] = 1
    with pytest.warns(UserWarning, match="a periodic cell with a total charge"):
        PannaPlusCalculator(families, backend=backend).evaluate([atoms])


def test_shared_details_are_means(families: list[Path], backend: str, tmp_path: Path) -> None:
    other = exported_so3krates(tmp_path / "other.pt", elements=ELEMENTS, seed=8)
    atoms, models = cluster(ELEMENTS), [families[1], other]
    found, *alone = (PannaPlusCalculator(model, backend=backend).evaluate([atoms])[0] for model in (models, *models))
    assert rms(alone[0]["charges"] - alone[1]["charges"]) > 1e-3
    for name in ("charges", "dipole"):
        np.testing.assert_allclose(found[name], (alone[0][name] + alone[1][name]) / 2, rtol=0, atol=1e-12)
    assert found["details"].keys() == alone[0]["details"].keys()


def test_guard_takes_the_longest_of_the_shortest_distances(backend: str, different: list[Path]) -> None:
    """0.625 and 1.0 Å."""
    for model, stops in ((different[0], False), (different, True)):
        atoms = dimer("HCu", 0.595)
        atoms.calc = PannaPlusCalculator(model, backend=backend)
        if stops:
            with pytest.raises(NumericalError, match=r"the shortest H-Cu distance of the training data is 1\.000"):
                atoms.get_potential_energy()
        else:
            atoms.get_potential_energy()


def test_copies_and_what_is_stored(backend: str, different: list[Path]) -> None:
    atoms, calculator = crystal(ELEMENTS), PannaPlusCalculator(different, backend=backend)
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    stored = calculator.todict()
    assert stored["model"] == [str(path) for path in different]
    for again in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator)), PannaPlusCalculator(**stored)):
        other = crystal(ELEMENTS)
        other.calc = again
        assert other.get_potential_energy() == pytest.approx(energy, rel=1e-14)
        assert len(again.uncertainty(other)["energy_members"]) == 2
    one = PannaPlusCalculator(different[:1], backend=backend)
    assert one.model == str(different[0]) and one.todict()["model"] == str(different[0])


def test_refusals(backend: str, different: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found an empty list"):
        PannaPlusCalculator([], backend=backend)
    other = write_unchecked(build_potential("panna", CONFIG, ["H", "Si"], seed=0), tmp_path / "other.pt")
    text = f"'{different[0]}' knows H Cu, '{other}' knows H Si: leave one of them out"
    with pytest.raises(ModelFileError, match="all know the same elements") as error:
        PannaPlusCalculator([different[0], other], backend=backend)
    assert text in str(error.value)
