"""A two-element set with periodic and free frames, labelled by ASE's EMT, and small runs over it."""

import os
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from panna_plus.training.config import parse_run_config
from panna_plus.training.run import Prepared, Run, build_run, prepare, read_dataset

DESCRIPTOR = {
    "type": "mbp",
    "radial_cutoff": 4.4,
    "n_radial": 6,
    "radial_eta": 2.0,
    "angular_cutoff": 3.6,
    "n_angular": 2,
    "n_theta": 3,
    "zeta": 4.0,
}


def crystal(rng: np.random.Generator) -> Atoms:
    """A strained, rattled CuAu cell of four atoms."""
    atoms = bulk("Cu", "fcc", a=3.8, cubic=True)
    atoms.symbols = ["Cu", "Au", "Cu", "Au"]
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, (4, 3))
    atoms.info["config_type"] = "crystal"
    return atoms


def cluster(rng: np.random.Generator) -> Atoms:
    """A free cluster of five atoms."""
    corners = 2.6 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82], [0.5, 0.29, -0.82]])
    atoms = Atoms(["Cu", "Au", "Au", "Cu", "Cu"], corners + rng.normal(0, 0.1, (5, 3)))
    atoms.info["config_type"] = "cluster"
    return atoms


def labelled(atoms: Atoms) -> Atoms:
    """Return the atoms with REF_ labels; a stress only with a cell."""
    atoms.calc = EMT()
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    if atoms.pbc.all():
        atoms.info["REF_stress"] = atoms.get_stress(voigt=False).ravel()
    atoms.calc = None
    atoms.info["REF_energy"] = energy
    atoms.arrays["REF_forces"] = forces
    return atoms


def frames(n: int, seed: int = 0) -> list[Atoms]:
    """Return labelled crystals and clusters in turn."""
    rng = np.random.default_rng(seed)
    return [labelled((crystal if k % 2 else cluster)(rng)) for k in range(n)]


def lone_atoms() -> list[Atoms]:
    """Return the isolated atoms, which give the reference energies."""
    atoms = [labelled(Atoms(symbol)) for symbol in ("Cu", "Au")]
    for one in atoms:
        one.info["config_type"] = "IsolatedAtom"
    return atoms


def write_xyz(path: Path, structures: list[Atoms]) -> None:
    ase.io.write(path, structures, format="extxyz")


def content(folder: Path, **training) -> dict:
    """Return a configuration over train.xyz and test.xyz in a folder."""
    settings = {"epochs": 20, "batch_size": 4, "validation_interval": 2, "ema_decay": 0.9, "learning_rate": 5e-3}
    return {
        "output": "run",
        "data": {"train": str(folder / "train.xyz"), "validation": 0.2, "test": str(folder / "test.xyz")},
        "model": {"descriptor": DESCRIPTOR, "network": {"hidden": [8, 8]}},
        "training": {**settings, **training},
    }


def write_data(folder: Path, n: int = 20) -> None:
    """Write train.xyz (with lone atoms) and test.xyz."""
    write_xyz(folder / "train.xyz", lone_atoms() + frames(n))
    write_xyz(folder / "test.xyz", frames(6, seed=1))


def write_config(folder: Path, **training) -> Path:
    """Write config.yaml and return its path."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content(folder, **training)))
    return path


def small_run(folder: Path, **training) -> Run:
    """Return a run over the data in a folder."""
    config = parse_run_config(content(folder, **training), "test")
    return build_run(config, read_dataset(config, folder))


def prepared_run(folder: Path, **training) -> tuple[Run, Prepared]:
    run = small_run(folder, **training)
    return run, prepare(run)


def command(*arguments: object) -> list[str]:
    """Return the command line of panna-plus in this interpreter."""
    return [sys.executable, "-m", "panna_plus.commands.main", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return variables under which a child finds the package and uses one thread."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def panna_plus(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Run panna-plus in a process of its own."""
    options = {"capture_output": True, "text": True, "timeout": 120, "env": environment(), **options}
    return subprocess.run(command(*arguments), **options)
