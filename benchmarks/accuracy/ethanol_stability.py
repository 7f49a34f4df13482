"""Dynamics of one ethanol molecule with a trained model: does it stay together?

    python benchmarks/accuracy/ethanol_stability.py model.pt [--ps 20] [--temperature 300] [--plot FILE]

Langevin dynamics with steps of 0.5 fs through the ASE calculator. Prints the largest deviation of a bonded distance
from its start and the mean temperature, and exits with 1 if a bond was off by more than 0.5 Å, the temperature exceeded
twice the target on average over a picosecond, or the calculator stopped at an impossible distance.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.optimize import BFGS

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hardware import write_result

from panna_plus import PannaPlusCalculator
from panna_plus.errors import NumericalError

TIME_STEP = 0.5  # fs
FRICTION = 0.01  # 1/fs
STEPS_PER_RECORD = 20
LARGEST_DEVIATION = 0.5  # Å


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--ps", type=float, default=20.0, help="length of the run (%(default)s)")
    parser.add_argument("--temperature", type=float, default=300.0, help="K (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--backend", choices=("auto", "native", "torch"), default="native")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw bonded distances and temperature over time")
    arguments = parser.parse_args()
    atoms = relaxed_ethanol(PannaPlusCalculator(arguments.model, dtype=arguments.dtype, backend=arguments.backend))
    records, seconds = simulated(atoms, arguments.ps, arguments.temperature, arguments.seed)
    result = summary(records, arguments.ps, arguments.temperature)
    result |= {"seconds": seconds, "backend": arguments.backend, "dtype": arguments.dtype}
    for name, value in result.items():
        print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
    if arguments.plot:
        draw(records, bonds_of(atoms), atoms, arguments.temperature, arguments.plot)
    print(f"written: {write_result('stability_ethanol', result)}")
    return 0 if result["is_stable"] else 1


def relaxed_ethanol(calculator: PannaPlusCalculator) -> Atoms:
    """Return the molecule at a minimum of the model."""
    atoms = molecule("CH3CH2OH")
    atoms.calc = calculator
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=300)
    return atoms


def bonds_of(atoms: Atoms) -> np.ndarray:
    """Return the bonded pairs (n_bonds, 2) of the molecule, each once."""
    i, j = neighbor_list("ij", molecule("CH3CH2OH"), natural_cutoffs(atoms, mult=1.2))
    return np.column_stack([i, j])[i < j]


def simulated(atoms: Atoms, picoseconds: float, temperature: float, seed: int) -> tuple[np.ndarray, float]:
    """Run dynamics until the end or an impossible distance.

    Returns
    -------
    records : (n, 2 + n_bonds) float
        Time in ps, temperature in K, bonded distances in Å.
    seconds : float
    """
    generator = np.random.default_rng(seed)
    widths = np.sqrt(units.kB * temperature * atoms.get_masses())
    atoms.set_momenta(widths[:, None] * generator.normal(size=(len(atoms), 3)))
    dynamics = Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=generator,
    )
    bonds, records = bonds_of(atoms), []

    def record() -> None:
        distances = np.linalg.norm(atoms.positions[bonds[:, 0]] - atoms.positions[bonds[:, 1]], axis=1)
        records.append([dynamics.get_time() / (1e3 * units.fs), atoms.get_temperature(), *distances])

    dynamics.attach(record, interval=STEPS_PER_RECORD)
    start = time.perf_counter()
    try:
        dynamics.run(round(1e3 * picoseconds / TIME_STEP))
    except NumericalError as error:
        print(f"ended after {records[-1][0]:.2f} ps: {error}")
    return np.array(records), time.perf_counter() - start


def summary(records: np.ndarray, picoseconds: float, target: float) -> dict:
    """Return what became of the molecule."""
    times, temperatures, distances = records[:, 0], records[:, 1], records[:, 2:]
    deviation = float(np.abs(distances - distances[0]).max())
    # At one moment the temperature of nine atoms is off by a quarter, root mean square.
    window = int(np.searchsorted(times, times[0] + 1.0))
    smoothed = np.convolve(temperatures, np.ones(window) / window, mode="valid")
    return {
        "picoseconds": float(times[-1]),
        "largest_deviation_of_a_bond": deviation,
        "mean_temperature": float(temperatures.mean()),
        "highest_temperature_over_1_ps": float(smoothed.max()),
        "is_stable": bool(
            times[-1] > picoseconds - 2 * STEPS_PER_RECORD * 1e-3 * TIME_STEP
            and deviation <= LARGEST_DEVIATION
            and smoothed.max() < 2.0 * target
        ),
    }


def draw(records: np.ndarray, bonds: np.ndarray, atoms: Atoms, target: float, path: Path) -> None:
    """Draw bonded distances and temperature over time."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(2, 1, sharex=True, figsize=(7, 6), layout="constrained")
    symbols = atoms.get_chemical_symbols()
    for (i, j), distances in zip(bonds, records[:, 2:].T, strict=True):
        upper.plot(records[:, 0], distances, lw=0.6, label=f"{symbols[i]}{i}-{symbols[j]}{j}")
    upper.set_ylabel("bonded distance (Å)")
    upper.legend(ncols=4, fontsize="small")
    lower.plot(records[:, 0], records[:, 1], lw=0.6)
    lower.axhline(target, color="0.5", ls="--")
    lower.set_ylabel("temperature (K)")
    lower.set_xlabel("time (ps)")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    raise SystemExit(main())
