"""What a committee of four costs beside one of its members: running the mean, and on steps that ask for the members.

    python benchmarks/speed/committee.py

Models with random weights on 216 silicon atoms, one thread, evaluated in turns; the smallest processor time counts, so
that other work on the machine does not.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hardware import write_result
from speed.cost_models import random_config

from panna_plus.export import checking_graphs, export_model
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.model import from_config
from panna_plus.graph import graph_from_atoms, pair_list
from panna_plus.native import Engine, neighborhood_from_pairs

N_MEMBERS = 4
N_ROUNDS = 150
HIDDEN = (64, 64)
MODELS: dict[str, dict[str, float]] = {
    "the demo's size": {"radial_cutoff": 5.2, "angular_cutoff": 4.5},
    "mlearn silicon": {"radial_cutoff": 6.0, "n_radial": 18, "angular_cutoff": 5.0, "n_angular": 8},
    "small": {"radial_cutoff": 5.0, "n_radial": 12, "angular_cutoff": 3.8, "n_angular": 5, "n_theta": 6},
}


def main() -> int:
    atoms = bulk("Si", "diamond", 5.43, cubic=True) * (3, 3, 3)
    atoms.positions += np.random.default_rng(0).normal(scale=0.08, size=atoms.positions.shape)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, descriptor in MODELS.items():
            paths = write_models(Path(folder), descriptor, atoms)
            for precision in ("mixed", "double"):
                rows.append({"model": name, "precision": precision, **measure(paths, precision, atoms)})
    print_table(rows)
    print(f"written: {write_result('speed_committee', {'n_members': N_MEMBERS, 'rows': rows})}")
    return 0


def write_models(folder: Path, descriptor: dict[str, float], atoms: Atoms) -> tuple[Path, Path]:
    """Write one model and the committee that it is the first member of."""
    members = [from_config(random_config(HIDDEN, descriptor), ["Si"], seed) for seed in range(N_MEMBERS)]
    graph = graph_from_atoms(atoms, ["Si"], members[0].cutoff)
    for member in members:
        member.initialize([graph])
    one, four = folder / "one.pt", folder / "four.pt"
    export_model(members[0], one, checking_graphs(members[0], 1))
    committee = committee_of(members, [str(n) for n in range(N_MEMBERS)])
    export_model(committee, four, checking_graphs(committee, 1))
    return one, four


def measure(paths: tuple[Path, Path], precision: str, atoms: Atoms) -> dict[str, float]:
    """Return microseconds per atom of one model, and the ratios of the committee to it."""
    one, four = (Engine(path, precision) for path in paths)
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, one.cutoff)
    rows = neighborhood_from_pairs(atoms.positions, atoms.cell.array, i, j, shifts)
    species = np.zeros(len(rows.owners), dtype=np.int32)
    calls: list[Callable[[], object]] = [
        lambda: one.compute(rows, species),
        lambda: four.compute(rows, species),
        lambda: four.compute(rows, species, members=True, details=four.details),
    ]
    best = [np.inf] * len(calls)
    for _ in range(N_ROUNDS):
        best = [min(least, seconds_of(call)) for least, call in zip(best, calls, strict=True)]
    alone, mean, asked = best
    return {"microseconds_alone": 1e6 * alone / len(atoms), "mean": mean / alone, "members": asked / alone}


def seconds_of(call: Callable[[], object]) -> float:
    """Return the processor time of a call in this thread."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def print_table(rows: list[dict]) -> None:
    table = Table(title=f"a committee of {N_MEMBERS} beside one model")
    for column in ("model", "precision", "one model (µs/atom)", "mean, ratio", "members asked, ratio"):
        table.add_column(column, justify="left" if column in ("model", "precision") else "right")
    for row in rows:
        numbers = (f"{row[key]:.2f}" for key in ("microseconds_alone", "mean", "members"))
        table.add_row(row["model"], row["precision"], *numbers)
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
