"""Learning curve and parity plots."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM, voigt_from_matrix
from panna_plus.model_file import write_atomically
from panna_plus.training.metrics import FACTORS, QUANTITIES, UNITS, FrameResult, shown

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 160,
}
# Okabe and Ito's colors, told apart by everyone, and two more.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#8C6D31", "#7F7F7F", "#BCBD22"),
)
TITLES = {"energy": "Energy", "forces": "Forces", "stress": "Stress"}
PARITY_TITLES = {"energy": "Energy relative to lone atoms", "forces": "Force components", "stress": "Stress components"}
PARITY_UNITS = {"energy": "eV/atom", "forces": "eV/Å", "stress": "GPa"}
_ERROR_FACTOR = {"energy": FACTORS["energy"], "forces": FACTORS["forces"], "stress": 1.0}


def write_figure(figure: Figure, path: Path) -> None:
    """Write a PNG atomically."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_atomically(path, buffer.getvalue())


def learning_curve(history: Sequence[Mapping[str, Any]], late_epoch: float | None) -> Figure:
    """Draw root mean square errors against epochs.

    Parameters
    ----------
    history : sequence of records of `Trainer`
    late_epoch : float or None
        Where energies begin to count more, marked by a line.
    """
    quantities = [q for q in QUANTITIES if any(r[f"validation_{q}_rmse"] or r[f"train_{q}_rmse"] for r in history)]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.2 * max(len(quantities), 1), 3.0), layout="constrained", dpi=STYLE["savefig.dpi"])
        all_axes = figure.subplots(1, max(len(quantities), 1), squeeze=False)[0]
        for axes, quantity in zip(all_axes, quantities, strict=False):
            _draw_curves(axes, history, quantity, late_epoch)
        if quantities:
            figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_curves(axes: Axes, history: Sequence[Mapping[str, Any]], quantity: str, late_epoch: float | None) -> None:
    labels = {"train": "training (running)", "validation": "validation (averaged weights)"}
    for (split, label), color in zip(labels.items(), COLORS, strict=False):
        points = [(r["epoch"], r[f"{split}_{quantity}_rmse"]) for r in history]
        points = [(x, y) for x, y in points if y is not None and y > 0]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, linewidth=1.2, label=label)
    best = [r for r in history if r["is_best"] and r[f"validation_{quantity}_rmse"]]
    if best:
        x, y = best[-1]["epoch"], best[-1][f"validation_{quantity}_rmse"]
        axes.plot(x, y, "o", color=COLORS[1], markersize=4, label=f"exported: epoch {x}")
    if late_epoch is not None:
        axes.axvline(late_epoch, color="0.5", linewidth=0.8, linestyle="--", label="energy weight raised")
    axes.set(yscale="log", xlabel="epoch", ylabel=f"RMSE ({UNITS[quantity]})", title=TITLES[quantity])
    for ticks, formatter in ((axes.yaxis.set_major_formatter, _plain), (axes.yaxis.set_minor_formatter, _plain_minor)):
        ticks(formatter)


def _plain(value: float, _position: float) -> str:
    return f"{value:g}"


def _plain_minor(value: float, _position: float) -> str:
    """Label 2 and 5 of a decade: curves often span less than one."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def parity(results: Mapping[str, Sequence[FrameResult]], reference_energies: Mapping[str, float]) -> Figure:
    """Draw predictions against labels: one row per split, one column per quantity.

    Parameters
    ----------
    results : mapping of split to results
        Splits without frames are left out.
    reference_energies : mapping of element to eV
        Taken off the energies, so that the axis shows what the model learned.
    """
    splits = {name: r for name, r in results.items() if r}
    quantities = [q for q in QUANTITIES if any(has_pair(r, q) for rs in splits.values() for r in rs)]
    shape = (max(len(splits), 1), max(len(quantities), 1))
    types = sorted({r.frame.config_type for rs in splits.values() for r in rs})
    with matplotlib.rc_context(STYLE):
        size = (3.3 * shape[1], 3.1 * shape[0] + (0.4 if 1 < len(types) <= len(COLORS) else 0.0))
        figure = Figure(figsize=size, layout="constrained", dpi=STYLE["savefig.dpi"])
        grid = figure.subplots(*shape, squeeze=False)
        for row, (split, split_results) in zip(grid, splits.items(), strict=False):
            for axes, quantity in zip(row, quantities, strict=False):
                _draw_parity(axes, split, split_results, quantity, types, reference_energies)
        handles, labels = grid[0][0].get_legend_handles_labels()
        if len(handles) > 1:
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), markerscale=2)
    return figure


def has_pair(result: FrameResult, quantity: str) -> bool:
    """Return whether a frame has both label and prediction."""
    return result.frame.has(quantity) and getattr(result, quantity) is not None


def _draw_parity(axes, split, results, quantity, types, reference_energies) -> None:
    groups = {t: [r for r in results if r.frame.config_type == t] for t in types} if len(types) <= len(COLORS) else {}
    everything = []
    for color, (name, members) in zip(COLORS, (groups or {"": results}).items(), strict=False):
        x, y = label_and_prediction(members, quantity, reference_energies)
        everything.append((x, y))
        # Small groups on top of large ones.
        order = 3.0 - len(members) / (len(results) + 1)
        label = (name or "no config_type") if len(types) > 1 else None
        axes.scatter(x, y, s=6, color=color, alpha=0.6, linewidths=0, label=label, zorder=order)
    x, y = (np.concatenate(column) for column in zip(*everything, strict=True))
    if len(x) == 0:
        axes.set_title(f"{TITLES[quantity]}, {split}: no labels")
        return
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.04 * (high - low) or 1e-3
    line = (low - margin, high + margin)
    axes.plot(line, line, color="0.35", linewidth=0.8, zorder=0)
    error = shown(_ERROR_FACTOR[quantity] * np.abs(y - x).mean())
    axes.set(xlim=line, ylim=line, aspect="equal")
    axes.set(xlabel=f"reference ({PARITY_UNITS[quantity]})", ylabel=f"prediction ({PARITY_UNITS[quantity]})")
    axes.set_title(f"{PARITY_TITLES[quantity]}, {split}\nMAE {error} {UNITS[quantity]}")


def label_and_prediction(
    results: Sequence[FrameResult], quantity: str, reference_energies: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions (n,) in eV/atom, eV/Å or GPa of the frames that have both."""
    pairs = [_pair(r, quantity, reference_energies) for r in results if has_pair(r, quantity)]
    if not pairs:
        return np.empty(0), np.empty(0)
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def _pair(result: FrameResult, quantity: str, reference_energies: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    frame: Any = result.frame
    label, prediction = getattr(frame, quantity), getattr(result, quantity)
    if quantity == "energy":
        offset = sum(reference_energies[s] for s in frame.atoms.get_chemical_symbols())
        return np.array([(label - offset) / len(frame)]), np.array([(prediction - offset) / len(frame)])
    if quantity == "stress":
        factor = GPA_PER_EV_PER_CUBIC_ANGSTROM
        return factor * voigt_from_matrix(label), factor * voigt_from_matrix(prediction)
    return label.ravel(), prediction.ravel()
