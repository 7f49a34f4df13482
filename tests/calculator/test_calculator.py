"""The ASE calculator keeps ASE's contract."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_changes

from panna_plus import PannaPlusCalculator
from panna_plus.calculator.torch_backend import torch_device
from panna_plus.errors import ConfigError, DataError, ModelFileError, NumericalError
from panna_plus.families import load_potential
from tests.geometries import cluster, crystal, predict
from tests.small_model import ELEMENTS, REFERENCE_ENERGIES, moving, with_calculator

# Results


def test_all_properties_agree_with_each_other(calculator):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    energy = atoms.get_potential_energy()
    assert type(energy) is float
    assert atoms.get_potential_energy(force_consistent=True) == energy
    assert atoms.get_potential_energies().sum() == pytest.approx(energy, rel=1e-14)
    assert atoms.get_forces().dtype == atoms.get_stress().dtype == np.float64
    assert atoms.get_stress().shape == (6,)
    assert set(calculator.results) == set(calculator.implemented_properties)


def test_results_equal_those_of_the_potential(calculator, model):
    potential, _ = load_potential(model)
    for atoms in (cluster(ELEMENTS), crystal(ELEMENTS)):
        expected = predict(potential, atoms)
        moving(with_calculator(atoms, calculator))
        assert np.allclose(atoms.get_forces(), expected.forces, rtol=0, atol=1e-11)
        assert np.allclose(atoms.get_potential_energies(), expected.atomic_energies, rtol=0, atol=1e-11)


@pytest.mark.parametrize("component", range(6))
def test_stress_is_in_voigt_order_with_tension_positive(calculator, component):
    atoms = crystal(ELEMENTS)
    atoms.set_cell(atoms.cell.array @ np.array([[1, 0.1, -0.05], [0, 0.95, 0.15], [0.1, 0, 1.02]]), scale_atoms=True)
    moving(with_calculator(atoms, calculator))
    stress = atoms.get_stress()
    a, b = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)][component]
    # Six different numbers, so that no exchange goes unseen.
    assert np.abs(np.subtract.outer(stress, stress) + np.eye(6)).min() > 1e-4
    energies = []
    for h in (2e-5, -2e-5):
        strain = np.eye(3)
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        strained = with_calculator(atoms.copy(), calculator)
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        energies.append(strained.get_potential_energy())
    numerical = (energies[0] - energies[1]) / 4e-5 / atoms.get_volume()
    assert stress[component] == pytest.approx(numerical, abs=1e-6)


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_lone_atom_has_exactly_its_reference_energy(calculator, symbol):
    atoms = with_calculator(Atoms(symbol), calculator)
    assert atoms.get_potential_energy() == REFERENCE_ENERGIES[symbol]
    assert atoms.get_forces().tolist() == [[0.0, 0.0, 0.0]]


def test_no_atoms_have_no_energy(calculator):
    atoms = with_calculator(Atoms(cell=np.eye(3) * 5, pbc=True), calculator)
    assert atoms.get_potential_energy() == 0.0
    assert atoms.get_forces().shape == (0, 3)
    assert atoms.get_stress().tolist() == [0.0] * 6


@pytest.mark.parametrize(
    "atoms",
    [
        cluster(ELEMENTS),
        crystal(ELEMENTS, pbc=False),
        Atoms("H2", [[0, 0, 0], [0, 0, 1.0]], cell=[5, 5, 0], pbc=(True, True, False)),
    ],
    ids=["molecule", "cell without periodicity", "two vectors"],
)
def test_stress_without_a_volume_is_refused_and_the_rest_served(calculator, atoms):
    atoms = with_calculator(atoms.copy(), calculator)
    with pytest.raises(PropertyNotImplementedError, match="three independent vectors"):
        atoms.get_stress()
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(PropertyNotImplementedError, match="three independent vectors"):
        atoms.get_stress()
    assert "stress" not in calculator.results


def test_slab_with_three_vectors_has_a_stress(calculator):
    atoms = with_calculator(crystal(ELEMENTS, pbc=(True, True, False)), calculator)
    assert np.isfinite(atoms.get_stress()).all()


@pytest.mark.parametrize("name", ["stresses", "dipole", "charges", "magmoms"])
def test_other_properties_are_not_implemented(calculator, name):
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_property(name, cluster(ELEMENTS))


# Caching


@pytest.fixture
def counted(calculator, monkeypatch):
    """Return the calculator and the list of its calls to calculate."""
    calls = []
    original = calculator.calculate

    def calculate(atoms=None, properties=("energy",), system_changes=all_changes):
        calls.append(list(properties))
        original(atoms, properties, system_changes)

    monkeypatch.setattr(calculator, "calculate", calculate)
    return calculator, calls


def test_unchanged_atoms_are_served_from_the_cache(counted):
    calculator, calls = counted
    atoms = with_calculator(crystal(ELEMENTS), calculator)
    for _ in range(2):
        atoms.get_potential_energy()
        atoms.get_forces()
        atoms.get_stress()
    assert len(calls) == 1


CHANGES = {
    "positions": lambda atoms: atoms.positions.__setitem__((0, 0), atoms.positions[0, 0] + 0.01),
    "cell": lambda atoms: atoms.set_cell(atoms.cell.array * 1.01),
    "pbc": lambda atoms: atoms.set_pbc((True, False, True)),
    "numbers": lambda atoms: atoms.numbers.__setitem__(0, 29 if atoms.numbers[0] == 1 else 1),
    "removal": lambda atoms: atoms.__delitem__(2),
    "addition": lambda atoms: atoms.append("H"),
    "order": lambda atoms: atoms.set_positions(atoms.positions[::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("skin", [0.0, 1.0])
def test_changes_are_noticed(model, backend, change, skin):
    calculator = PannaPlusCalculator(model, device="cpu", skin=skin, backend=backend)
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    before = atoms.get_potential_energy()
    CHANGES[change](atoms)
    after = atoms.get_potential_energy()
    fresh = with_calculator(atoms.copy(), PannaPlusCalculator(model, device="cpu", skin=0.0, backend=backend))
    assert after != before
    assert after == fresh.get_potential_energy()
    assert (atoms.get_forces() == fresh.get_forces()).all()


def test_charges_and_moments_change_nothing(counted):
    calculator, calls = counted
    atoms = with_calculator(crystal(ELEMENTS), calculator)
    atoms.get_potential_energy()
    atoms.set_initial_charges([1.0] * len(atoms))
    atoms.set_initial_magnetic_moments([1.0] * len(atoms))
    atoms.get_potential_energy()
    assert len(calls) == 1


def test_returned_arrays_are_copies(calculator):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    for getter in (atoms.get_forces, atoms.get_stress, atoms.get_potential_energies):
        first = getter()
        kept = first.copy()
        first += 1e3
        assert (getter() == kept).all()


def test_atoms_are_not_changed(calculator):
    atoms = crystal(ELEMENTS)
    atoms.positions += 7 * atoms.cell.array.sum(axis=0)
    before = atoms.copy()
    moving(with_calculator(atoms, calculator))
    assert (atoms.positions == before.positions).all()
    assert (atoms.cell.array == before.cell.array).all()


def test_calculate_can_be_called_on_other_atoms(calculator):
    moving(with_calculator(crystal(ELEMENTS), calculator))
    other = cluster(ELEMENTS)
    calculator.calculate(other, ["energy", "forces"])
    assert calculator.results["forces"].shape == (len(other), 3)
    assert calculator.atoms == other
    assert "stress" not in calculator.results
    calculator.calculate()
    assert calculator.results["forces"].shape == (len(other), 3)


def test_calculate_without_any_atoms_is_refused(calculator):
    with pytest.raises(DataError, match="needs atoms"):
        calculator.calculate()


# Bad input


def test_unknown_element_is_refused_before_computing(calculator, monkeypatch):
    monkeypatch.setattr(calculator.backend, "predict", None)
    with pytest.raises(DataError, match=r"does not know O; it knows H, Cu"):
        with_calculator(Atoms("HO", [[0, 0, 0], [0, 0, 1]]), calculator).get_potential_energy()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("is_listed", [False, True])
def test_positions_that_are_not_finite_are_refused_before_computing(calculator, monkeypatch, bad, is_listed):
    atoms = with_calculator(crystal(ELEMENTS), calculator)
    if is_listed:
        atoms.get_potential_energy()
    monkeypatch.setattr(calculator.backend, "predict", None)
    atoms.positions[1, 2] = bad
    with pytest.raises(DataError, match="must be finite"):
        atoms.get_potential_energy()


def test_an_error_leaves_no_stale_result(calculator):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    good = atoms.get_potential_energy()
    atoms.positions[0, 0] += np.nan
    for _ in range(2):
        with pytest.raises(DataError):
            atoms.get_potential_energy()
    atoms.positions = crystal(ELEMENTS).positions
    assert atoms.get_potential_energy() == good


def test_a_failed_direct_call_leaves_no_results(calculator):
    calculator.calculate(crystal(ELEMENTS))
    assert calculator.results
    with pytest.raises(DataError):
        calculator.calculate(Atoms("O"))
    assert calculator.results == {}


@pytest.mark.parametrize("guard", [True, False])
def test_coincident_atoms_are_named(model, backend, guard):
    calculator = PannaPlusCalculator(model, device="cpu", guard=guard, backend=backend)
    with pytest.raises(NumericalError, match=r"atoms 0 and 2 \(Cu-H\) are 0.000 Å apart"):
        with_calculator(Atoms("CuHH", [[0, 0, 0], [0, 0, 1.5], [0, 0, 0]]), calculator).get_forces()


def test_periodic_cell_without_vectors_is_refused(calculator):
    with pytest.raises(DataError, match="linearly independent"):
        with_calculator(Atoms("H", pbc=True), calculator).get_potential_energy()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "'float64' or 'float32', found 'float16'"),
        ({"skin": -1.0}, "skin must be"),
        ({"skin": np.nan}, "skin must be"),
        ({"device": "gpu"}, "'auto', 'cpu', 'cuda' or 'cuda:N', found 'gpu'"),
        ({"device": "meta"}, "'auto', 'cpu', 'cuda' or 'cuda:N', found 'meta'"),
        ({"device": "cuda:99"}, "CUDA devices"),
        ({"backend": "jax"}, "'auto', 'native' or 'torch', found 'jax'"),
        ({"n_threads": 0}, "n_threads must be 1 or more, found 0"),
    ],
)
def test_wrong_options_are_refused(model, options, message):
    with pytest.raises(ConfigError, match=message):
        PannaPlusCalculator(model, **options)


def test_absent_gpu_is_an_error_and_not_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="PyTorch sees 0 CUDA devices"):
        torch_device("cuda")
    assert torch_device("auto") == torch.device("cpu")


def test_absent_and_foreign_files_are_refused(tmp_path, backend):
    with pytest.raises(ModelFileError, match=r"there is no model file|absent.pt' cannot be opened: No such file"):
        PannaPlusCalculator(tmp_path / "absent.pt", backend=backend)
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(ModelFileError, match=r"text.pt.*(not a complete|expected a zip archive)"):
        PannaPlusCalculator(tmp_path / "text.pt", backend=backend)
