"""The native engine behind the calculator: the numbers of PyTorch, without PyTorch."""

import pickle
import resource
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from panna_plus import PannaPlusCalculator
from panna_plus.calculator import ase_calculator
from panna_plus.errors import ConfigError, ModelFileError
from tests.geometries import chain, cluster, crystal
from tests.native.model_files import bp_arrays, mbp_arrays, random_model, write_model
from tests.small_model import ELEMENTS, moving, small_potential, with_calculator

SMALL_CELL = [[1.9, 0.1, 0.0], [0.3, 2.1, 0.0], [0.0, 0.5, 2.3]]
LARGE_TRICLINIC = np.array([[9.1, 0.4, -0.7], [2.6, 9.8, 0.9], [-3.1, 1.8, 10.3]])


@pytest.fixture(scope="module", params=["mbp", "bp"])
def three_elements(request, tmp_path_factory):
    """Path of a model of H, C and O with random weights."""
    descriptor = mbp_arrays() if request.param == "mbp" else bp_arrays()
    card, arrays = random_model(["H", "C", "O"], descriptor)
    for element in card["elements"]:
        arrays[f"element/{element}/layer/2/weight"] *= 4  # forces of the order of 1 eV/Å
    return write_model(tmp_path_factory.mktemp(request.param) / "model.pt", card, arrays)


def far_outside(atoms):
    """Shift each atom by cell vectors of its own."""
    atoms = atoms.copy()
    shifts = np.random.default_rng(4).integers(-3, 4, (len(atoms), 3)) * atoms.pbc
    atoms.positions += shifts @ atoms.cell.array
    return atoms


SYSTEMS = {
    "molecule": lambda e: cluster(e, n=12),
    "cell without periodicity": lambda e: crystal(e, pbc=False),
    "small triclinic cell": crystal,
    "large triclinic cell": lambda e: crystal(e, n=40, cell=LARGE_TRICLINIC),
    "atoms outside their cell": lambda e: far_outside(crystal(e)),
    "one atom that sees only itself": lambda e: Atoms(e[-1:], cell=SMALL_CELL, pbc=True),
    "slab": lambda e: crystal(e, pbc=(True, True, False)),
    "wire": lambda e: crystal(e, pbc=(False, False, True)),
    "chain": chain,
    "wire without other vectors": lambda e: Atoms(e[:2], [[0, 0, 0], [0.5, 1.1, 0.3]], cell=[1.9, 0, 0], pbc=(1, 0, 0)),
    "slab of two distant layers": lambda e: Atoms(
        e[:2] * 2, [[0, 0, 0], [1, 1, 0.8], [0, 0, 900], [1.2, 0.7, 900.9]], cell=[2.3, 2.6, 0], pbc=(1, 1, 0)
    ),
}  # fmt: skip


def both(model, atoms, **options):
    """Return the results of the native engine and of PyTorch."""
    calculators = [
        PannaPlusCalculator(model, device="cpu", guard=False, backend=b, **options) for b in ("native", "torch")
    ]
    for calculator in calculators:
        calculator.calculate(atoms)
    return [calculator.results for calculator in calculators]


def assert_equal_results(native, torch):
    assert native.keys() == torch.keys()
    n_atoms = len(torch["energies"])
    assert np.abs(native["energies"] - torch["energies"]).max() <= 1e-11
    assert abs(native["energy"] - torch["energy"]) <= 1e-11 * n_atoms
    assert native["free_energy"] == native["energy"]
    assert np.abs(native["forces"] - torch["forces"]).max() <= 1e-10
    if "stress" in torch:
        assert np.abs(native["stress"] - torch["stress"]).max() <= 1e-10


@pytest.mark.parametrize("system", SYSTEMS)
def test_native_equals_torch(model, three_elements, system):
    for path, elements in ((model, ELEMENTS), (three_elements, ["H", "C", "O"])):
        atoms = SYSTEMS[system](elements)
        native, torch = both(path, atoms)
        if len(atoms) > 1:
            assert np.sqrt((torch["forces"] ** 2).mean()) > 0.1
        assert_equal_results(native, torch)
        assert ("stress" in native) == (atoms.cell.rank == 3 and atoms.pbc.any())


def test_native_equals_torch_along_a_trajectory(model):
    """Lists are kept through steps, and made anew when atoms or elements are others."""
    native, torch = (PannaPlusCalculator(model, device="cpu", backend=b, guard=False) for b in ("native", "torch"))
    atoms = crystal(ELEMENTS, n=12, cell=LARGE_TRICLINIC * 0.6)
    generator = np.random.default_rng(2)
    for step in range(30):
        atoms.positions += generator.normal(0, 0.02, atoms.positions.shape)
        if step == 10:
            atoms.numbers[[0, 1]] = atoms.numbers[[1, 0]]
        if step == 20:
            del atoms[3]
        native.calculate(atoms)
        torch.calculate(atoms)
        assert_equal_results(native.results, torch.results)
    assert 2 <= native._pairs.n_listings < 20


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_of_the_engine_change_only_rounding(model, n_threads):
    atoms = moving(with_calculator(crystal(ELEMENTS).repeat(3), PannaPlusCalculator(model, device="cpu")))
    expected = atoms.get_forces()
    atoms.calc = PannaPlusCalculator(model, device="cpu", n_threads=n_threads)
    assert np.abs(atoms.get_forces() - expected).max() < 1e-12 * np.abs(expected).max()


def test_mixed_precision_is_near_double(model):
    double, mixed = (PannaPlusCalculator(model, dtype=d, device="cpu") for d in ("float64", "float32"))
    atoms = moving(with_calculator(crystal(ELEMENTS), double))
    difference = with_calculator(atoms.copy(), mixed).get_forces() - atoms.get_forces()
    assert 0.0 < np.abs(difference).max() < 1e-4


def test_evaluate_agrees(model):
    frames = [cluster(ELEMENTS), crystal(ELEMENTS), Atoms("H"), Atoms(), crystal(ELEMENTS, pbc=(True, False, True))]
    native, torch = (
        PannaPlusCalculator(model, device="cpu", backend=b).evaluate(frames, batch_size=2) for b in ("native", "torch")
    )
    for one, other in zip(native, torch, strict=True):
        if len(one["energies"]):
            assert_equal_results(one, other)


# Choice of the backend


def test_files_go_to_the_engine_and_potentials_in_memory_to_torch(model):
    assert PannaPlusCalculator(model).backend.name == "native"
    assert PannaPlusCalculator(model, device="cpu").backend.name == "native"
    assert PannaPlusCalculator(model, backend="torch", device="cpu").backend.name == "torch"
    assert PannaPlusCalculator(small_potential(), device="cpu").backend.name == "torch"
    with pytest.raises(ConfigError, match="a potential in memory: export it"):
        PannaPlusCalculator(small_potential(), backend="native")


def test_without_an_engine_torch_computes_and_one_line_says_so(model, monkeypatch):
    monkeypatch.setattr(ase_calculator, "is_built", lambda: False)
    with pytest.warns(UserWarning, match="native engine was not built; using the PyTorch reference") as said:
        calculator = PannaPlusCalculator(model, device="cpu")
    assert calculator.backend.name == "torch"
    assert len(said) == 1
    assert "\n" not in str(said[0].message)


WITHOUT_TORCH = """
import sys
from ase.build import bulk
from panna_plus import PannaPlusCalculator
atoms = bulk("Cu", cubic=True) * (2, 1, 1)
atoms.rattle(0.1)
atoms.calc = PannaPlusCalculator(sys.argv[1], dtype=sys.argv[2])
assert abs(atoms.get_forces()).max() > 0.1
atoms.get_stress()
atoms.calc.evaluate([atoms, atoms])
assert atoms.calc.backend.name == "native"
assert "torch" not in sys.modules, "torch was imported"
"""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_torch_is_not_imported(model, dtype):
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT_TORCH, str(model), dtype], check=True)


# Copies, threads, memory


def test_a_pickled_calculator_refuses_other_weights(model, tmp_path):
    path = tmp_path / "model.pt"
    shutil.copy(model, path)
    content = pickle.dumps(PannaPlusCalculator(path, device="cpu"))
    assert pickle.loads(content).evaluate([Atoms("H")])[0]["energy"] == -13.25
    card, arrays = random_model(ELEMENTS, mbp_arrays())
    write_model(path, card, arrays)
    with pytest.raises(ModelFileError, match="has other weights"):
        pickle.loads(content)


def test_many_calculators_in_many_threads(model):
    frames = [crystal(ELEMENTS, n=4 + k, cell=LARGE_TRICLINIC * 0.6, seed=k) for k in range(4)]

    def forces(atoms, calculator):
        return with_calculator(atoms.copy(), calculator).get_forces()

    dtypes = ["float64", "float32"] * 2
    expected = [forces(a, PannaPlusCalculator(model, dtype=d)) for a, d in zip(frames, dtypes, strict=True)]
    # Two threads in one evaluation add in another order.
    tolerance = {"float64": 1e-12, "float32": 1e-5}
    wrong = []

    def work(k):
        calculator = PannaPlusCalculator(model, dtype=dtypes[k], n_threads=1 + k % 2)
        for _ in range(25):
            calculator.reset()
            if np.abs(forces(frames[k], calculator) - expected[k]).max() > tolerance[dtypes[k]]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory in use from /proc")
def test_memory_is_steady(model):
    def resident():
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * resource.getpagesize()

    calculator = PannaPlusCalculator(model, device="cpu", guard=False)
    frames = [crystal(ELEMENTS, n=30, cell=LARGE_TRICLINIC, seed=s) for s in range(5)]
    sizes = []
    for step in range(500):
        calculator.calculate(frames[step % 5][: 20 + step % 10])
        sizes.append(resident())
    assert sizes[-1] - sizes[150] < 1e6


def test_molecules_and_metals_of_ase(model):
    """Structures as users have them: no cell at all, and a primitive cell far smaller than the cutoff."""
    for atoms in (molecule("H2"), bulk("Cu") * (1, 1, 2), bulk("Cu", "bcc", a=2.7)):
        assert_equal_results(*both(model, atoms))
