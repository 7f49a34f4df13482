"""Which key wins, which shapes and units count, and what is refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM, voigt_from_matrix
from panna_plus.data.config import LabelKeys
from panna_plus.data.labels import FREE_ENERGY_DIFFERS, NO_VOLUME, read_labels
from panna_plus.data.reading import frame_from_atoms, read_frames
from panna_plus.errors import DataError

WHERE = "a.xyz frame 3 (counted from 0)"
STRESS = np.array([[1e-2, 2e-3, 3e-3], [2e-3, -4e-2, 5e-3], [3e-3, 5e-3, 6e-2]])
FORCES = np.array([[0.4, -0.1, 0.2], [-0.4, 0.1, -0.2]])
VOLUME = 4.0**3


def salt(info=None, arrays=None, results=None, pbc=True):
    atoms = Atoms("NaCl", positions=[[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4] if pbc else None, pbc=pbc, info=info or {})
    for name, values in (arrays or {}).items():
        atoms.set_array(name, np.asarray(values))
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def labels_of(keys=None, **content):
    return read_labels(salt(**content), LabelKeys(**(keys or {})), WHERE)


def test_reference_keys_come_before_info_and_arrays():
    labels = labels_of(info={"REF_energy": -1.0, "energy": -2.0}, arrays={"REF_forces": FORCES, "forces": -FORCES})
    assert labels.energy == -1.0
    np.testing.assert_array_equal(labels.forces, FORCES)
    assert labels.keys == {"energy": "REF_energy", "forces": "REF_forces"}


def test_calculator_comes_before_info():
    labels = labels_of(info={"energy": -2.0}, results={"energy": -3.0})
    assert (labels.energy, labels.keys["energy"]) == (-3.0, "energy")


def test_explicit_key_wins_over_everything():
    content = {"info": {"REF_energy": -1.0, "pbe": -5.0}, "results": {"energy": -3.0}}
    assert labels_of({"energy": "pbe"}, **content).energy == -5.0


def test_none_ignores_a_label():
    content = {"info": {"REF_energy": -1.0, "REF_stress": STRESS.ravel()}}
    labels = labels_of({"stress": "none"}, **content)
    assert labels.stress is None
    assert labels.energy == -1.0


def test_two_references_that_differ_are_refused():
    with pytest.raises(DataError, match=r"a\.xyz frame 3.*'REF_energy' and 'energy' both exist and differ.*data\.keys"):
        labels_of(info={"REF_energy": -1.0}, results={"energy": -1.1})
    with pytest.raises(DataError, match="'REF_forces' and 'forces' both exist and differ"):
        labels_of(arrays={"REF_forces": FORCES}, results={"forces": FORCES + 0.01})
    with pytest.raises(DataError, match="'REF_energy' and 'energy' both exist and differ"):
        labels_of(info={"REF_energy": np.nan}, results={"energy": -1.1})


def test_two_references_that_agree_are_one():
    stress = voigt_from_matrix(STRESS)
    labels = labels_of(
        info={"REF_energy": -1.0, "REF_stress": STRESS.ravel()}, results={"energy": -1.0, "stress": stress}
    )
    np.testing.assert_allclose(labels.stress, STRESS)
    assert labels.keys["stress"] == "REF_stress"


def test_naming_one_of_two_references_settles_it():
    content = {"info": {"REF_energy": -1.0}, "results": {"energy": -1.1}}
    assert labels_of({"energy": "REF_energy"}, **content).energy == -1.0
    assert labels_of({"energy": "energy"}, **content).energy == -1.1


@pytest.mark.parametrize("shape", ["voigt", "nine", "matrix"])
def test_stress_shapes_mean_the_same(shape):
    forms = {"voigt": voigt_from_matrix(STRESS), "nine": STRESS.ravel(), "matrix": STRESS}
    np.testing.assert_allclose(labels_of(info={"REF_stress": forms[shape]}).stress, STRESS, atol=1e-15)


def test_voigt_stress_of_the_calculator_is_in_ase_order(tmp_path):
    """ASE writes 9 numbers and reads 6: the off-diagonals must survive the round trip in their places."""
    atoms = salt(results={"energy": -1.0, "stress": voigt_from_matrix(STRESS)})
    atoms.write(tmp_path / "a.xyz", format="extxyz")
    assert "stress" in read(tmp_path / "a.xyz").calc.results
    np.testing.assert_allclose(read_frames(tmp_path / "a.xyz")[0].stress, STRESS, atol=1e-8)


@pytest.mark.parametrize("units, factor", [("eV/Å^3", 1.0), ("GPa", 160.21766208), ("kbar", 1602.1766208)])
def test_stress_units_are_converted(units, factor):
    labels = labels_of({"stress_units": units}, info={"REF_stress": STRESS.ravel() * factor})
    np.testing.assert_allclose(labels.stress, STRESS, rtol=1e-12)
    assert pytest.approx(160.2177, abs=1e-4) == GPA_PER_EV_PER_CUBIC_ANGSTROM


@pytest.mark.parametrize("name", ["virial", "virials", "REF_virial"])
def test_virial_is_minus_volume_times_stress(name):
    # stress_units must not touch a virial, which is always in eV.
    labels = labels_of({"stress_units": "kbar"}, info={name: (-VOLUME * STRESS).ravel()})
    np.testing.assert_allclose(labels.stress, STRESS, rtol=1e-12)
    assert labels.keys["stress"] == name


def test_virial_of_a_left_handed_cell_has_the_same_sign():
    atoms = salt(info={"REF_virial": (-VOLUME * STRESS).ravel()})
    atoms.cell[0] *= -1
    assert np.linalg.det(atoms.cell.array) < 0
    np.testing.assert_allclose(read_labels(atoms, LabelKeys(), WHERE).stress, STRESS, rtol=1e-12)


def test_stress_and_virial_must_agree():
    stress, virial = STRESS.ravel(), (-VOLUME * STRESS).ravel()
    np.testing.assert_allclose(labels_of(info={"REF_stress": stress, "virial": virial}).stress, STRESS)
    for wrong in (-virial, virial * 1.1):
        with pytest.raises(DataError, match="'REF_stress' and 'virial' contradict each other"):
            labels_of(info={"REF_stress": stress, "virial": wrong})
        labels = labels_of({"stress": "REF_stress"}, info={"REF_stress": stress, "virial": wrong})
        np.testing.assert_allclose(labels.stress, STRESS)


def test_asymmetric_stress_is_refused():
    wrong = STRESS.copy()
    wrong[0, 1] += 0.02
    with pytest.raises(DataError, match="'REF_stress' must be a symmetric tensor"):
        labels_of(info={"REF_stress": wrong.ravel()})


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_stress_without_a_volume_is_set_aside_and_counted(pbc):
    atoms = salt(info={"REF_stress": STRESS.ravel()}, pbc=False)
    if pbc:
        atoms.cell[:2] = 4 * np.eye(3)[:2]
        atoms.pbc = pbc
    labels = read_labels(atoms, LabelKeys(), WHERE)
    assert labels.stress is None
    assert labels.notes == (NO_VOLUME,)


def test_slab_with_a_full_cell_keeps_its_stress():
    atoms = salt(info={"REF_stress": STRESS.ravel()})
    atoms.pbc = (True, True, False)
    np.testing.assert_allclose(read_labels(atoms, LabelKeys(), WHERE).stress, STRESS)


def test_nan_everywhere_means_unlabelled():
    labels = labels_of(
        info={"REF_energy": np.nan, "REF_stress": np.full(9, np.nan)}, arrays={"REF_forces": np.full((2, 3), np.nan)}
    )
    assert (labels.energy, labels.forces, labels.stress, labels.keys) == (None, None, None, {})


def test_nan_in_some_forces_names_the_atom():
    forces = FORCES.copy()
    forces[1, 2] = np.nan
    with pytest.raises(DataError, match=r"frame 3 .*key 'REF_forces' holds nan for atom 1 \(counted from 0\)"):
        labels_of(arrays={"REF_forces": forces})


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinities_are_refused(bad):
    with pytest.raises(DataError, match=r"key 'REF_energy' holds -?inf"):
        labels_of(info={"REF_energy": bad})
    with pytest.raises(DataError, match=r"key 'REF_forces' holds -?inf for atom 0"):
        labels_of(arrays={"REF_forces": np.full((2, 3), bad)})
    with pytest.raises(DataError, match=r"key 'REF_stress' holds -?inf"):
        labels_of(info={"REF_stress": np.full(9, bad)})


@pytest.mark.parametrize(
    "content, message",
    [
        ({"info": {"REF_energy": "high"}}, "'REF_energy' must hold numbers, found 'high'"),
        ({"info": {"REF_energy": True}}, "'REF_energy' must hold numbers"),
        ({"info": {"REF_energy": [1.0, 2.0]}}, "'REF_energy' must hold one number"),
        ({"arrays": {"REF_forces": FORCES[:, :2]}}, r"'REF_forces' must hold 2 x 3 numbers, found shape \(2, 2\)"),
        ({"info": {"REF_forces": FORCES.ravel()}}, "'REF_forces' must hold 2 x 3 numbers"),
        ({"info": {"REF_stress": np.ones(5)}}, r"'REF_stress' must hold 6 .* found shape \(5,\)"),
    ],
)
def test_wrong_shape_or_type_is_refused(content, message):
    with pytest.raises(DataError, match=f"a.xyz frame 3.*{message}"):
        labels_of(**content)


def test_labels_survive_although_copies_of_atoms_lose_them():
    atoms = salt(results={"energy": -3.0, "forces": FORCES})
    frame = frame_from_atoms(atoms, LabelKeys(), "a.xyz frame 0")
    assert frame.atoms.calc is None
    assert atoms.calc is not None
    np.testing.assert_array_equal(frame.forces, FORCES)


def test_other_free_energy_is_noted():
    atoms = salt(results={"energy": -3.0, "free_energy": -3.1})
    assert read_labels(atoms, LabelKeys(), WHERE).notes == (FREE_ENERGY_DIFFERS,)
    labels = read_labels(atoms, LabelKeys(energy="free_energy"), WHERE)
    assert (labels.energy, labels.notes) == (-3.1, ())
