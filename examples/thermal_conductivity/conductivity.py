"""Thermal conductivity of silicon by the Green-Kubo formula: several short runs of flux.in, and their mean.

    python conductivity.py model.pt [--runs 4] [--steps 25000] [--ranks 2] [--window 4.0]

A demonstration: 216 atoms and 100 ps in all. Values for publication need cells of several sizes, nanoseconds, and a
window that is longer than the longest correlation.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
EV_PER_ANGSTROM_PICOSECOND = 1602.176634  # W/m
BOLTZMANN = 8.617333262e-5  # eV/K
FEMTOSECONDS = 0.001  # ps per step of flux.in
INK, BLUE, ORANGE = "#22303c", "#1f6fb4", "#e07a2f"


@dataclass(frozen=True)
class Sampled:
    """What one run left behind.

    Attributes
    ----------
    interval : float, ps
        Between two samples.
    flux : (n_samples, 3) float, eV Å/ps
        Not divided by the volume.
    temperature : float, K
    volume : float, Å³
    n_atoms : int
    """

    interval: float
    flux: np.ndarray
    temperature: float
    volume: float
    n_atoms: int


def simulate(model: Path, seed: int, steps: int, ranks: int, folder: Path) -> Sampled:
    """Run flux.in in a folder."""
    binaries = Path(sys.executable).parent
    command = [str(binaries / "lmp"), "-in", str(HERE / "flux.in"), "-log", f"run{seed}.log", "-screen", "none"]
    for name, value in (("model", model), ("seed", seed), ("steps", steps), ("name", f"run{seed}")):
        command += ["-var", name, str(value)]
    launcher = [str(binaries / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    subprocess.run([*launcher, *command], cwd=folder, check=True, env=environment)
    return read(folder / f"run{seed}")


def read(name: Path) -> Sampled:
    """Read the two files of a run."""
    table = np.loadtxt(name.with_suffix(".txt"))
    temperature, volume, n_atoms = name.with_suffix(".state").read_text().split()
    interval = (table[1, 0] - table[0, 0]) * FEMTOSECONDS
    return Sampled(float(interval), table[:, 1:], float(temperature), float(volume), int(n_atoms))


def correlation(flux: np.ndarray, n_lags: int) -> np.ndarray:
    """Return <J(0) J(t)> of each column, (n_lags, 3), by Fourier transforms of the padded series."""
    n = len(flux)
    transform = np.fft.rfft(flux - flux.mean(0), 2 * n, axis=0)
    sums = np.fft.irfft(abs(transform) ** 2, axis=0)[:n_lags]
    return sums / (n - np.arange(n_lags))[:, None]


def running_conductivity(run: Sampled, window: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lags (ps), the correlation averaged over the axes, and its integral up to each lag, W/(m K)."""
    n_lags = round(window / run.interval) + 1
    if n_lags > len(run.flux) // 2:
        raise SystemExit(f"a window of {window} ps needs runs of at least twice that: give more --steps")
    values = correlation(run.flux, n_lags).mean(1)
    steps = 0.5 * (values[1:] + values[:-1]) * run.interval
    integral = np.concatenate([[0.0], np.cumsum(steps)])
    factor = EV_PER_ANGSTROM_PICOSECOND / (BOLTZMANN * run.temperature**2 * run.volume)
    return np.arange(n_lags) * run.interval, values, factor * integral


def draw(lags: np.ndarray, correlations: np.ndarray, integrals: np.ndarray, title: str) -> Figure:
    """Draw the normalized correlation and the integral; one thin line per run, one thick line for the mean."""
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(lags, (correlations / correlations[:, :1]).mean(0), color=BLUE, linewidth=1.0)
    left.set(xlabel="t (ps)", ylabel="⟨J(0) J(t)⟩ / ⟨J²⟩", title="flux correlation")
    right.plot(lags, integrals.T, color=ORANGE, alpha=0.45, linewidth=0.8)
    right.plot(lags, integrals.mean(0), color=INK, linewidth=1.8)
    right.set(xlabel="upper limit of the integral (ps)", ylabel="κ (W/(m K))", title=title)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e3e8ec", linewidth=0.7)
        axes.set_xlim(0, lags[-1])
    return figure


def summarize(runs: list[Sampled], integrals: np.ndarray) -> dict[str, float]:
    """Return the mean of the runs at the end of the window, and its standard error."""
    ends = integrals[:, -1]
    return {
        "conductivity": float(ends.mean()),
        "standard_error": float(ends.std(ddof=1) / np.sqrt(len(ends))) if len(ends) > 1 else float("nan"),
        "temperature": float(np.mean([run.temperature for run in runs])),
        "n_atoms": runs[0].n_atoms,
        "picoseconds": sum(len(run.flux) * run.interval for run in runs),
    }


def main() -> None:
    """Read the command line, run, and write conductivity.json and conductivity.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=4, help="independent runs, with seeds 1, 2, ...")
    parser.add_argument("--steps", type=int, default=25000, help="of 1 fs, in each run")
    parser.add_argument("--ranks", type=int, default=2, help="MPI ranks")
    parser.add_argument("--window", type=float, default=4.0, help="upper limit of the integral, ps")
    parser.add_argument("--output", type=Path, default=Path("conductivity"), help="folder of the results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    model = options.model.resolve()
    runs = [simulate(model, seed, options.steps, options.ranks, options.output) for seed in range(1, options.runs + 1)]
    lags, correlations, integrals = (
        np.array(part) for part in zip(*(running_conductivity(run, options.window) for run in runs), strict=True)
    )
    found = summarize(runs, integrals)
    (options.output / "conductivity.json").write_text(json.dumps(found, indent=2) + "\n")
    title = f"{found['temperature']:.0f} K: {found['conductivity']:.0f} ± {found['standard_error']:.0f} W/(m K)"
    draw(lags[0], correlations, integrals, title).savefig(options.output / "conductivity.png", dpi=110)
    print(f"{title}, {found['n_atoms']} atoms, {found['picoseconds']:.0f} ps in all")


if __name__ == "__main__":
    main()
