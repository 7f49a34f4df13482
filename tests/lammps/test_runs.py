"""What people do with a pair style beyond one evaluation."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.export import export_model
from panna_plus.graph import graph_from_atoms
from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import (
    BIN,
    MEASURE,
    REPORT,
    Deck,
    Measured,
    finish,
    launch,
    measure,
    read_results,
    run_deck,
    write,
)
from tests.lammps.installation import recorded_installation
from tests.lammps.models import REFERENCE_ENERGIES
from tests.lammps.structures import triclinic
from tests.lammps.test_messages import rewritten

pytestmark = pytest.mark.lammps


def deck(**changes: object) -> Deck:
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], **changes})  # type: ignore[arg-type]


def check_forces(found: Measured, potential: Potential, atoms: Atoms) -> None:
    expected = reference.of_model(potential, atoms)
    assert np.sqrt((expected.forces**2).mean()) > 0.1
    assert abs(found.forces - expected.forces).max() <= 1e-10 * abs(expected.forces).max()
    assert abs(found.energy - expected.energies.sum()) <= 1e-9 * len(atoms)


@pytest.mark.parametrize("ranks", [1, 3])
def test_second_run_after_atoms_moved(ranks: int, model_path: str, potential: Potential, folder: Path) -> None:
    """`run 0` twice at one step: nothing may be kept from the first."""
    moves = ["displace_atoms all move 0.05 0.0 0.0", "displace_atoms first move 0.3 0.2 0.1"]
    found, _ = measure(deck(), model_path, folder, ranks, before=["group first id 1", "run 0", *moves])
    atoms = triclinic()
    atoms.positions[0] += [0.3, 0.2, 0.1]
    check_forces(found, potential, atoms)


def test_deleted_atoms_leave_gaps(model_path: str, potential: Potential, folder: Path) -> None:
    before = ["group some id 1:9", "run 0", "delete_atoms group some compress no"]
    found, _ = measure(deck(), model_path, folder, 2, before=before)
    check_forces(found, potential, triclinic()[9:])


def test_clear_and_start_again(model_path: str, potential: Potential, folder: Path) -> None:
    script = deck().script(model_path)
    lines = ["run 0", "clear", *script.splitlines()[:-1]]
    again = deck(run=lines)
    first_half = again.script(model_path)
    again.run = [*lines[:-1], *MEASURE, "run 0", REPORT]
    assert first_half.count("pair_style panna_plus") == 2
    outcome = run_deck(again, model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    check_forces(read_results(again, folder), potential, triclinic())


def test_repeated_pair_style_resets_its_options(model_path: str, potential: Potential, folder: Path) -> None:
    lines = ["pair_style panna_plus precision mixed guard off", "pair_coeff * * MODEL O Si"]
    lines += ["pair_style panna_plus OPTIONS", "pair_coeff * * MODEL NAMES"]
    found, outcome = measure(deck(pair=lines), model_path, folder)
    assert re.findall(r"precision (\w+), guard (\w+)", outcome.text) == [("mixed", "off"), ("double", "on")]
    check_forces(found, potential, triclinic())


def test_minimize(model_path: str, potential: Potential, folder: Path) -> None:
    """The potential energy falls in every iteration, and energy and forces at the end are those of PyTorch."""
    lines = ["min_style cg", "thermo 1", "minimize 0.0 0.0 12 100"]
    found, outcome = measure(deck(run=lines, options="precision double guard off"), model_path, folder, 2)
    energies = np.array(re.findall(r"^ +\d+ +(-\S+) ", outcome.text, re.MULTILINE), dtype=float)
    assert len(energies) == 13
    assert (np.diff(energies) < 0).all()
    atoms = triclinic()
    moved = found.positions - atoms.positions
    assert abs(moved).max() > 0.05
    atoms.positions = found.positions
    check_forces(found, potential, atoms)


def energies_of(outcome_text: str) -> np.ndarray:
    """Return the potential energies of all lines that `ENERGIES` prints, eV."""
    return np.array(re.findall(r"^ +\d+ +(-\d+\.\d+) *$", outcome_text, re.MULTILINE), dtype=float)


ENERGIES = ["thermo_style custom step pe", "thermo_modify format float %.15g", "thermo 1"]
MINIMIZATIONS = ["run 0", "minimize 0.0 0.0 2 10", "run 0", "minimize 0.0 0.0 2 10", "run 0"]


@pytest.mark.parametrize("backend", ["native", "torch"])
def test_minimize_is_double_and_runs_are_mixed(
    backend: str, model_path: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    if backend == "torch":
        request.getfixturevalue("torch_backend")
    found = {}
    for precision in ("mixed", "double"):
        options = f"precision {precision} guard off backend {backend}"
        outcome = run_deck(deck(run=[*ENERGIES, *MINIMIZATIONS], options=options), model_path, folder / precision)
        assert outcome.returncode == 0, outcome.text[-2000:]
        assert outcome.text.count("minimizations evaluate the model in double precision") == (precision == "mixed")
        found[precision] = energies_of(outcome.text)
    # One line for a run, three for a minimization of two iterations.
    in_run = np.array([True, False, False, False, True, False, False, False, True])
    difference = abs(found["mixed"] - found["double"])
    assert difference[~in_run].max() < 1e-9
    assert difference[in_run].min() > 1e-8, "these runs are not in mixed precision"
    assert np.ptp(found["double"][~in_run]) > 1.0


def test_minimize_takes_the_model_of_the_last_pair_coeff(model_path: str, folder: Path) -> None:
    """Not the one in double precision that an earlier minimization opened."""
    higher = rewritten(model_path, folder / "higher.pt", reference_energies=-9.0)
    energy = 'print "$(pe:%.17g)" append energies.txt'
    first = ["minimize 0.0 0.0 1 1", energy, f"pair_coeff * * {higher} Si O", "minimize 0.0 0.0 0 0", energy]
    outcome = run_deck(deck(run=[*ENERGIES, *first], options="guard off"), model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    before, after = (float(text) for text in (folder / "energies.txt").read_text().split())
    lone_atoms = dict(zip(("Si", "O"), REFERENCE_ENERGIES, strict=True))
    shift = sum(-9.0 - lone_atoms[symbol] for symbol in triclinic().get_chemical_symbols())
    assert after - before == pytest.approx(shift, abs=1e-6)


def test_minimize_finds_its_file_from_another_folder(model_path: str, folder: Path) -> None:
    folder.joinpath("own.pt").write_bytes(Path(model_path).read_bytes())
    moving = ["shell mkdir below", "shell cd below", "run 0", "minimize 0.0 0.0 2 10"]
    outcome = run_deck(deck(run=moving, options="guard off"), "own.pt", folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "minimizations evaluate the model in double precision" in outcome.text


def test_minimize_refuses_a_file_that_was_replaced(model_path: str, potential: Potential, folder: Path) -> None:
    folder.joinpath("own.pt").write_bytes(Path(model_path).read_bytes())
    other = copy.deepcopy(potential)
    other.reference_energies += 1.0
    export_model(other, folder / "new.pt", [graph_from_atoms(triclinic(), other.elements, other.cutoff)])
    replacing = ["run 0", "shell mv new.pt own.pt", "minimize 0.0 0.0 2 10"]
    outcome = run_deck(deck(run=replacing, options="guard off"), "own.pt", folder, 2)
    assert outcome.returncode != 0
    assert re.search(r"own.pt is not the one that pair_coeff read: give pair_coeff again", outcome.text)


def test_neighbor_lists_last_between_two_builds(model_path: str, folder: Path) -> None:
    """Dynamics with lists that are built anew every step, and only when an atom moved half the skin."""
    start = ["velocity all create 600 3", "timestep 0.0005", "fix move all nve", "thermo_style custom step pe temp"]
    energies = []
    for name, rule in (("always", "every 1 delay 0 check no"), ("needed", "every 1 delay 0 check yes")):
        lines = [*start, f"neigh_modify {rule}", "run 40", 'print "$(pe:%.17g)" file result.txt']
        outcome = run_deck(deck(run=lines), model_path, folder / name, 2)
        assert outcome.returncode == 0, outcome.text[-2000:]
        energies.append(float((folder / name / "result.txt").read_text()))
    assert abs(energies[0] - energies[1]) < 1e-8


BOX = 'print "$(lx:%.17g) $(ly:%.17g) $(lz:%.17g) $(xy:%.17g) $(xz:%.17g) $(yz:%.17g)" file box.txt'


def test_box_that_deforms_and_flips(model_path: str, potential: Potential, folder: Path) -> None:
    """After dynamics in a box that was sheared beyond its flip, on three ranks, forces are still those of PyTorch."""
    shear = ["velocity all create 300 3", "timestep 0.0005", "fix move all nve", "fix shear all deform 1 xy erate 12.0"]
    quiet = "precision double guard off"
    found, _ = measure(deck(options=quiet, run=["run 0", BOX]), model_path, folder, 3, before=[*shear, "run 40"])
    lx, ly, lz, xy, xz, yz = map(float, (folder / "box.txt").read_text().split())
    assert xy < 0 < triclinic().cell[1, 0], "the box did not flip"
    atoms = triclinic()
    atoms.cell = [[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]]
    atoms.positions = found.positions
    check_forces(found, potential, atoms)


def test_partitions_run_independently(model_path: str, folder: Path) -> None:
    """Two simulations in one mpiexec take different numbers of steps: neither may wait for the other."""
    lines = ["variable n world 3 9", "fix move all nve", "run $n", 'print "$n $(pe:%.17g)" file result$n.txt']
    write(deck(run=lines), model_path, folder)
    command = [str(BIN / "mpiexec"), "-n", "2", str(BIN / "lmp"), "-partition", "1", "1", "-in", "in.lammps"]
    outcome = finish(command, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert {path.name for path in folder.glob("result*.txt")} == {"result3.txt", "result9.txt"}


def test_grand_canonical_monte_carlo(model_path: str, folder: Path) -> None:
    """Trial moves rebuild the neighbor list within a step and exclude an otherwise empty group of atoms."""
    trial = "fix mc all gcmc 1 6 0 2 4321 300.0 -107.0 0.1 full_energy"
    lines = [trial, "run 4", "run 4", *MEASURE, "run 0", REPORT]
    other = deck(run=lines, options="precision double guard off")
    outcome = run_deck(other, model_path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]


def test_threads_give_the_same_numbers(model_path: str, potential: Potential, folder: Path) -> None:
    """OMP_NUM_THREADS is what LAMMPS takes its number of threads from."""
    other = deck(run=[*MEASURE, "run 0", REPORT])
    write(other, model_path, folder)
    outcome = launch(folder, environment={"OMP_NUM_THREADS": "3"})
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "using 3 OpenMP thread(s)" in outcome.text
    check_forces(read_results(other, folder), potential, triclinic())


@pytest.mark.parametrize(
    ("environment", "lines", "expected"),
    [({"OMP_NUM_THREADS": "3"}, [], "3"), ({"OMP_NUM_THREADS": "3"}, ["package omp 2"], "2"), ({}, [], "1")],
)
def test_threads_are_those_of_lammps(
    environment: dict[str, str], lines: list[str], expected: str, recorder: Path, model_path: str, folder: Path
) -> None:
    other = deck(first_lines=[*recorded_installation(folder, recorder), *lines])
    write(other, model_path, folder)
    outcome = launch(folder, environment=environment)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert next(folder.glob("asked.*")).read_text().split() == [expected]


def test_rerun_repeats_the_energies(model_path: str, folder: Path) -> None:
    dump = ["dump T all custom 2 track.dump id type x y z", "dump_modify T format float %.17g"]
    energy = "thermo_style custom step pe"
    dynamics = ["fix move all nve", "timestep 0.0005", *dump, energy, "thermo_modify format float %.15g", "thermo 2"]
    outcome = run_deck(deck(run=[*dynamics, "run 4", "undump T", "rerun track.dump dump x y z"]), model_path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    table = np.array(re.findall(r"^ +([024]) +(-\d+\.\S+) *$", outcome.text, re.MULTILINE), dtype=float)
    assert table[:3, 0].tolist() == table[3:, 0].tolist() == [0, 2, 4]
    assert np.ptp(table[:3, 1]) > 1e-4
    np.testing.assert_allclose(table[3:, 1], table[:3, 1], rtol=0, atol=1e-9)
