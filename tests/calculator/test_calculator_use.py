"""What the calculator adds to ASE's contract: skin, guard, batches, precision, copies; and the rest of ASE with it."""

import copy
import multiprocessing
import pickle
import resource
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.constraints import FixAtoms
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.io.trajectory import Trajectory
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS, FIRE
from ase.units import fs, kB

import panna_plus
from panna_plus import PannaPlusCalculator
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.calculator.torch_backend import graph_of
from panna_plus.errors import ConfigError, DataError, NumericalError
from panna_plus.export import export_model
from tests.geometries import cluster, crystal
from tests.geometries import graph_of as graph_of_all
from tests.small_model import (
    ELEMENTS,
    dimer,
    guarded_potential,
    moving,
    small_potential,
    with_calculator,
)

# Skin


@pytest.mark.parametrize("pbc", [True, False])
def test_skin_does_not_change_results(model, backend, pbc):
    with_skin, without = (PannaPlusCalculator(model, device="cpu", skin=s, backend=backend) for s in (0.8, 0.0))
    generator = np.random.default_rng(0)
    atoms = crystal(ELEMENTS, pbc=pbc)
    for step in range(40):
        atoms.positions += generator.normal(0, 0.03, atoms.positions.shape)
        if step == 20:
            atoms.set_cell(atoms.cell.array * 1.02, scale_atoms=True)
        results = []
        for calculator in (with_skin, without):
            moving(with_calculator(atoms, calculator))
            results.append(calculator.results)
        for name, value in results[0].items():
            assert np.array_equal(value, results[1][name]), f"{name} in step {step}"
    assert 2 <= with_skin._pairs.n_listings < 20
    assert without._pairs.n_listings == 40


def n_pairs_below_the_cutoff(pairs, atoms):
    pairs.update(atoms)
    return len(graph_of(atoms, pairs, np.zeros(len(atoms), dtype=np.int64), pairs.cutoff).centers)


def test_pairs_that_approach_through_the_skin_are_found():
    pairs = BufferedPairs(cutoff=2.0, skin=0.5)
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 2.6]])
    assert n_pairs_below_the_cutoff(pairs, atoms) == 0
    for length in np.arange(2.55, 1.5, -0.05):
        atoms.positions[1, 2] = length
        assert n_pairs_below_the_cutoff(pairs, atoms) == (2 if length < 2.0 else 0)
    assert pairs.n_listings > 1


def test_images_that_approach_by_a_change_of_the_cell_are_found():
    pairs = BufferedPairs(cutoff=2.0, skin=0.5)
    atoms = Atoms("H", cell=[9, 9, 9], pbc=True)
    for length, n_pairs in ((9.0, 0), (1.9, 2), (0.95, 4), (9.0, 0)):
        atoms.set_cell([length, 9, 9])
        assert n_pairs_below_the_cutoff(pairs, atoms) == n_pairs


def test_small_moves_keep_the_list_and_large_ones_renew_it():
    pairs = BufferedPairs(cutoff=2.0, skin=0.5)
    atoms = Atoms("H2", [[0, 0, 0], [0, 0, 1.5]])
    for moved, n_listings in ((0.0, 1), (0.24, 1), (0.02, 2), (0.2, 2)):
        atoms.positions[0, 0] += moved
        pairs.update(atoms)
        assert pairs.n_listings == n_listings


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory in use from /proc")
def test_memory_does_not_grow(calculator):
    def resident():
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * resource.getpagesize()

    sizes = []
    for step in range(600):
        calculator.calculate(crystal(ELEMENTS, n=3 + step % 4, seed=step % 50))
        sizes.append(resident())
    assert sizes[-1] - sizes[200] < 2e6


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [2, 4])
def test_number_of_threads_changes_only_rounding(calculator, n_threads):
    atoms = with_calculator(crystal(ELEMENTS).repeat(3), calculator)
    expected = moving(atoms).get_forces()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(n_threads)
        calculator.reset()
        assert np.abs(atoms.get_forces() - expected).max() < 1e-12 * np.abs(expected).max()
    finally:
        torch.set_num_threads(before)


# Guard


def exported(potential, path):
    export_model(potential, path, [graph_of_all(potential, cluster(ELEMENTS))])
    return path


@pytest.fixture
def guarded(backend, tmp_path):
    """A model with shortest distances: a file for the engine, a potential in memory for PyTorch."""
    potential = guarded_potential()
    return potential if backend == "torch" else exported(potential, tmp_path / "guarded.pt")


@pytest.mark.parametrize(("symbols", "shortest"), [("HH", 1.0), ("HCu", 1.5), ("CuH", 1.5), ("CuCu", 2.0)])
def test_guard_warns_once_then_stops(guarded, symbols, shortest):
    calculator = PannaPlusCalculator(guarded, device="cpu")
    with_calculator(dimer(symbols, 0.96 * shortest), calculator).get_forces()
    with pytest.warns(UserWarning, match=rf"shortest .* is {shortest:.3f} Å: the model extrapolates"):
        with_calculator(dimer(symbols, 0.94 * shortest), calculator).get_forces()
    with_calculator(dimer(symbols, 0.61 * shortest), calculator).get_forces()
    with pytest.raises(NumericalError, match=rf"atoms 0 and 1 \(.*\) are .* {shortest:.3f} Å: below 0.6 of it"):
        with_calculator(dimer(symbols, 0.59 * shortest), calculator).get_forces()


def test_guard_off_is_silent(guarded):
    calculator = PannaPlusCalculator(guarded, device="cpu", guard=False)
    assert np.isfinite(with_calculator(dimer("CuCu", 0.5), calculator).get_forces()).all()


def test_pairs_never_seen_in_training_are_not_guarded(backend, tmp_path):
    potential = guarded_potential()
    potential.shortest_distances[0, 0] = 0.0
    model = potential if backend == "torch" else exported(potential, tmp_path / "model.pt")
    calculator = PannaPlusCalculator(model, device="cpu")
    assert calculator.backend.name == backend
    assert np.isfinite(with_calculator(dimer("HH", 0.3), calculator).get_forces()).all()


def test_guard_sees_periodic_images(guarded):
    calculator = PannaPlusCalculator(guarded, device="cpu")
    atoms = Atoms("Cu", cell=[1.1, 9, 9], pbc=True)
    with pytest.raises(NumericalError, match=r"atoms 0 and 0 \(Cu-Cu\) are 1.100 Å apart"):
        with_calculator(atoms, calculator).get_forces()


def test_results_that_are_not_finite_are_refused():
    potential = small_potential()
    potential.networks[0][-1].bias.data.fill_(np.inf)
    with pytest.raises(NumericalError, match="not finite"):
        with_calculator(cluster(ELEMENTS), PannaPlusCalculator(potential, device="cpu")).get_forces()


# Many frames


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_evaluate_equals_single_calls(calculator, batch_size):
    frames = [
        cluster(ELEMENTS),
        Atoms("H"),
        crystal(ELEMENTS),
        Atoms(),
        cluster(ELEMENTS, seed=5),
        crystal(ELEMENTS, seed=6),
    ]
    results = calculator.evaluate(frames, batch_size)
    assert calculator.results == {}
    assert len(results) == len(frames)
    for atoms, result in zip(frames, results, strict=True):
        with_calculator(atoms, calculator).get_potential_energy()
        assert result.keys() == calculator.results.keys()
        assert type(result["energy"]) is float
        for name, value in calculator.results.items():
            assert np.allclose(result[name], value, rtol=1e-13, atol=1e-11), name
    assert results[0]["forces"].base is None
    assert "stress" in results[2]
    assert "stress" not in results[0]


def test_evaluate_of_nothing_is_nothing(calculator):
    assert calculator.evaluate([]) == []


def test_evaluate_names_the_frame(calculator, guarded):
    frames = [cluster(ELEMENTS)] * 3 + [Atoms("O")]
    with pytest.raises(DataError, match="frame 3: the model does not know O"):
        calculator.evaluate(frames, batch_size=2)
    with pytest.raises(NumericalError, match="frame 1: atoms 0 and 1"):
        PannaPlusCalculator(guarded, device="cpu").evaluate([Atoms("H"), dimer("HH", 0.2)])
    with pytest.raises(ConfigError, match="batch_size must be 1 or more, found 0"):
        calculator.evaluate(frames, batch_size=0)


# Precision


def test_two_precisions_live_together(model, backend):
    double, single = (
        PannaPlusCalculator(model, dtype=d, device="cpu", backend=backend) for d in ("float64", "float32")
    )
    for _ in range(2):
        atoms = moving(with_calculator(crystal(ELEMENTS), double))
        exact = atoms.get_forces()
        difference = np.abs(with_calculator(atoms, single).get_forces() - exact).max()
        assert 0.0 < difference < 1e-4
        assert single.results["forces"].dtype == np.float64
    assert (with_calculator(crystal(ELEMENTS), double).get_forces() == exact).all()
    assert torch.get_default_dtype() == torch.float32


def test_computing_and_failing_leave_torch_as_it_was(model, backend):
    def settings():
        state = torch.get_rng_state().numpy().tobytes()
        return torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), state

    before = settings()
    calculator = PannaPlusCalculator(model, dtype="float32", device="cpu", backend=backend)
    moving(with_calculator(crystal(ELEMENTS), calculator))
    with pytest.raises(DataError):
        with_calculator(Atoms("O"), calculator).get_forces()
    assert settings() == before


def test_works_where_gradients_are_switched_off(calculator):
    with torch.no_grad():
        moving(with_calculator(crystal(ELEMENTS), calculator))
        assert not torch.is_grad_enabled()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gpu_equals_cpu(model, dtype):
    on_gpu, on_cpu = (PannaPlusCalculator(model, dtype=dtype, device=d, backend="torch") for d in ("cuda", "cpu"))
    for atoms in (cluster(ELEMENTS), crystal(ELEMENTS), Atoms("H")):
        with_calculator(atoms, on_cpu).get_forces()
        with_calculator(atoms, on_gpu).get_forces()
        for name, value in on_cpu.results.items():
            assert np.allclose(on_gpu.results[name], value, rtol=0, atol=1e-10 if dtype == "float64" else 1e-4), name


# Copies


def make_copy(calculator, kind):
    if kind == "pickle":
        return pickle.loads(pickle.dumps(calculator))
    return {"copy": copy.copy, "deepcopy": copy.deepcopy}[kind](calculator)


@pytest.mark.parametrize("kind", ["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_copies_compute_the_same(model, backend, kind, dtype):
    calculator = PannaPlusCalculator(model, dtype=dtype, device="cpu", skin=0.7, guard=False, backend=backend)
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    twin = make_copy(calculator, kind)
    assert twin.todict() == calculator.todict()
    assert twin.backend is not calculator.backend
    assert twin._pairs is not calculator._pairs
    twin.reset()
    assert (with_calculator(crystal(ELEMENTS), twin).get_forces() == atoms.get_forces()).all()
    if backend == "torch":
        for parameter in twin.backend.potential.parameters():
            parameter.data.zero_()
    calculator.reset()
    assert (with_calculator(crystal(ELEMENTS), calculator).get_forces() == atoms.get_forces()).all()


def test_atoms_with_a_calculator_can_be_copied_deeply(calculator):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    twin = copy.deepcopy(atoms)
    assert twin.get_potential_energy() == atoms.get_potential_energy()


def energy_of(atoms):
    return atoms.get_potential_energy()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_other_processes_compute_the_same(calculator, method):
    frames = [with_calculator(crystal(ELEMENTS, seed=s), calculator) for s in range(3)]
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.map(energy_of, frames)
    assert found == [energy_of(a) for a in frames]


def forces_of(atoms, calculator):
    return with_calculator(atoms.copy(), calculator).get_forces()


def test_threads_compute_the_same(model, backend):
    frames = [[crystal(ELEMENTS, n=3 + s % 3, seed=s) for s in range(k, k + 8)] for k in (0, 20)]
    expected = [[forces_of(a, PannaPlusCalculator(model, device="cpu", backend=backend)) for a in f] for f in frames]
    found: list[list] = [[], []]

    def work(index):
        calculator = PannaPlusCalculator(model, device="cpu", backend=backend)
        for atoms in frames[index]:
            found[index].append(forces_of(atoms, calculator))

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(found, expected, strict=True):
        assert len(mine) == 8
        assert all((a == b).all() for a, b in zip(mine, theirs, strict=True))


def test_potential_in_memory_is_copied():
    potential = small_potential()
    calculator = PannaPlusCalculator(potential, device="cpu")
    forces = moving(with_calculator(cluster(ELEMENTS), calculator)).get_forces()
    for parameter in potential.parameters():
        assert parameter.requires_grad
        parameter.data.zero_()
    calculator.reset()
    assert (with_calculator(cluster(ELEMENTS), calculator).get_forces() == forces).all()


def test_todict_holds_the_arguments(model):
    calculator = PannaPlusCalculator(str(model), dtype="float32", device="cpu", skin=0.3, guard=False)
    arguments = calculator.todict()
    expected = {"model": str(model), "dtype": "float32", "device": "cpu", "skin": 0.3, "guard": False}
    assert arguments == expected | {"backend": "auto", "n_threads": 1}
    assert PannaPlusCalculator(**arguments).todict() == arguments
    assert calculator.elements == ELEMENTS


def test_package_offers_the_calculator_lazily():
    assert panna_plus.PannaPlusCalculator is PannaPlusCalculator
    program = "import sys, panna_plus; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = panna_plus.absent


# With the rest of ASE


def test_sum_with_another_calculator(calculator):
    atoms = with_calculator(crystal(ELEMENTS), calculator)
    first = [atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()]
    other = LennardJones(epsilon=0.01, sigma=1.5, rc=4.0)
    atoms.calc = other
    second = [atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()]
    atoms.calc = SumCalculator([calculator, other])
    both = [atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()]
    for a, b, c in zip(first, second, both, strict=True):
        assert np.abs(b).max() > 0.0
        assert np.allclose(a + b, c, rtol=1e-12)


@pytest.fixture
def bounded():
    """Return a calculator with a repulsive wall added, because an untrained potential has no minimum."""
    return SumCalculator(
        [PannaPlusCalculator(small_potential(), device="cpu"), LennardJones(epsilon=2.0, sigma=1.6, rc=8.0)]
    )


@pytest.mark.parametrize("optimizer", [FIRE, BFGS])
def test_relaxation_of_atoms_lowers_the_forces(bounded, optimizer):
    atoms = with_calculator(cluster(ELEMENTS), bounded)
    atoms.set_constraint(FixAtoms([0]))
    fixed, before = atoms.positions[0].copy(), atoms.get_potential_energy()
    optimizer(atoms, logfile=None).run(fmax=0.2, steps=60)
    assert atoms.get_potential_energy() < before - 0.1
    assert (atoms.positions[0] == fixed).all()


def test_relaxation_of_the_cell_lowers_the_energy(bounded):
    atoms = with_calculator(crystal(ELEMENTS), bounded)
    before, cell = atoms.get_potential_energy(), atoms.cell.array.copy()
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.05, steps=25)
    assert atoms.get_potential_energy() < before - 0.1
    assert np.abs(atoms.cell.array - cell).max() > 1e-3


def test_dynamics_conserve_the_energy(calculator, tmp_path):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    thermal = np.sqrt(atoms.get_masses() * 300 * kB)[:, None]
    atoms.set_momenta(thermal * np.random.default_rng(1).normal(size=(len(atoms), 3)))
    energies = []
    dynamics = VelocityVerlet(atoms, timestep=0.1 * fs, trajectory=str(tmp_path / "md.traj"))
    dynamics.attach(lambda: energies.append(atoms.get_total_energy()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dynamics.run(60)
    dynamics.close()
    kinetic = atoms.get_kinetic_energy()
    assert kinetic > 0.05
    assert np.ptp(energies) < 0.02 * kinetic
    assert calculator._pairs.n_listings < 20
    with Trajectory(str(tmp_path / "md.traj")) as frames:
        assert len(frames) == 61
        assert frames[-1].get_potential_energy() == pytest.approx(atoms.get_potential_energy())


def test_results_survive_being_written(calculator, tmp_path):
    atoms = moving(with_calculator(crystal(ELEMENTS), calculator))
    atoms.write(tmp_path / "frame.xyz")
    again = read(tmp_path / "frame.xyz")
    assert np.allclose(again.get_forces(), atoms.get_forces(), atol=1e-7)
    assert np.allclose(again.get_stress(), atoms.get_stress(), atol=1e-7)
