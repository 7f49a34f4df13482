"""Silicon from DFT data to simulations: `make demo`, or this file run by the Python that panna_plus is installed in.

Trains (panna-plus train), evaluates (panna-plus evaluate), runs molecular dynamics (nvt.in, nve.in in LAMMPS on two MPI
ranks), computes crystal properties (ASE), and compares every number with its criterion. Everything goes into the
folder `demo`; the exit code is 1 if a criterion fails.

The variable DEMO_SCALE sets size and length of the dynamics: 1 (1000 atoms, 2 ps NVT, 5 ps NVE), 2 twice of all.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import ase.io
from criteria import Row, all_hold, summary
from crystal import study_crystal
from dynamics import protocol, run_dynamics
from figures import PANELS, Story, panel_figure, read_history, read_predicted, summary_figure
from fitting import TEST, TRAIN, evaluate, train
from report import report_page
from rich.console import Console
from rich.table import Table

from panna_plus import PannaPlusCalculator
from panna_plus.commands.info import card_text
from panna_plus.errors import PannaPlusError
from panna_plus.model_file import read_model, write_atomically

OUTPUT = Path("demo")
TITLE = "Silicon: from 158 DFT structures to molecular dynamics"


def main() -> int:
    """Run the demo; return 0 if every criterion holds, 1 if not."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    plan = protocol(os.environ.get("DEMO_SCALE", "1"))
    OUTPUT.mkdir(exist_ok=True)
    model, training = OUTPUT / "model.pt", OUTPUT / "training"
    times: dict[str, float] = {}

    with step(console, times, "training", "Train on DFT energies, forces and stresses"):
        train(console, training)
        write_atomically(model, (training / "model.pt").read_bytes())
    with step(console, times, "evaluation", "Evaluate structures that were not trained on"):
        errors = evaluate(console, model, OUTPUT)
    with step(console, times, "dynamics", "Molecular dynamics in LAMMPS, two MPI ranks"):
        console.print(
            f"{plan.n_atoms} atoms: {plan.nvt_steps} steps NVT, {plan.nve_steps} steps NVE, and NVE again with twice "
            f"the time step. Input: nvt.in and nve.in in examples/silicon; logs: {OUTPUT / 'dynamics'}"
        )
        # Forces are compared with PyTorch: LAMMPS and the calculator otherwise share the native engine.
        reference = PannaPlusCalculator(model, backend="torch")
        dynamics = run_dynamics(model, OUTPUT / "dynamics", plan, reference)
    with step(console, times, "crystal", "Relaxation, energy-volume curve and elastic constants in ASE"):
        crystal = study_crystal(PannaPlusCalculator(model), [*ase.io.iread(TRAIN), *ase.io.iread(TEST)])
        console.print(f"atoms and cell relaxed in {crystal.n_relaxation_steps} steps")

    card = read_model(model).card
    story = Story(
        predicted=read_predicted(OUTPUT / "test_predicted.xyz"),
        history=read_history(training / "metrics.csv"),
        errors=errors,
        reference_energy=card["reference_energies"]["Si"],
        dynamics=dynamics,
        crystal=crystal,
    )
    rows = summary(errors, dynamics, crystal)
    write_results(story, rows, times, card_text(card, model))
    console.rule("[bold]Summary")
    console.print(summary_table(rows))
    console.print(closing(rows, times), markup=False)
    return 0 if all_hold(rows) else 1


@contextmanager
def step(console: Console, times: dict[str, float], name: str, title: str) -> Iterator[None]:
    """Announce a step and record the seconds that it took."""
    console.rule(f"[bold]{title}")
    start = time.monotonic()
    yield
    times[name] = time.monotonic() - start
    console.print(f"[dim]{times[name]:.0f} s[/dim]\n")


def write_results(story: Story, rows: Sequence[Row], times: dict[str, float], card: str) -> None:
    """Write summary.json, summary.png and report.html, each atomically."""
    n_parameters = next(line.split()[1] for line in card.splitlines() if "parameters" in line)
    facts = (
        f"a panna potential with {int(n_parameters):,} parameters",
        f"trained in {story.history['minutes'][-1]:.1f} minutes",
        f"{story.dynamics.protocol.n_atoms} atoms in LAMMPS on two MPI ranks",
        "crystal properties in ASE",
    )
    subtitle = "  ·  ".join(facts)
    record = {"rows": [asdict(row) for row in rows], "seconds": times}
    write_atomically(OUTPUT / "summary.json", json.dumps(record, indent=1, ensure_ascii=False).encode())
    write_atomically(OUTPUT / "summary.png", summary_figure(story, TITLE, subtitle))
    panels = {name: panel_figure(name, story) for name in PANELS}
    page = report_page(TITLE, subtitle, rows, panels, times, card, usage(OUTPUT / "model.pt"))
    write_atomically(OUTPUT / "report.html", page.encode())


def summary_table(rows: Sequence[Row]) -> Table:
    """Return the table for the terminal."""
    marks = {True: "[green]pass[/green]", False: "[bold red]FAIL[/bold red]", None: ""}
    table = Table(show_edge=False, pad_edge=False, box=None, padding=(0, 2))
    for column in ("", "value", "reference", "criterion", ""):
        table.add_column(column)
    for section, members in groupby(rows, key=lambda row: row.section):
        table.add_row(f"[bold]{section}[/bold]")
        for row in members:
            table.add_row(f"  {row.name}", row.value, row.reference, row.criterion, marks[row.passed])
    return table


def usage(model: Path) -> str:
    """Return how to use the model in ASE and LAMMPS."""
    return f"""\
ASE       from panna_plus import PannaPlusCalculator
          atoms.calc = PannaPlusCalculator("{model}")
LAMMPS    pair_style panna_plus
          pair_coeff * * {model} Si
"""


def closing(rows: Sequence[Row], times: dict[str, float]) -> str:
    """Return the last lines: what was written, how to use it, and the commands for the reader's own file."""
    failed = [row.name for row in rows if row.passed is False]
    verdict = f"FAILED: {', '.join(failed)}" if failed else "Every criterion holds."
    programs = os.path.relpath(Path(sys.prefix) / "bin")
    return f"""
{verdict} {sum(times.values()) / 60:.1f} minutes.
{OUTPUT}: model.pt, summary.png, report.html, summary.json

Use the model:
{usage(OUTPUT / "model.pt")}
Your own data:
  {programs}/panna-plus init frames.xyz
  {programs}/panna-plus train config.yaml
  {programs}/mpiexec -n 2 {programs}/lmp -in in.lammps"""


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, ValueError, OSError, PannaPlusError) as error:
        sys.exit(f"demo: error: {error}")
