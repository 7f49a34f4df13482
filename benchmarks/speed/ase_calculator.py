"""Time per atom and evaluation of the ASE calculator; NEP (calorine) beside it where it is installed.

    python benchmarks/speed/ase_calculator.py model.pt [--nep nep.txt] [--cells 3 5]

Every evaluation moves the atoms a little, as a step of dynamics does: energy, forces and stress of rattled silicon.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ase.build
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from hardware import write_result

from panna_plus import PannaPlusCalculator

SECONDS = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--nep", type=Path, help="a NEP model of silicon")
    parser.add_argument("--cells", type=int, nargs="+", default=[3, 5], help="cubic cells of 8 atoms along each side")
    arguments = parser.parse_args()
    calculators: dict[str, Calculator] = {
        f"panna_plus {backend} {dtype}": PannaPlusCalculator(
            arguments.model, dtype=dtype, device="cpu", backend=backend
        )
        for backend in ("native", "torch")
        for dtype in ("float32", "float64")
    }
    skipped = {}
    try:
        calculators["NEP"] = nep_calculator(arguments.nep)
    except RuntimeError as reason:
        skipped["NEP"] = str(reason)
    rows = []
    for cells in arguments.cells:
        atoms = ase.build.bulk("Si", cubic=True).repeat(cells)
        atoms.rattle(0.1, seed=0)
        for name, calculator in calculators.items():
            rows.append({"name": name, "atoms": len(atoms), "microseconds_per_atom": time_of(atoms, calculator)})
            print(f"{name:25s} {len(atoms):6d} atoms: {rows[-1]['microseconds_per_atom']:8.2f} µs per atom")
    for name, reason in skipped.items():
        print(f"not run: {name}: {reason}")
    print(f"written: {write_result('speed_ase_calculator', {'rows': rows, 'skipped': skipped})}")
    return 0


def nep_calculator(model: Path | None) -> Calculator:
    """Return calorine's calculator, or raise RuntimeError with the reason why there is none."""
    try:
        from calorine.calculators import CPUNEP
    except ImportError as error:
        raise RuntimeError("calorine is not installed in this environment") from error
    if model is None:
        raise RuntimeError("no model named with --nep")
    return CPUNEP(str(model))


def time_of(atoms: Atoms, calculator: Calculator) -> float:
    """Return the median processor time of an evaluation in microseconds per atom."""
    rng = np.random.default_rng(0)
    moving = atoms.copy()
    moving.calc = calculator
    moving.get_forces()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < end:
        moving.positions += rng.normal(scale=1e-3, size=moving.positions.shape)
        start = time.process_time()
        moving.get_stress()
        moving.get_forces()
        times.append(time.process_time() - start)
    return 1e6 * median(times) / len(moving)


if __name__ == "__main__":
    raise SystemExit(main())
