"""The engine against PyTorch in float64, against differences of its own energy, and against the laws of physics."""

import numpy as np
import pytest
from ase import Atoms

from panna_plus.families.panna.model import from_arrays
from panna_plus.graph import graph_from_atoms
from panna_plus.model_file import read_model
from panna_plus.native import Engine
from tests.native.conftest import DESCRIPTORS
from tests.native.systems import ELEMENTS, disordered_crystal, evaluate, rms

IMPLEMENTATIONS = ["reference", "portable", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
ACTIVATIONS = ["gaussian", "tanh", "silu", "relu", "lorentz"]


def opened(path, precision, kernels) -> Engine:
    """Open a model, or skip the test where the processor lacks the instructions."""
    from panna_plus.errors import ModelFileError

    try:
        return Engine(path, precision, kernels)
    except ModelFileError as error:
        if "not available on this processor" in str(error):
            pytest.skip(str(error))
        raise


def torch_prediction(path, atoms):
    """Evaluate a model file with the PyTorch implementation in float64."""
    file = read_model(path)
    potential = from_arrays(file.card["elements"], file.card["family_parameters"], file.arrays).double()
    return potential.predict(graph_from_atoms(atoms, potential.elements, potential.cutoff))


def assert_agrees(path, kernels):
    atoms = disordered_crystal()
    expected = torch_prediction(path, atoms)
    assert rms(expected.forces.numpy()) > 0.1
    exact = evaluate(opened(path, "double", kernels), atoms)
    assert abs(exact.energies - expected.atomic_energies.numpy()).max() < 1e-11
    assert abs(exact.forces - expected.forces.numpy()).max() < 1e-10
    stress = exact.strain_gradient / atoms.get_volume()
    assert abs(stress - expected.stress[0].numpy()).max() < 1e-11
    mixed = evaluate(opened(path, "mixed", kernels), atoms)
    assert abs(mixed.forces - expected.forces.numpy()).max() < 1e-4
    assert rms(mixed.forces - expected.forces.numpy()) < 1e-5
    assert abs(mixed.energies - expected.atomic_energies.numpy()).max() < 1e-5


@pytest.mark.parametrize("kernels", IMPLEMENTATIONS)
@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_descriptors_agree_with_torch(model_path, descriptor, kernels):
    assert_agrees(model_path(descriptor), kernels)


@pytest.mark.parametrize("kernels", IMPLEMENTATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_agree_with_torch(model_path, activation, kernels):
    assert_agrees(model_path("mbp", activation, "float32"), kernels)


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_forces_are_the_derivative_of_the_energy(model_path, descriptor):
    engine, atoms, step = Engine(model_path(descriptor)), disordered_crystal(), 1e-4
    forces = evaluate(engine, atoms).forces
    assert rms(forces) > 0.1
    for n, axis in ((0, 0), (3, 1), (7, 2), (12, 0)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[n, axis] += sign * step
            energies.append(evaluate(engine, moved).raw.energy)
        assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(forces[n, axis], abs=3e-6)


def test_mixed_forces_are_the_derivative_of_the_mixed_energy(model_path):
    """Along a long path, where the work is far above the rounding of float32."""
    engine, atoms = Engine(model_path("mbp"), "mixed"), disordered_crystal()
    direction = np.random.default_rng(0).normal(size=atoms.positions.shape) * 0.2
    work, energies, points, weights = 0.0, [], *np.polynomial.legendre.leggauss(16)
    for point, weight in zip(0.5 * (points + 1), 0.5 * weights, strict=True):
        moved = atoms.copy()
        moved.positions += point * direction
        work += weight * (evaluate(engine, moved).forces * direction).sum()
    for point in (0.0, 1.0):
        moved = atoms.copy()
        moved.positions += point * direction
        energies.append(evaluate(engine, moved).raw.energy)
    assert abs(work) > 0.1
    assert energies[0] - energies[1] == pytest.approx(work, abs=2e-4)


@pytest.mark.parametrize("descriptor", ["mbp", "bp"])
def test_virial_is_the_derivative_with_respect_to_strain(model_path, descriptor):
    engine, atoms, step = Engine(model_path(descriptor)), disordered_crystal(), 1e-5
    gradient = evaluate(engine, atoms).strain_gradient
    assert rms(gradient) > 0.1
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(evaluate(engine, strained).raw.energy)
        assert (energies[0] - energies[1]) / (2 * step) == pytest.approx(gradient[a, b], abs=2e-5)


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("kernels", ["reference", ""])
def test_virials_of_atoms_sum_to_the_virial(model_path, precision, kernels):
    atoms = disordered_crystal()
    result = evaluate(Engine(model_path("mbp"), precision, kernels), atoms, atomic_virials=True)
    tolerance = 1e-10 if precision == "double" else 1e-4
    assert result.raw.atomic_virials.sum(axis=0) == pytest.approx(result.raw.virial, abs=1e-9)
    centroid = result.raw.centroid_virials.sum(axis=0)
    assert centroid[:6] == pytest.approx(result.raw.virial, abs=tolerance)
    assert centroid[6:] == pytest.approx(centroid[3:6], abs=tolerance)
    assert abs(result.forces.sum(axis=0)).max() < (1e-11 if precision == "double" else 1e-4)


def test_rotation_turns_forces_and_keeps_energies(model_path):
    engine, atoms = Engine(model_path("mbp")), disordered_crystal()
    turned = atoms.copy()
    turned.rotate(37.0, (1.0, -2.0, 0.7), rotate_cell=True)
    matrix = np.linalg.solve(atoms.cell.array, turned.cell.array)
    before, after = evaluate(engine, atoms), evaluate(engine, turned)
    assert after.energies == pytest.approx(before.energies, abs=1e-11)
    assert after.forces == pytest.approx(before.forces @ matrix, abs=1e-11)


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("kernels", IMPLEMENTATIONS)
def test_lone_atoms_have_exactly_their_reference_energy(model_path, precision, kernels):
    path = model_path("mbp", dtype="float32")
    engine = opened(path, precision, kernels)
    atoms = Atoms(ELEMENTS * 30, np.arange(270).reshape(-1, 3) * 50.0)
    found = evaluate(engine, atoms)
    references = read_model(path).arrays["reference_energies"]
    assert (found.energies == np.tile(references, 30)).all()
    assert not found.forces.any() and found.raw.closest_ratio == np.inf and found.raw.closest_pair == (-1, -1)


def test_imported_models_keep_the_network_of_a_lone_atom(model_path):
    path = model_path("mbp", lone_atom="network")
    found = evaluate(Engine(path), Atoms(ELEMENTS, np.eye(3) * 50))
    expected = torch_prediction(path, Atoms(ELEMENTS, np.eye(3) * 50))
    references = read_model(path).arrays["reference_energies"]
    assert found.energies == pytest.approx(expected.atomic_energies.numpy(), abs=1e-11)
    assert abs(found.energies - references).max() > 1e-2


@pytest.mark.parametrize("angle", [180.0, 179.999, 0.0])
def test_straight_triplets_are_finite(model_path, angle):
    """At 0 degrees the two neighbors lie in the same direction at different distances."""
    bend = np.deg2rad(angle)
    atoms = Atoms(["O", "Si", "O"], [[1.6, 0, 0], [0, 0, 0], [2.7 * np.cos(bend), 2.7 * np.sin(bend), 0]])
    for descriptor in ("mbp", "mbp_cusp"):
        exact = evaluate(Engine(model_path(descriptor), "double"), atoms)
        reference = evaluate(Engine(model_path(descriptor), "double", "reference"), atoms)
        mixed = evaluate(Engine(model_path(descriptor), "mixed"), atoms)
        assert np.isfinite(exact.forces).all()
        assert exact.forces == pytest.approx(reference.forces, abs=1e-8)
        if descriptor == "mbp":
            assert mixed.forces == pytest.approx(exact.forces, abs=1e-4)
