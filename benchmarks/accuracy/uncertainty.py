"""Which measure of uncertainty knows where the forces are wrong? Four members on mlearn silicon, trained here.

    python benchmarks/accuracy/uncertainty.py [--output FOLDER]

Compares, on the test set, the errors of the committee's forces with the deviation of the members' forces and with
measures of how far descriptor values are from those of the training atoms. With --output the members are kept, and
those that are already there are not trained again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy.run import panna_plus
from accuracy.sets import SETS
from hardware import RESULTS, write_result

from panna_plus import PannaPlusCalculator
from panna_plus.data.files import read_atoms
from panna_plus.families import load_potential
from panna_plus.graph import graph_from_atoms

N_MEMBERS = 4
# eV/Å. Where symmetry makes the force vanish it does so in every model: nothing can be learned about measures there.
SMALLEST_FORCE = 1e-3
WORST = 0.05  # fraction of the atoms that a measure shall find
OPTIONS = [
    "data.validation=0.05",
    "model.descriptor.radial_cutoff=5.0",
    "model.descriptor.n_radial=12",
    "model.descriptor.angular_cutoff=3.8",
    "model.descriptor.n_angular=5",
    "model.descriptor.n_theta=6",
    "training.epochs=60",
]
DEVIATION, LEVERAGE = "force deviation of the members", "leverage (extrapolation)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, help="keep the members here (default: a temporary folder)")
    arguments = parser.parse_args()
    chosen = SETS["mlearn_si"]
    if not chosen.train.exists():
        print(f"not run: {chosen.train} not found; set PANNA_PLUS_DATA to the folder with the data sets")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        committee = committee_in(arguments.output or Path(folder))
        train, test = ([*read_atoms(path)] for path in (chosen.train, chosen.test))
        errors, measures = compared(committee, train, test)
    result = {
        "n_atoms": len(errors),
        "options": OPTIONS,
        "measures": {n: scores(m, errors) for n, m in measures.items()},
    }
    print_table(result)
    print(f"written: {write_result('accuracy_uncertainty', result)}")
    write_figure(errors, {name: measures[name] for name in (DEVIATION, LEVERAGE)})
    return 0


def committee_in(folder: Path) -> Path:
    """Train what members the folder lacks, merge them and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen, config, committee = SETS["mlearn_si"], folder / "config.yaml", folder / "committee.pt"
    panna_plus("init", chosen.train, "--test", chosen.test, "-o", config, "--force")
    runs = [folder / f"member_{seed}" for seed in range(N_MEMBERS)]
    for seed, run in enumerate(runs):
        options = [f"output={run.resolve()}", f"seed={seed}", *OPTIONS]
        if not (run / "model.pt").exists():
            panna_plus("train", config, "--overwrite", *(part for option in options for part in ("--set", option)))
    panna_plus("committee", *(run / "model.pt" for run in runs), "-o", committee, "--force")
    return committee


def compared(path: Path, train: list[Atoms], test: list[Atoms]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the errors of the forces on the test atoms (n_atoms,), eV/Å, and the measures by name."""
    calculator = PannaPlusCalculator(path)
    found = [calculator.uncertainty(atoms) for atoms in test]
    forces = np.concatenate([f["forces_members"].mean(axis=0) for f in found])
    wanted = np.concatenate([atoms.arrays["REF_forces"] for atoms in test])
    seen, asked = (features_of(path, frames) for frames in (train, test))
    low, high, deviation = seen.min(axis=0), seen.max(axis=0), seen.std(axis=0) + 1e-12
    beyond = np.maximum(np.maximum(low - asked, asked - high), 0.0)
    measures = {
        DEVIATION: np.concatenate([f["force_deviation"] for f in found]),
        LEVERAGE: np.concatenate([f["extrapolation"] for f in found]),
        "distance from the mean": np.linalg.norm((asked - seen.mean(axis=0)) / deviation, axis=1),
        "range: fraction of functions outside": (beyond > 0.0).mean(axis=1),
        "range: distance outside": np.linalg.norm(beyond / deviation, axis=1),
    }
    counted = np.linalg.norm(wanted, axis=1) > SMALLEST_FORCE
    errors = np.linalg.norm(forces - wanted, axis=1)
    return errors[counted], {name: measure[counted] for name, measure in measures.items()}


def features_of(path: Path, frames: list[Atoms]) -> np.ndarray:
    """Return the descriptor values of all atoms, (n_atoms, F)."""
    potential, _ = load_potential(path)
    potential.use_backend("native")
    graphs = (graph_from_atoms(atoms, potential.elements, potential.cutoff) for atoms in frames)
    return torch.cat([potential.prepare(graph).features for graph in graphs]).numpy()


def scores(measure: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """Return the rank correlation with the errors, and the area under the curve of finding the largest ones."""
    is_bad = errors > np.quantile(errors, 1.0 - WORST)
    ranks, n = rankdata(measure), is_bad.sum()
    area = (ranks[is_bad].sum() - n * (n + 1) / 2) / (n * (~is_bad).sum())
    return {"spearman": float(spearmanr(measure, errors).statistic), "roc_area": float(area)}


def print_table(result: dict) -> None:
    table = Table(
        title=f"measures of uncertainty against force errors, {result['n_atoms']} test atoms of mlearn silicon"
    )
    for column in ("measure", "Spearman", f"ROC area, worst {WORST:.0%}"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name, found in result["measures"].items():
        table.add_row(name, f"{found['spearman']:.2f}", f"{found['roc_area']:.2f}")
    Console().print(table)


def write_figure(errors: np.ndarray, measures: dict[str, np.ndarray]) -> None:
    """Draw errors against measures, with the median and the 90 % quantile of tenths of the atoms."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    for axes, (name, measure) in zip(figure.subplots(1, len(measures), sharey=True), measures.items(), strict=True):
        axes.loglog(measure, errors, ".", color="0.75", markersize=2)
        tenths = np.array_split(np.argsort(measure), 10)
        x = [np.median(measure[k]) for k in tenths]
        for quantile, style in ((0.5, "o-"), (0.9, "s--")):
            axes.plot(
                x, [np.quantile(errors[k], quantile) for k in tenths], style, label=f"{quantile:.0%} of the errors"
            )
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(name + (" (eV/Å)" if name == DEVIATION else ""))
    figure.axes[0].set_ylabel("error of the force (eV/Å)")
    figure.axes[0].legend(frameon=False)
    path = RESULTS / "accuracy_uncertainty.png"
    figure.savefig(path, dpi=150)
    print(f"written: {path}")


if __name__ == "__main__":
    raise SystemExit(main())
