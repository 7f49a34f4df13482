"""The tables that `lammps.py` prints."""

from typing import Any

from rich.console import Console
from rich.table import Table

COLUMNS = ("", "1 core", "2 ranks, wall", "SNAP / this", "core ours", "parameters", "meV/atom", "meV/Å", "remark")

# Below this share of processor time in wall time, the machine was not ours.
QUIET = 0.95


def print_contestants(rows: list[dict[str, Any]], skipped: dict[str, str]) -> None:
    table = Table(title="1000 atoms of silicon at 1000 K: µs per atom and step, whole LAMMPS step")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("", "remark") else "right")
    for row in sorted(rows, key=lambda row: row["one_core"]["cpu"]):
        one, errors = row["one_core"], row["errors"] or ("", "")
        ratio = f"{row['faster_than_snap']:.2f}" if row["faster_than_snap"] else ""
        shown = [f"{e:.2f}" if e != "" else "" for e in errors]
        times = [f"{one['cpu']:.2f}", f"{row['two_ranks']['best_wall']:.2f}", ratio, f"{one['cpu_use']:.0%}"]
        table.add_row(row["name"], *times, str(row["n_parameters"] or ""), *shown, row["note"])
    console = Console(width=170)
    console.print(table)
    least = min(row["one_core"]["cpu_use"] for row in rows)
    if least < QUIET:
        console.print(f"Other programs took up to {1 - least:.0%} of the core: wall times, two ranks, mean little.")
    for name, reason in skipped.items():
        console.print(f"not run: {name}: {reason}", markup=False)


def print_breakdown(found: dict[str, Any]) -> None:
    table = Table(title="Where the time of a step goes, µs per atom (samples of perf on one core)")
    measured = {name: parts for name, parts in found.items() if not isinstance(parts, str)}
    stages = list(dict.fromkeys(stage for parts in measured.values() for stage in parts))
    for column in ("", *stages):
        table.add_column(column, justify="right" if column else "left")
    for name, parts in measured.items():
        table.add_row(name, *(f"{parts.get(stage, 0):.2f}" for stage in stages))
    console = Console(width=170)
    if measured:
        console.print(table)
    for name, reason in found.items():
        if isinstance(reason, str):
            console.print(f"no breakdown of {name}: {reason}", markup=False)


def print_series(name: str, result: dict[str, Any]) -> None:
    print(f"\n{name}")
    for row in result["two_ranks_8000"]:
        one, two = row["one"], row["two"]
        times = f"{one['best_wall']:.2f} on one rank, {two['best_wall']:.2f} on two"
        print(f"  8000 atoms: {times}: {row['speedup']:.2f} times")
    for row in result["atoms"]:
        print(f"  {row['atoms']:7d} atoms: {row['cpu']:.2f} µs per atom and step")
    memory = result["bytes_per_atom"]
    print(f"  memory: {memory['whole']:.0f} bytes per atom, {memory['lammps']:.0f} of them LAMMPS and its lists")
    print("random weights, default size, mixed precision")
    for row in result["angular_cutoff"]:
        print(f"  angular cutoff {row['angstrom']:.1f} Å: {row['mixed']['cpu']:.2f} µs per atom and step")
    for row in result["elements"]:
        print(f"  {row['elements']} elements: {row['mixed']['cpu']:.2f} µs per atom and step")
