"""Time per atom and step of the published SO3LR model in LAMMPS, on one rank and on two.

    python benchmarks/speed/so3krates_lammps.py SO3LR_FOLDER [--repeat 4 2 2] [--steps 20]

SO3LR_FOLDER holds the published weights (see `panna-plus import so3lr`) and `water_64.extxyz`, whose box is repeated:
3,072 atoms by default. Steps of 0.5 fs at constant energy, lists of neighbors included, layer by layer between ranks.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ase.io
from hardware import write_result
from speed.dynamics import LMP, Workbench, parse_log

PRECISIONS = ("mixed", "double")
RANKS = (1, 2)
DECK = """
units metal
atom_style charge
read_data water.data
mass 1 1.008
mass 2 15.9994
pair_style panna_plus precision {precision} guard off
pair_coeff * * model.pt H O
neighbor 1.0 bin
timestep 0.0005
velocity all create 300 1 loop geom
fix move all nve
run 2
run {steps}
info out log memory
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, nargs=3, default=[4, 2, 2], help="copies of the box of 64 molecules")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    atoms = ase.io.read(arguments.folder / "water_64.extxyz").repeat(arguments.repeat)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        command = [str(LMP.with_name("panna-plus")), "import", "so3lr", str(arguments.folder), "-o", "model.pt"]
        subprocess.run(command, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        ase.io.write(scratch / "water.data", atoms, format="lammps-data", specorder=["H", "O"], atom_style="charge")
        workbench = Workbench(scratch)
        for precision in PRECISIONS:
            deck = DECK.format(precision=precision, steps=arguments.steps)
            timings = [parse_log(workbench.launch(deck, (), ranks), len(atoms)) for ranks in RANKS]
            for ranks, timing in zip(RANKS, timings, strict=True):
                rows.append({"precision": precision, "ranks": ranks, **asdict(timing)})
                parts = ", ".join(f"{name} {value:.1f}" for name, value in timing.sections.items() if value > 0.1)
                print(f"{precision:7s} {ranks} rank(s): {timing.wall:7.1f} µs per atom and step ({parts})")
            print(
                f"{precision:7s} two ranks are {timings[0].wall / timings[1].wall:.2f} times as fast as one", flush=True
            )
    content = {"atoms": len(atoms), "steps": arguments.steps, "rows": rows}
    print(f"written: {write_result('speed_so3krates_lammps', content)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
