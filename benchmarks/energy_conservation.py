"""Slope of the total energy in a long run at constant energy: silicon in LAMMPS, mixed precision, two ranks.

    python benchmarks/energy_conservation.py model.pt [--cells 8] [--picoseconds 20]

2 ps at 300 K, then the run at constant energy with steps of 1 fs. The bar is 0.02 meV per atom and ps.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "silicon"))

import dynamics
from hardware import write_result

BAR = 0.02  # meV per atom and ps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cells", type=int, default=8, help="cubic cells of 8 atoms along each side")
    parser.add_argument("--picoseconds", type=int, default=20)
    arguments = parser.parse_args()
    n_atoms, steps = 8 * arguments.cells**3, arguments.picoseconds * dynamics.PICOSECOND
    print(f"{n_atoms} atoms, {arguments.picoseconds} ps at constant energy on {dynamics.N_RANKS} ranks ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        common = {"model": arguments.model.resolve()}
        dynamics.run_deck("nvt.in", Path(folder), common | {"cells": arguments.cells, "steps": 2000}, "nvt.log")
        settings = common | {"steps": steps, "every": 10, "snapshot": steps}
        run = dynamics.parse_log(dynamics.run_deck("nve.in", Path(folder), settings, "nve.log"), n_atoms)
    slope, noise = dynamics.drift(run), dynamics.fluctuation(run)
    verdict = "within" if abs(slope) < BAR else "ABOVE"
    print(f"slope {slope:.2e} meV/atom/ps, {verdict} the bar of {BAR}")
    print(f"rms around it {noise:.2e} meV/atom, mean temperature {run.temperatures.mean():.0f} K")
    content = {"atoms": n_atoms, "picoseconds": arguments.picoseconds, "slope": slope, "rms": noise, "bar": BAR}
    print(f"written: {write_result('energy_conservation', content)}")
    return 0 if abs(slope) < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
