"""The figure of `lammps.py`: cost, accuracy against cost, and cost against atoms and cutoff."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

COLORS = {"model": "#1b6ca8", "cost": "#8fb8d8", "peer": "#b0752d"}
KINDS = {"model": "panna_plus, trained", "cost": "panna_plus, random weights", "peer": "in the same LAMMPS"}


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the PNG file `path` from what `lammps.py` measured."""
    figure, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    draw_bars(axes[0, 0], result["contestants"])
    draw_front(axes[0, 1], result["contestants"])
    draw_atoms(axes[1, 0], result["atoms"], result["contestants"][0]["name"])
    draw_cutoffs(axes[1, 1], result["angular_cutoff"])
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_bars(axes: Axes, rows: list[dict[str, Any]]) -> None:
    rows = sorted(rows, key=lambda row: -row["one_core"]["cpu"])
    times = [row["one_core"]["cpu"] for row in rows]
    bars = axes.barh([row["name"] for row in rows], times, color=[COLORS[row["kind"]] for row in rows])
    axes.bar_label(bars, [f"{t:.1f}" for t in times], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(min(times) / 2, max(times) * 2)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("µs per atom and step, one core")
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[kind]) for kind in KINDS]
    axes.legend(handles, KINDS.values(), fontsize=8, loc="upper right")
    axes.set_title("1000 atoms of silicon at 1000 K, whole LAMMPS step", fontsize=10)


def draw_front(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Force error against cost; open symbols: errors on another test set than that of SNAP."""
    for row in rows:
        if row["errors"] is None or "(double)" in row["name"]:
            continue
        is_same_set = row["kind"] == "peer" or row["name"].startswith("mlearn")
        x, y, color = row["one_core"]["cpu"], row["errors"][1], COLORS[row["kind"]]
        axes.plot(x, y, "o", color=color, markerfacecolor=color if is_same_set else "white", markersize=8)
        label = row["name"] if is_same_set else f"{row['name']}, own test set"
        # Below the point for another test set: two of ours may lie side by side.
        offset = (7, 5) if is_same_set else (7, -13)
        axes.annotate(label, (x, y), xytext=offset, textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(1, 1000)
    axes.set_ylim(0, 150)
    axes.set_xlabel("µs per atom and step, one core")
    axes.set_ylabel("mean absolute force error (meV/Å)")
    axes.set_title("Accuracy against cost; filled: test set mlearn Si", fontsize=10)


def draw_atoms(axes: Axes, rows: list[dict[str, Any]], name: str) -> None:
    axes.plot([row["atoms"] for row in rows], [row["cpu"] for row in rows], "o-", color=COLORS["model"])
    axes.set_xscale("log")
    axes.set_ylim(0, 1.5 * max(row["cpu"] for row in rows))
    axes.set_xlabel("atoms")
    axes.set_ylabel("µs per atom and step, one core")
    axes.set_title(name, fontsize=10)


def draw_cutoffs(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.plot([row["angstrom"] for row in rows], [row["mixed"]["cpu"] for row in rows], "o-", color=COLORS["cost"])
    axes.set_ylim(0, None)
    axes.set_xlabel("angular cutoff (Å)")
    axes.set_ylabel("µs per atom and step, one core")
    axes.set_title("16 radial functions to 5.2 Å, 6x8 angular functions, 64-64-1, mixed", fontsize=10)
