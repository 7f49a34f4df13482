"""Time per atom and step in LAMMPS: our models beside SNAP, UF3, Tersoff and Stillinger-Weber, in one run.

    python benchmarks/speed/lammps.py [--quick] [NAME=model.pt ...]

1000 atoms of diamond silicon at 1000 K, NVE, the whole step, LAMMPS's default neighbor settings, on one core and on
two ranks. All contestants take turns, several times; medians are printed. Times on one core are processor time, which
another program on the machine inflates less than it does wall time. Without a NAME=model.pt the model of `make demo`
takes part if it is there. Name a model that was trained on mlearn Si "mlearn...", then the figure compares its
errors with those of SNAP.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Not this folder: it would hide the package `lammps` behind this file.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware import write_result
from speed.breakdown import breakdown
from speed.contestants import Contestant, Field, all_contestants
from speed.dynamics import System, Workbench
from speed.figure import draw
from speed.series import (
    against_atoms,
    against_cutoff_and_elements,
    interleaved,
    memory_per_atom,
    steps_for,
    summary,
    two_ranks,
)
from speed.tables import print_breakdown, print_contestants, print_series

from panna_plus.model_file import read_model


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)  # the tables come one by one, also into a file
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME=model.pt", help="trained models")
    parser.add_argument("--quick", action="store_true", help="fewer repeats, no more than 27,000 atoms")
    parser.add_argument("--repeats", type=int, help="default: 5, with --quick 2")
    parser.add_argument("--deepmd", type=Path, metavar="MODEL", help="a DeePMD-kit model of silicon")
    parser.add_argument("--output", default="speed_lammps", help="name of the results (default: %(default)s)")
    arguments = parser.parse_args()
    repeats = arguments.repeats or (2 if arguments.quick else 5)
    with tempfile.TemporaryDirectory() as folder:
        bench = Workbench(Path(folder))
        field = all_contestants(bench, arguments.models, arguments.deepmd)
        result = measure(bench, field, repeats, arguments.quick)
    path = write_result(arguments.output, result)
    figure = path.with_suffix(".png")
    draw(result, figure)
    print(f"written: {path} and {figure}")
    return 0


def measure(bench: Workbench, field: Field, repeats: int, is_quick: bool) -> dict[str, Any]:
    """Run everything and print each table as soon as its numbers are there."""
    main_case = field.contestants[0]
    result: dict[str, Any] = {"system": "1000 atoms of diamond silicon at 1000 K, NVE", "skipped": field.skipped}
    result["contestants"] = time_contestants(bench, field.contestants, repeats)
    print_contestants(result["contestants"], field.skipped)
    chosen = [c for c in field.contestants if c.kind != "peer" and "mixed" in c.name]
    result["breakdown"] = where_time_goes(bench, chosen, result["contestants"])
    print_breakdown(result["breakdown"])
    result["two_ranks_8000"] = two_ranks(bench, [main_case], repeats)
    result["atoms"] = against_atoms(bench, main_case, repeats, is_quick)
    result["bytes_per_atom"] = memory_per_atom(bench, main_case, cutoff_of(main_case), is_quick)
    result |= against_cutoff_and_elements(bench, repeats, is_quick)
    print_series(main_case.name, result)
    return result


def time_contestants(bench: Workbench, contestants: list[Contestant], repeats: int) -> list[dict[str, Any]]:
    """Return one row per contestant: times on one core and two ranks, ratio to SNAP, errors."""
    cases = {}
    for contestant in contestants:
        system = System(n_elements=contestant.n_elements)
        cases |= {f"{contestant.name} {n}": (contestant, system, n) for n in (1, 2)}
    timings = interleaved(bench, cases, repeats)
    rows = []
    for contestant in contestants:
        one, two = (timings[f"{contestant.name} {n}"] for n in (1, 2))
        shown = {k: v for k, v in asdict(contestant).items() if k not in ("commands", "model", "is_held")}
        sections = {name: sorted(t.sections[name] for t in one)[len(one) // 2] for name in one[0].sections}
        rows.append({**shown, "one_core": summary(one), "two_ranks": summary(two), "lammps_sections": sections})
    snap = next((row["one_core"]["cpu"] for row in rows if row["name"] == "SNAP"), None)
    for row in rows:
        row["faster_than_snap"] = snap / row["one_core"]["cpu"] if snap else None
    return rows


def where_time_goes(bench: Workbench, contestants: list[Contestant], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return contestant -> stage -> microseconds per atom and step, or a reason."""
    found: dict[str, Any] = {}
    for contestant in contestants:
        cpu = next(row["one_core"]["cpu"] for row in rows if row["name"] == contestant.name)
        parts = breakdown(bench, contestant, steps_for(cpu, 1000, seconds=4))
        found[contestant.name] = parts if isinstance(parts, str) else {k: v * cpu for k, v in parts.items()}
    return found


def cutoff_of(contestant: Contestant) -> float:
    return 5.0 if contestant.model is None else float(read_model(contestant.model).card["cutoff"])


if __name__ == "__main__":
    raise SystemExit(main())
