"""What the comparison calls equal and what it does not."""

from dataclasses import replace

import numpy as np
import pytest

from panna_plus import PannaPlusCalculator
from panna_plus.verify.boxes import lammps_frame
from panna_plus.verify.deck import Measured
from panna_plus.verify.lammps_check import RunResult, compare, reference_of, virial_of
from tests.geometries import cluster, crystal
from tests.small_model import ELEMENTS, exported_small_model

QUANTITIES = ["energy", "forces", "virial", "forces, differences", "virial, differences"]


@pytest.fixture(scope="module")
def calculator(tmp_path_factory):
    return PannaPlusCalculator(exported_small_model(tmp_path_factory.mktemp("model") / "model.pt"))


@pytest.fixture(scope="module", params=["crystal", "cluster", "layer"])
def case(request, calculator):
    """Atoms, their reference, and results of a LAMMPS that agrees."""
    atoms = cluster(ELEMENTS) if request.param == "cluster" else crystal(ELEMENTS)
    if request.param == "layer":
        # Periodic in two directions, and no vector for the third.
        atoms.pbc = [True, False, True]
        atoms.cell[1] = 0
    reference, frame = reference_of(calculator, atoms), lammps_frame(atoms)
    assert reference.rms_force > 0.1
    q = frame.rotation
    found = Measured(
        energy=reference.energy,
        sum_of_energies=reference.energy,
        virial=q.T @ reference.virial @ q,
        energies=np.zeros(len(atoms)),
        forces=reference.forces @ q,
        virials=np.zeros((len(atoms), 3, 3)),
        centroid_virials=np.zeros((len(atoms), 3, 3)),
        positions=frame.atoms.positions,
    )
    return reference, frame, found


def failing(reference, found, frame, precision="double"):
    return [c.quantity for c in compare(reference, found, frame, precision) if not c.passed]


def test_equal_results_pass(case):
    reference, frame, found = case
    assert [c.quantity for c in compare(reference, found, frame, "double")] == QUANTITIES
    assert failing(reference, found, frame) == []


@pytest.mark.parametrize(
    ("quantity", "change", "expected"),
    [
        ("energy", lambda energy: energy + 1e-6, ["energy"]),
        ("energy", lambda _: float("nan"), ["energy"]),
        ("virial", lambda virial: -virial, ["virial", "virial, differences"]),
        ("virial", lambda virial: 1.001 * virial, ["virial", "virial, differences"]),
        ("forces", lambda forces: -forces, ["forces", "forces, differences"]),
        ("forces", lambda forces: forces[::-1], ["forces", "forces, differences"]),
        ("forces", lambda forces: forces * (1 + 1e-8), ["forces"]),
        ("forces", lambda forces: forces * np.nan, ["forces", "forces, differences"]),
    ],
)
def test_planted_deviations_of_lammps_are_found(quantity, change, expected, case):
    reference, frame, found = case
    wrong = replace(found, **{quantity: change(getattr(found, quantity))})
    assert failing(reference, wrong, frame) == expected


def test_a_component_that_is_no_number_is_found(case):
    reference, frame, found = case
    virial = reference.virial.copy()
    virial[0, 2] = virial[2, 0] = np.nan
    comparisons = compare(reference, found, replace(frame, rotation=np.eye(3)), "double")
    wrong = compare(reference, replace(found, virial=virial), replace(frame, rotation=np.eye(3)), "double")
    assert np.isfinite(comparisons[2].deviation)
    assert not wrong[2].passed and not wrong[4].passed


def test_swapped_components_of_the_virial_are_found(case):
    reference, frame, found = case
    order = [1, 0, 2]
    assert "virial" in failing(reference, replace(found, virial=found.virial[order][:, order]), frame)


def test_what_is_wrong_in_ase_and_lammps_alike_is_found_by_differences(case):
    """Derivatives that do not belong to the energy, the same on both sides."""
    reference, frame, found = case
    wrong = replace(reference, forces=1.001 * reference.forces, virial=-reference.virial)
    same = replace(found, forces=1.001 * found.forces, virial=-found.virial)
    assert failing(wrong, same, frame) == ["forces, differences", "virial, differences"]


def test_mixed_precision_has_tolerances_of_its_own(case):
    reference, frame, found = case
    rounded = replace(found, forces=found.forces * (1 + 1e-6), energy=found.energy + 1e-6)
    assert failing(reference, rounded, frame) == ["energy", "forces"]
    assert failing(reference, rounded, frame, "mixed") == []
    assert failing(reference, replace(found, forces=found.forces * 1.01), frame, "mixed") != []


def test_worst_atom_and_component_are_named(case):
    reference, frame, found = case
    forces, virial = found.forces.copy(), reference.virial.copy()
    forces[3] += 0.1
    virial[0, 2] += 1.0
    virial[2, 0] += 1.0
    turned = frame.rotation.T @ virial @ frame.rotation
    comparisons = compare(reference, replace(found, forces=forces, virial=turned), frame, "double")
    assert comparisons[1].where == f"atom 3 ({frame.atoms.get_chemical_symbols()[3]})"
    assert comparisons[2].where == "xz"


def test_differences_are_those_of_the_energy(case):
    reference, _, _ = case
    assert len(reference.chosen) == len(ELEMENTS)
    np.testing.assert_allclose(reference.force_differences, reference.forces[reference.chosen], rtol=0, atol=1e-7)
    np.testing.assert_allclose(reference.virial_differences, reference.virial, rtol=0, atol=1e-6)


def test_virial_of_a_molecule_needs_no_cell(calculator):
    atoms = cluster(ELEMENTS)
    atoms.calc = calculator
    shifted = atoms.copy()
    shifted.calc = calculator
    shifted.positions += 100.0
    np.testing.assert_allclose(virial_of(shifted), virial_of(atoms), atol=1e-9)
    boxed = atoms.copy()
    boxed.calc = calculator
    boxed.set_cell([40.0, 41.0, 42.0])
    boxed.pbc = True
    np.testing.assert_allclose(virial_of(boxed), virial_of(atoms), atol=1e-9)


def test_a_run_passes_only_if_lammps_ran():
    assert RunResult(1, "on").passed
    assert not RunResult(1, "on", failure="ERROR: Lost atoms").passed
