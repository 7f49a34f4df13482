"""How the cost depends on the number of atoms, on the angular cutoff, on the elements and on the ranks."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from speed.contestants import Contestant, in_both_precisions, random_model
from speed.dynamics import System, Timing, Workbench

SECONDS_PER_RUN = 1.0


def steps_for(microseconds: float, n_atoms: int, seconds: float = SECONDS_PER_RUN) -> int:
    """Return how many steps fill the time, at least 5 and at most 2000."""
    return int(min(2000, max(5, seconds * 1e6 / (microseconds * n_atoms))))


def interleaved(
    bench: Workbench, cases: dict[str, tuple[Contestant, System, int]], repeats: int, seconds: float = SECONDS_PER_RUN
) -> dict[str, list[Timing]]:
    """Run every case in turn, `repeats` times: what disturbs the machine disturbs all of them.

    `cases`: name -> contestant, system, ranks. A short run of 1000 atoms finds the numbers of steps.
    """
    expected: dict[str, float] = {}
    for contestant, system, _ in cases.values():
        if contestant.name not in expected:
            first = System(n_elements=system.n_elements)
            expected[contestant.name] = bench.run(first, contestant.commands, 10, is_held=contestant.is_held).cpu
    timings: dict[str, list[Timing]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, (contestant, system, n_ranks) in cases.items():
            n_steps = steps_for(expected[contestant.name], system.n_atoms, seconds)
            timing = bench.run(system, contestant.commands, n_steps, is_held=contestant.is_held, n_ranks=n_ranks)
            timings[name].append(timing)
    return timings


def summary(timings: list[Timing]) -> dict[str, Any]:
    """Return medians over repeats (microseconds per atom and step) and the best wall time."""
    return {
        "cpu": median(t.cpu for t in timings),
        "wall": median(t.wall for t in timings),
        "best_wall": min(t.wall for t in timings),
        "cpu_use": median(t.cpu / t.wall for t in timings),
        "repeats": len(timings),
    }


def against_atoms(bench: Workbench, contestant: Contestant, repeats: int, is_quick: bool) -> list[dict[str, Any]]:
    """Time and memory per atom from 500 to 500,000 atoms."""
    systems = [System(cells=4), *(System(copies=k) for k in ((1, 2) if is_quick else (1, 2, 3, 5, 8)))]
    cases = {str(s.n_atoms): (contestant, s, 1) for s in systems}
    rows = []
    for system, timings in zip(systems, interleaved(bench, cases, repeats).values(), strict=True):
        rows.append({"atoms": system.n_atoms, **summary(timings), "resident_bytes": timings[-1].resident})
    return rows


def memory_per_atom(bench: Workbench, contestant: Contestant, reach: float, is_quick: bool) -> dict[str, float]:
    """Bytes per atom from two sizes: of the whole run, and of LAMMPS alone with the same neighbor list."""
    small, large = System(copies=2), System(copies=3 if is_quick else 5)
    alone = [f"pair_style zero {reach:.4f} full", "pair_coeff * *"]
    result = {}
    for name, commands in (("whole", contestant.commands), ("lammps", alone)):
        used = [bench.run(s, commands, 2, is_held=contestant.is_held).resident for s in (small, large)]
        result[name] = (used[1] - used[0]) / (large.n_atoms - small.n_atoms)
    return {**result, "panna_plus": result["whole"] - result["lammps"]}


def two_ranks(bench: Workbench, contestants: list[Contestant], repeats: int) -> list[dict[str, Any]]:
    """One rank against two at 8,000 atoms; wall time, for waiting is what ranks may waste."""
    system = System(copies=2)
    cases = {f"{c.name} {n}": (c, system, n) for c in contestants for n in (1, 2)}
    timings = interleaved(bench, cases, repeats)
    rows = []
    for contestant in contestants:
        one, two = (summary(timings[f"{contestant.name} {n}"]) for n in (1, 2))
        speedup = one["best_wall"] / two["best_wall"]
        rows.append({"name": contestant.name, "atoms": system.n_atoms, "one": one, "two": two, "speedup": speedup})
    return rows


def against_cutoff_and_elements(bench: Workbench, repeats: int, is_quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Random weights in the default size: other angular cutoffs, and 1 to 4 elements."""
    cutoffs = (3.6, 4.6) if is_quick else (3.2, 3.6, 4.0, 4.4, 4.8, 5.2)
    numbers = (1, 3) if is_quick else (1, 2, 3, 4)
    by_cutoff = {f"cutoff {r}": random_model(bench, f"cutoff {r}", 1, (64, 64), angular_cutoff=r) for r in cutoffs}
    by_number = {f"elements {n}": random_model(bench, f"elements {n}", n, (64, 64)) for n in numbers}
    cases = dict(cases_of(by_cutoff | by_number))
    found = {name: summary(timings) for name, timings in interleaved(bench, cases, repeats).items()}
    return {
        "angular_cutoff": [{"angstrom": r, "mixed": found[f"cutoff {r}"]} for r in cutoffs],
        "elements": [{"elements": n, "mixed": found[f"elements {n}"]} for n in numbers],
    }


def cases_of(models: dict[str, Contestant]) -> Iterator[tuple[str, tuple[Contestant, System, int]]]:
    for name, model in models.items():
        mixed, _ = in_both_precisions(model)
        yield name, (mixed, System(n_elements=model.n_elements), 1)
