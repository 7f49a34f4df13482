"""The demo's figures. Every panel is a function that draws on axes, so that summary and report share them."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import matplotlib
import numpy as np
from ase import Atoms
from crystal import CrystalResults
from dynamics import DynamicsResults, detrended
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK = "#22303c"
MUTED = "#8795a1"
BLUE, ORANGE, TEAL = "#1f6fb4", "#e07a2f", "#1a9a86"
STYLE = {
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e8ec",
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handletextpad": 0.4,
}
# config_type -> what the legend calls it.
GROUPS = {
    "crystal": ("diamond", "eos", "md_600K", "md_1200K"),
    "liquid": ("liquid",),
    "other phases": ("beta_sn", "sc", "bcc", "fcc"),
}
GROUP_COLORS = {"crystal": BLUE, "liquid": ORANGE, "other phases": TEAL}
# Squared distances of diamond in units of (lattice constant / 4)².
DIAMOND_SHELLS = tuple(n for n in range(3, 112) if n % 8 in (0, 3))


@dataclass(frozen=True)
class Story:
    """Everything that the figures show.

    Attributes
    ----------
    predicted : list of Atoms
        Test frames as `panna-plus evaluate` wrote them.
    history : mapping of column to (n,) array
        Of the training's metrics.csv; NaN where a cell is empty.
    errors : mapping of energy, forces, stress to mean absolute error in meV/atom, meV/Å, GPa
    """

    predicted: Sequence[Atoms]
    history: dict[str, np.ndarray]
    errors: dict[str, float]
    reference_energy: float
    dynamics: DynamicsResults
    crystal: CrystalResults


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Read metrics.csv; column names lose their units."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {
        name.split(" (")[0]: np.array([float(row[name]) if row[name] else np.nan for row in rows]) for name in rows[0]
    }


def read_predicted(path: Path) -> list[Atoms]:
    """Read the frames that `panna-plus evaluate` wrote."""
    return ase.io.read(path, index=":", format="extxyz")


def grouped(story: Story, values: Callable[[Atoms], tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return reference and prediction (2, n) of each group of test frames."""
    found = {}
    for group, types in GROUPS.items():
        pairs = [values(atoms) for atoms in story.predicted if atoms.info["config_type"] in types]
        if pairs:
            found[group] = np.hstack([np.array(pair).reshape(2, -1) for pair in pairs])
    return found


def draw_parity(axes: Axes, points: dict[str, np.ndarray], unit: str, size: float) -> None:
    """Draw predictions against references with the diagonal; both axes span the same values."""
    everything = np.hstack(list(points.values()))
    low, high = everything.min(), everything.max()
    margin = 0.05 * (high - low)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=MUTED, linewidth=1, zorder=1)
    for group, (reference, prediction) in points.items():
        axes.scatter(
            reference, prediction, s=size, color=GROUP_COLORS[group], alpha=0.75, linewidths=0, label=group, zorder=2
        )
    axes.set(xlim=limits, ylim=limits, xlabel=f"DFT ({unit})", ylabel=f"potential ({unit})")
    axes.locator_params(nbins=6)


def note(axes: Axes, text: str, x: float = 0.97, y: float = 0.05, **options) -> None:
    """Write a remark into a corner of the axes, on white so that it stays legible."""
    settings = {"ha": "right" if x > 0.5 else "left", "va": "bottom" if y < 0.5 else "top", "fontsize": 9}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    axes.text(x, y, text, transform=axes.transAxes, bbox=box, linespacing=1.35, **(settings | options))


def draw_energies(axes: Axes, story: Story) -> None:
    """Energies of the test frames above isolated atoms."""

    def values(atoms: Atoms) -> tuple[float, float]:
        return tuple(atoms.info[key] / len(atoms) - story.reference_energy for key in ("REF_energy", "MODEL_energy"))

    draw_parity(axes, grouped(story, values), "eV/atom", size=26)
    axes.set_title("Energies of unseen structures")
    axes.legend(loc="upper left", borderaxespad=0.2)
    note(axes, f"mean error\n{story.errors['energy']:.1f} meV/atom")


def draw_forces(axes: Axes, story: Story) -> None:
    """Force components of the test frames, with the distribution of their errors."""

    def values(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
        return tuple(atoms.arrays[key].ravel() for key in ("REF_forces", "MODEL_forces"))

    points = grouped(story, values)
    draw_parity(axes, points, "eV/Å", size=9)
    axes.set_title("Forces of unseen structures")
    note(axes, f"mean error\n{story.errors['forces']:.0f} meV/Å")
    reference, prediction = np.hstack(list(points.values()))
    inset = axes.inset_axes((0.07, 0.60, 0.36, 0.34))
    inset.hist(1e3 * (prediction - reference), bins=np.linspace(-400, 400, 41), color=BLUE, alpha=0.8)
    inset.set(yticks=[], xticks=[-300, 0, 300])
    inset.set_xlabel("error (meV/Å)", fontsize=8, labelpad=1)
    inset.tick_params(labelsize=8, length=2, pad=2)
    inset.grid(visible=False)
    inset.spines["left"].set_visible(False)


def draw_learning(axes: Axes, story: Story) -> None:
    """Errors of the validation frames while training."""
    history = story.history
    for label, column, color, above in (
        ("forces (meV/Å)", "validation_forces_mae", BLUE, True),
        ("energy (meV/atom)", "validation_energy_mae", ORANGE, False),
    ):
        epochs, errors = history["epoch"], history[column]
        axes.plot(epochs, errors, color=color, linewidth=1.6)
        axes.annotate(
            label, (epochs[-1], errors[-1]), xytext=(0, 7 if above else -7), textcoords="offset points",
            ha="right", va="bottom" if above else "top", color=color, fontweight="bold", fontsize=9,
        )  # fmt: skip
    best = epochs[history["is_best"] == 1][-1]
    axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (3, 2)))
    axes.annotate(
        f"exported: \nepoch {best:.0f} ", (best, 0.98), xycoords=("data", "axes fraction"), ha="right", va="top",
        fontsize=8.5, color=INK,
    )  # fmt: skip
    last = min(np.nanmin(history[c]) for c in ("validation_forces_mae", "validation_energy_mae"))
    axes.set(yscale="log", ylim=(0.5 * last, None), xlabel="epoch", ylabel="mean error on validation structures")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set_title(f"Learning, {history['minutes'][-1]:.1f} minutes")


def draw_conservation(axes: Axes, story: Story) -> None:
    """Total energy along the dynamics at constant energy, for two time steps."""
    results = story.dynamics
    for trajectory, color, label, width in (
        (results.coarse, ORANGE, "2 fs step", 0.7),
        (results.fine, BLUE, "1 fs step", 0.9),
    ):
        axes.plot(trajectory.times, 1e3 * detrended(trajectory), color=color, linewidth=width, label=label)
    largest = 1e3 * np.abs(detrended(results.coarse)).max()
    axes.set(xlabel="time (ps)", ylabel="total energy (µeV/atom)", ylim=(-1.75 * largest, 1.75 * largest))
    axes.set_title("Energy conservation in LAMMPS")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper right", ncols=2)
    drift = 1e3 * abs(results.drift)
    note(axes, f"drift {drift:.2g} µeV/atom/ps\nnoise at 2 fs: {results.time_step_ratio:.2f} times (ideal: 4)")


def draw_distribution(axes: Axes, story: Story) -> None:
    """Radial distribution function of the dynamics over the shells of the perfect crystal."""
    results = story.dynamics
    shells = 0.25 * np.sqrt(DIAMOND_SHELLS) * story.crystal.dft.lattice_constant
    for shell in shells[shells < results.distances[-1]]:
        axes.axvline(shell, color=ORANGE, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1, ymax=0.82)
    axes.plot(results.distances, results.distribution, color=BLUE, linewidth=1.4, zorder=3)
    axes.fill_between(results.distances, results.distribution, color=BLUE, alpha=0.15, linewidth=0, zorder=2)
    top = 1.3 * results.distribution.max()
    axes.set(xlim=(1.8, results.distances[-1]), ylim=(0, top), xlabel="distance (Å)", ylabel="g(r)")
    axes.set_title("Radial distribution")
    note(axes, f"{results.protocol.n_atoms} atoms, {results.mean_temperature:.0f} K\ndashed: perfect crystal", y=0.95)


def draw_energy_curve(axes: Axes, story: Story) -> None:
    """Energy against volume, the DFT points and the potential's curve."""
    dft, model = story.crystal.dft, story.crystal.model
    volumes, energies = story.crystal.line
    axes.plot(volumes, energies - model.minimum, color=BLUE, linewidth=1.6, label="potential")
    axes.plot(dft.volumes, dft.energies - dft.minimum, "o", color=ORANGE, markersize=5, label="DFT")
    axes.set(xlabel="volume (Å³/atom)", ylabel="energy (eV/atom)", ylim=(-0.02, None))
    axes.set_title("Energy of diamond against volume")
    axes.legend(loc="lower left", borderaxespad=0.2)
    lines = [f"{'':10}{'a (Å)':>6}{'B (GPa)':>9}"]
    for name, curve in (("potential", model), ("DFT", dft)):
        lines.append(f"{name:<10}{curve.lattice_constant:>6.3f}{curve.bulk_modulus:>9.1f}")
    note(axes, "\n".join(lines), y=0.97, family="monospace", fontsize=8.5)


PANELS: dict[str, Callable[[Axes, Story], None]] = {
    "energies": draw_energies,
    "forces": draw_forces,
    "learning": draw_learning,
    "conservation": draw_conservation,
    "distribution": draw_distribution,
    "energy_curve": draw_energy_curve,
}


def summary_figure(story: Story, title: str, subtitle: str) -> bytes:
    """Return all panels in one PNG under a title and a line of facts."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12.6, 8.0), layout="constrained", dpi=140, facecolor="white")
        figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1, rect=(0, 0, 1, 0.91))
        figure.text(0.012, 0.975, title, fontsize=16, fontweight="bold", va="top")
        figure.text(0.012, 0.933, subtitle, fontsize=10.5, color="#5b6b79", va="top")
        for axes, draw in zip(figure.subplots(2, 3).ravel(), PANELS.values(), strict=True):
            draw(axes, story)
        return png(figure)


def panel_figure(name: str, story: Story) -> bytes:
    """Return one panel as a PNG."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.3), layout="constrained", dpi=150, facecolor="white")
        PANELS[name](figure.subplots(), story)
        return png(figure)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes in 256 colors, a third of the size of full color."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()
