"""Active learning: train a committee, explore with it, label what it is not sure of, train again.

    python loop.py [--folder results] [--rounds 1] [--epochs 100] [--ranks 2]

Each round leaves a folder with its training set, its members, `committee.pt`, the exploration and its candidates.
The reference is a stand-in for DFT, see label.py; everything else is what one would do with DFT. A few minutes on two
cores.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from label import labelled, reference_calculator

from panna_plus import PannaPlusCalculator

HERE = Path(__file__).resolve().parent
BINARIES = Path(sys.executable).parent
N_MEMBERS = 4
MOST_NEW = 20  # frames that are labelled in one round
# A small model: the loop shall take minutes.
OPTIONS = [
    "data.validation=0.1",
    "data.reference_energies=least_squares",
    "model.descriptor.radial_cutoff=5.0",
    "model.descriptor.n_radial=10",
    "model.descriptor.angular_cutoff=3.8",
    "model.descriptor.n_angular=4",
    "model.descriptor.n_theta=5",
    "model.network.hidden=[32, 32]",
    "training.batch_size=1",
    "training.learning_rate=0.005",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("results"), help="where everything goes")
    parser.add_argument("--rounds", type=int, default=1, help="explorations; one training more than these")
    parser.add_argument("--epochs", type=int, default=100, help="of the training of a member")
    parser.add_argument("--ranks", type=int, default=2, help="ranks of LAMMPS, and members trained at a time")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    frames, hot = labelled(first_frames(), folder), labelled(hot_frames(folder), folder)
    for number in range(arguments.rounds + 1):
        place = folder / f"round_{number}"
        place.mkdir(exist_ok=True)
        committee = trained(frames, place, arguments.epochs, arguments.ranks)
        print(f"round {number}: {len(frames)} frames, {summary(committee, hot)}", flush=True)
        if number < arguments.rounds:
            new = labelled(explored(committee, place, number, arguments.ranks), folder)
            print(f"  explored: {len(new)} frames labelled", flush=True)
            frames += new
    return 0


def first_frames() -> list[Atoms]:
    """Return what anybody has at the beginning: a crystal, strained and rattled a little."""
    random = np.random.default_rng(0)
    frames = []
    for strain in np.linspace(-0.04, 0.04, 16):
        atoms = bulk("Si", "diamond", 5.431 * (1 + strain), cubic=True) * (2, 2, 2)
        atoms.positions += random.normal(scale=0.08, size=atoms.positions.shape)
        frames.append(atoms)
    return frames


def hot_frames(folder: Path) -> list[Atoms]:
    """Return what the first frames do not cover, to measure the progress: dynamics of the reference at 1500 K."""
    atoms = bulk("Si", "diamond", 5.431, cubic=True) * (2, 2, 2)
    atoms.calc = reference_calculator(folder)
    random = np.random.default_rng(1)
    # Half of the kinetic energy goes into the potential energy.
    spread = np.sqrt(atoms.get_masses() * units.kB * 3000)
    momenta = spread[:, None] * random.normal(size=atoms.positions.shape)
    atoms.set_momenta(momenta - momenta.mean(axis=0))
    dynamics = VelocityVerlet(atoms, 1.0 * units.fs)
    frames = []
    for _ in dynamics.irun(400):
        if dynamics.nsteps >= 200 and dynamics.nsteps % 40 == 0:
            frames.append(Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True))
    return frames


def trained(frames: list[Atoms], place: Path, epochs: int, at_a_time: int) -> Path:
    """Train the members from different seeds, several at a time, and merge them."""
    ase.io.write(place / "train.xyz", frames)
    panna_plus(place, "init", "train.xyz", "-o", "config.yaml", "--force")
    with ThreadPoolExecutor(at_a_time) as pool:
        models = list(pool.map(lambda seed: train_member(place, seed, epochs), range(N_MEMBERS)))
    panna_plus(place, "committee", *models, "-o", "committee.pt", "--force")
    return place / "committee.pt"


def train_member(place: Path, seed: int, epochs: int) -> Path:
    """Train one member and return its file."""
    output = place / f"member_{seed}"
    options = [f"output={output}", f"seed={seed}", f"training.epochs={epochs}", *OPTIONS]
    settings = [part for option in options for part in ("--set", option)]
    panna_plus(place, "train", "config.yaml", "--overwrite", *settings)
    return output / "model.pt"


def panna_plus(place: Path, *words: object) -> None:
    """Run one command in a folder; what it says is kept in commands.log."""
    with (place / "commands.log").open("a") as log:
        command = [str(BINARIES / "panna-plus"), *map(str, words)]
        subprocess.run(command, cwd=place, check=True, stdout=log, stderr=subprocess.STDOUT)


def explored(committee: Path, place: Path, seed: int, ranks: int) -> list[Atoms]:
    """Run explore.in and return the frames to label, evenly chosen from the candidates."""
    ase.io.write(place / "start.data", bulk("Si", "diamond", 5.431, cubic=True) * (2, 2, 2), format="lammps-data")
    command = [str(BINARIES / "lmp"), "-in", str(HERE / "explore.in"), "-screen", "none"]
    for name, value in (("committee", committee), ("start", "start.data"), ("seed", seed + 1)):
        command += ["-var", name, str(value)]
    launcher = [str(BINARIES / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    subprocess.run([*launcher, *command], cwd=place, check=True, env={"OMP_NUM_THREADS": "1", **os.environ})
    if not (place / "candidates.dump").read_text():
        return []
    candidates = ase.io.read(place / "candidates.dump", index=":", format="lammps-dump-text", specorder=["Si"])
    chosen = np.unique(np.linspace(0, len(candidates) - 1, min(MOST_NEW, len(candidates))).astype(int))
    return [candidates[n] for n in chosen]


def summary(committee: Path, frames: list[Atoms]) -> str:
    """Return errors and deviations on frames that are never trained on."""
    calculator = PannaPlusCalculator(committee, guard=False)
    found = [calculator.uncertainty(atoms) for atoms in frames]
    errors = [f["forces_members"].mean(axis=0) - a.arrays["REF_forces"] for f, a in zip(found, frames, strict=True)]
    rms = float(np.sqrt(np.mean(np.square(np.concatenate(errors)))))
    deviation = float(np.concatenate([f["force_deviation"] for f in found]).mean())
    return f"on hot frames: force error {rms:.3f} eV/Å (rms), mean deviation of the members {deviation:.3f} eV/Å"


if __name__ == "__main__":
    raise SystemExit(main())
