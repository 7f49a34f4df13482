"""A simulation of 16 atoms in LAMMPS, that of this environment or another, compared with the engine in Python."""

import tempfile
from pathlib import Path

from panna_plus.lammps import plugin_directory
from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped
from panna_plus.verify.probes.lammps import PLUGIN
from panna_plus.verify.processes import reports_of, run_task
from panna_plus.verify.programs import LAUNCHERS, failure_of, lammps_command, own_program, run_lammps

TRIAL_SECONDS = 120.0
TOLERANCE = 1e-8  # eV
REMEDY = "mend what is marked above first; if nothing is, report this with panna-plus doctor --json"


@probe("on 1 rank")
def one_rank() -> Verdict:
    """Run one step on one rank."""
    return simulation(1)


@probe("on 2 ranks")
def two_ranks() -> Verdict:
    """Run one step on two ranks, started by the launcher of this environment."""
    if own_program("lmp") and not own_program(*LAUNCHERS):
        return skipped("this environment has no mpiexec")
    return simulation(2)


def simulation(ranks: int) -> Verdict:
    """Run one step of the tiny model and compare its energy with the engine's."""
    if own_program("lmp") is None:
        return skipped("this environment has no lmp")
    if not (Path(plugin_directory()) / PLUGIN).is_file():
        return skipped("there is no pair style for this LAMMPS")
    return compared_with_engine(ranks)


def compared_with_engine(ranks: int, lmp: Path | None = None) -> Verdict:
    """Run one step of the tiny model in LAMMPS, by default that of this environment, and compare energies."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        expected = reports_of(run_task("engine", text, seconds=TRIAL_SECONDS)).get("energy")
        if expected is None:
            return skipped("the native engine does not work")
        return compared(folder, ranks, expected, lmp)


def compared(folder: Path, ranks: int, expected: float, lmp: Path | None) -> Verdict:
    """Run LAMMPS in a folder that holds the model, and judge what it says."""
    from panna_plus.verify.deck import MEASURE, REPORT, Deck, read_results
    from panna_plus.verify.tiny import tiny_atoms

    deck = Deck(tiny_atoms(), ["Si"], run=[*MEASURE, "run 0", REPORT])
    deck.write("model.pt", folder)
    command = " ".join(lammps_command(ranks, lmp)[:-4])
    failure = failure_of(run_lammps(folder, ranks, TRIAL_SECONDS, lmp), ranks)
    if failure:
        return problem(f"{command} failed: {failure}", REMEDY)
    energy = read_results(deck, folder).energy
    if not abs(energy - expected) < TOLERANCE:
        found = f"LAMMPS finds {energy:.10f} eV, the engine in Python {expected:.10f} eV"
        return problem(found, "reinstall panna_plus: pair style and engine belong to two versions")
    return ok(f"{command}: energy equals the engine's in Python, {energy:.6f} eV")
