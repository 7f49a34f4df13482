"""The calculator with so3krates models: both backends keep the same promises and give the same numbers."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus import PannaPlusCalculator
from panna_plus.errors import DataError, ModelFileError
from panna_plus.model_file import read_model
from tests.geometries import chain, cluster, crystal, largest, slope
from tests.native.model_files import write_model
from tests.small_model import moving, with_calculator
from tests.small_so3krates import ELEMENTS, REFERENCE_ENERGIES, VARIANTS

# Tables of the radial filters stand between the engine and the exact potential.
EXACT, NEAR = 1e-9, 2e-9
BIG_CELL = np.array([[9.1, 0.4, -0.7], [2.6, 9.8, 0.9], [-3.1, 1.8, 10.3]])
SYSTEMS = {
    "molecule": lambda: cluster(ELEMENTS, n=12),
    "ion": lambda: with_info(cluster(ELEMENTS), charge=-1, spin=1),
    "small triclinic cell": lambda: crystal(ELEMENTS),
    "large triclinic cell": lambda: crystal(ELEMENTS, n=40, cell=BIG_CELL),
    "one atom that sees only itself": lambda: Atoms("C", cell=[[1.9, 0.1, 0], [0.3, 2.1, 0], [0, 0.5, 2.3]], pbc=True),
    "slab": lambda: crystal(ELEMENTS, pbc=(True, True, False)),
    "wire": lambda: crystal(ELEMENTS, pbc=(False, False, True)),
    "chain": lambda: chain(ELEMENTS),
    "lone atoms": lambda: Atoms(ELEMENTS, np.diag([1.0, 2.0, 3.0]) * 50),
    "lone pair beyond the messages": lambda: Atoms("CO", [[0, 0, 0], [0, 0, 4.5]]),
}


def with_info(atoms, **info):
    atoms.info.update(info)
    return atoms


@pytest.fixture(params=VARIANTS)
def variant_path(request, so3krates_path):
    return so3krates_path(request.param)


@pytest.fixture
def so3krates(so3krates_path):
    """Path of the model with all terms."""
    return so3krates_path()


@pytest.fixture
def equivariant(so3krates, backend):
    """The calculator of the model with all terms."""
    return PannaPlusCalculator(so3krates, device="cpu", backend=backend, guard=False)


def results_of(path, atoms, backend, **options):
    calculator = PannaPlusCalculator(path, device="cpu", guard=False, backend=backend, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="a periodic cell with a total charge|Hirshfeld ratios")
        calculator.calculate(atoms)
    return calculator.results, calculator.details


def assert_near(found, wanted, tolerance):
    (results, details), (expected, expected_details) = found, wanted
    assert results.keys() == expected.keys() and details.keys() == expected_details.keys()
    n_atoms = max(len(expected["energies"]), 1)
    assert abs(results["energy"] - expected["energy"]) <= tolerance * n_atoms
    for name in results.keys() - {"energy", "free_energy"}:
        assert largest(results[name] - expected[name]) <= tolerance * (n_atoms if name == "dipole" else 1), name
    for name in details:
        assert largest(details[name] - expected_details[name]) <= tolerance, name


@pytest.mark.parametrize("system", SYSTEMS)
def test_native_equals_torch(variant_path, system):
    atoms = SYSTEMS[system]()
    native, reference = (results_of(variant_path, atoms, backend) for backend in ("native", "torch"))
    if not system.startswith(("lone", "one")):
        assert np.sqrt((reference[0]["forces"] ** 2).mean()) > 0.1
    assert_near(native, reference, NEAR)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_of_the_engine_change_only_rounding(so3krates, n_threads):
    atoms = crystal(ELEMENTS).repeat(2)
    one, many = (results_of(so3krates, atoms, "native", n_threads=n) for n in (1, n_threads))
    assert np.abs(one[0]["forces"]).max() > 0.1
    assert_near(many, one, 1e-11)


def test_mixed_precision_is_near_double(so3krates):
    atoms = crystal(ELEMENTS)
    double, mixed = (results_of(so3krates, atoms, "native", dtype=d)[0] for d in ("float64", "float32"))
    assert np.sqrt((double["forces"] ** 2).mean()) > 0.1
    assert 0.0 < largest(mixed["forces"] - double["forces"]) < 1e-4
    assert abs(mixed["energy"] - double["energy"]) < 1e-5 * len(atoms)


def test_forces_are_the_derivative_of_the_energy(equivariant):
    atoms = with_info(cluster(ELEMENTS), charge=1)
    moving(with_calculator(atoms, equivariant))
    forces, start = atoms.get_forces().copy(), atoms.positions.copy()
    direction = np.random.default_rng(0).normal(size=forces.shape)

    def energy(t):
        atoms.positions = start + t * direction
        return atoms.get_potential_energy()

    assert slope(energy, 1e-3) == pytest.approx(-(forces * direction).sum(), abs=1e-7)


def test_lone_atoms_have_exactly_their_reference_energy(equivariant):
    for symbol, energy in zip(ELEMENTS, REFERENCE_ENERGIES, strict=True):
        atoms = with_calculator(Atoms(symbol), equivariant)
        assert atoms.get_potential_energy() == energy
        assert not atoms.get_forces().any()


def test_no_atoms_have_no_energy(equivariant):
    atoms = with_calculator(Atoms(cell=np.eye(3) * 5, pbc=True), equivariant)
    assert atoms.get_potential_energy() == 0.0
    assert atoms.get_forces().shape == (0, 3) and equivariant.details["charges"].shape == (0,)


def test_details_are_those_of_the_family(equivariant, so3krates):
    atoms = with_calculator(with_info(cluster(ELEMENTS), charge=1), equivariant)
    energies = atoms.get_potential_energies()
    details = equivariant.details
    parts = {"network_energies", "repulsion_energies", "electrostatic_energies", "dispersion_energies"}
    assert set(details) == parts | {"charges", "hirshfeld_ratios"}
    assert largest(sum(details[name] for name in parts) - energies) < 1e-10
    assert atoms.get_charges() == pytest.approx(details["charges"])
    assert atoms.get_charges().sum() == pytest.approx(1.0, abs=1e-12)
    assert atoms.get_dipole_moment() == pytest.approx(atoms.get_charges() @ atoms.positions)
    assert {"charges", "dipole"} <= set(equivariant.implemented_properties)


def test_periodic_atoms_have_charges_and_no_dipole(equivariant):
    equivariant.calculate(crystal(ELEMENTS))
    assert "charges" in equivariant.results and "dipole" not in equivariant.results


def test_cache_sees_charge_and_spin(equivariant):
    atoms = with_calculator(cluster(ELEMENTS), equivariant)
    energies = [atoms.get_potential_energy()]
    for info in ({"charge": 1}, {"spin": 1}, {"charge": 0}, {"spin": 0}):
        atoms.info.update(info)
        assert equivariant.check_state(atoms) == [next(iter(info))]
        energies.append(atoms.get_potential_energy())
        atoms.info["note"] = "something else"
        assert equivariant.check_state(atoms) == []
    assert energies[0] == energies[-1]
    assert len({round(e, 6) for e in energies}) == 4


def test_models_without_states_look_at_none(so3krates_path, backend):
    calculator = PannaPlusCalculator(so3krates_path("plain"), device="cpu", backend=backend)
    atoms = with_calculator(with_info(cluster(ELEMENTS), charge="none", spin=17), calculator)
    energy = atoms.get_potential_energy()
    atoms.info.clear()
    assert calculator.check_state(atoms) == [] and atoms.get_potential_energy() == energy


@pytest.mark.parametrize("info", [{"spin": 3}, {"spin": -1}, {"spin": 0.5}, {"charge": 0.5}, {"charge": "two"}])
def test_states_that_mean_nothing_are_refused(equivariant, info):
    with pytest.raises(DataError, match=rf"atoms.info\['{next(iter(info))}'\]"):
        equivariant.calculate(with_info(cluster(ELEMENTS), **info))
    with pytest.raises(DataError, match=r"frame 1: atoms.info"):
        equivariant.evaluate([cluster(ELEMENTS), with_info(cluster(ELEMENTS), **info)])


def test_remarks_are_said_once(so3krates, backend):
    def said(atoms):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with_calculator(atoms, calculator).get_potential_energy()
        return [(str(w.message), w.filename) for w in caught]

    calculator = PannaPlusCalculator(so3krates, device="cpu", backend=backend, guard=False)
    ((text, where),) = said(with_info(cluster(ELEMENTS), charge=2))
    assert text.startswith("total charge 2: no reference with a charge other than -1 to 1 stands behind")
    assert text.endswith("(said once)") and where == __file__
    ((text, _),) = said(with_info(crystal(ELEMENTS), charge=1))
    assert text.startswith("a periodic cell with a total charge")
    assert said(with_info(cluster(ELEMENTS, seed=3), charge=2)) == []


def test_low_ratios_are_said_with_element_and_count(so3krates, tmp_path, backend):
    stored = read_model(so3krates)
    arrays = {name: a.copy() for name, a in stored.arrays.items()}
    arrays["terms/ratios/offset/weight"][2] = 0.01
    arrays["terms/ratios/query/weight"][2] *= 0.01
    path = write_model(tmp_path / "model.pt", stored.card, arrays)
    calculator = PannaPlusCalculator(path, device="cpu", backend=backend, guard=False)
    atoms = cluster(ELEMENTS)
    n = atoms.get_chemical_symbols().count("O")
    with pytest.warns(UserWarning, match=rf"Hirshfeld ratios below 0.3 for {n} of {n} O atoms .*\(said once\)"):
        calculator.calculate(atoms)


@pytest.mark.parametrize("kind", ["copied", "deeply copied", "pickled"])
def test_copies_compute_the_same(equivariant, kind):
    copies = {"copied": copy.copy, "deeply copied": copy.deepcopy, "pickled": lambda c: pickle.loads(pickle.dumps(c))}
    atoms = with_info(cluster(ELEMENTS), charge=1)
    expected = with_calculator(atoms.copy(), equivariant).get_forces()
    assert (with_calculator(atoms, copies[kind](equivariant)).get_forces() == expected).all()
    assert set(atoms.calc.details) == set(equivariant.details)


def test_many_frames_agree_with_single_ones(equivariant):
    frames = [
        cluster(ELEMENTS),
        with_info(crystal(ELEMENTS), charge=-1),
        Atoms("O"),
        with_info(cluster(ELEMENTS), spin=2),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = equivariant.evaluate(frames, batch_size=3)
        for frame, found in zip(frames, together, strict=True):
            equivariant.calculate(frame)
            details = found.pop("details")
            assert_near((found, details), (equivariant.results, equivariant.details), EXACT)


def test_along_a_trajectory(so3krates):
    """Lists are kept through steps; pairs of the short cutoff come and go within those of the long one."""
    native, reference = (
        PannaPlusCalculator(so3krates, device="cpu", backend=b, guard=False) for b in ("native", "torch")
    )
    atoms = crystal(ELEMENTS, n=10, cell=0.6 * BIG_CELL)
    generator = np.random.default_rng(2)
    for step in range(8):
        atoms.positions += generator.normal(0, 0.03, atoms.positions.shape)
        if step == 4:
            atoms.numbers[[0, 1]] = atoms.numbers[[1, 0]]
        if step == 6:
            del atoms[3]
        for calculator in (native, reference):
            calculator.calculate(atoms)
        assert_near((native.results, native.details), (reference.results, reference.details), NEAR)
    assert native._pairs.n_listings < 8


# Choice of the backend


def test_files_go_to_the_engine(so3krates):
    assert PannaPlusCalculator(so3krates).backend.name == "native"


def test_files_without_tables_go_to_torch_and_say_why(so3krates, tmp_path):
    """Files of earlier versions have none."""
    stored = read_model(so3krates)
    arrays = {name: a for name, a in stored.arrays.items() if not name.startswith("tables/")}
    old = write_model(tmp_path / "old.pt", stored.card, arrays)
    with pytest.raises(ModelFileError, match="tables/"):
        PannaPlusCalculator(old, backend="native")
    with pytest.warns(
        UserWarning, match=r"using the PyTorch reference, which is slower, since the engine says: .*tables"
    ):
        calculator = PannaPlusCalculator(old)
    assert calculator.backend.name == "torch"
    atoms = cluster(ELEMENTS)
    calculator.calculate(atoms)
    assert_near((calculator.results, calculator.details), results_of(so3krates, atoms, "torch"), 1e-14)


WITHOUT_TORCH = """
import sys
from ase.build import molecule
from panna_plus import PannaPlusCalculator
atoms = molecule("CH3CH2OH")
atoms.calc = PannaPlusCalculator(sys.argv[1], guard=False)
assert abs(atoms.get_forces()).max() > 0.1
atoms.get_dipole_moment()
assert "torch" not in sys.modules, "torch was imported"
"""


def test_torch_is_not_imported(so3krates):
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(so3krates)], check=True)


def test_computing_leaves_torch_as_it_was(equivariant):
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled()
    equivariant.calculate(cluster(ELEMENTS))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_default_dtype(), torch.is_grad_enabled())
