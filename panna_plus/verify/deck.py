"""A LAMMPS input that measures what the pair style tallies, and its results."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from panna_plus.errors import PannaPlusError, require
from panna_plus.verify.programs import INPUT

# LAMMPS's own constants: length of 1 Å, Boltzmann's constant, nktv2p.
UNITS = {
    "metal": (1.0, 8.617343e-5, 1602176.5),
    "real": (1.0, 0.0019872067, 68568.415),
    "electron": (1.88972612, 3.16681534e-6, 2.94210108e13),
}
VOIGT = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
CENTROID = [*VOIGT, (1, 0), (2, 0), (2, 1)]

DATA = "system.data"
# The part of atoms that stand still: a step in which nobody asks the pair style for centroid virials, as most are.
NO_CENTROIDS = "ke"


def measures(centroid: str = "virial") -> list[str]:
    """Return commands that print everything the pair style tallies, with all digits; `centroid`: part to sum up."""
    return [
        "compute E all pe/atom",
        "compute S all stress/atom NULL virial",
        f"compute C all centroid/stress/atom NULL {centroid}",
        "compute P all pressure NULL virial",
        "compute SE all reduce sum c_E",
        "thermo_style custom step pe vol c_P[1] c_P[2] c_P[3] c_P[4] c_P[5] c_P[6] c_SE",
        "thermo_modify norm no",
        "dump D all custom 1 atoms.dump id type fx fy fz c_E c_S[*] c_C[*] x y z",
        "dump_modify D sort id format float %.17g",
    ]


MEASURE = measures()
REPORT = (
    'print "$(pe:%.17g) $(vol:%.17g) $(c_P[1]:%.17g) $(c_P[2]:%.17g) $(c_P[3]:%.17g) '
    '$(c_P[4]:%.17g) $(c_P[5]:%.17g) $(c_P[6]:%.17g) $(c_SE:%.17g)" file result.txt'
)


@dataclass
class Deck:
    """One LAMMPS simulation.

    Attributes
    ----------
    atoms : ase.Atoms
        In a box that starts at the origin with a lower triangular cell, see `panna_plus.verify.boxes`.
    types : list of str
        The element of each atom type.
    units, newton : str
        As LAMMPS names them.
    options : str
        Of the pair style.
    run : list of str
        Commands after the pair style.
    """

    atoms: Atoms
    types: list[str]
    units: str = "metal"
    newton: str = "on"
    options: str = "precision double"
    run: list[str] = field(default_factory=lambda: ["run 0"])

    @property
    def atom_style(self) -> str:
        """What LAMMPS stores per atom."""
        return "atomic"

    @property
    def length(self) -> float:
        """Length of 1 Å in the units of the deck."""
        return UNITS[self.units][0] if self.units in UNITS else 1.0

    def write(self, model: str, folder: Path) -> None:
        """Write the input and its data file into a folder; `model`: one or more files as words of a script."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DATA).write_text(self.data())
        (folder / INPUT).write_text(self.script(model))

    def script(self, model: str) -> str:
        """Return the input."""
        lines = [*self.box_lines(), *self.pair_lines(model), f"neighbor {0.8 * self.length:.6g} bin", *self.run, ""]
        return "\n".join(lines)

    def box_lines(self) -> list[str]:
        """Return what makes the system."""
        return [*self.style_lines(), f"read_data {DATA}"]

    def style_lines(self) -> list[str]:
        """Return what comes before the system."""
        boundary = " ".join("p" if periodic else "f" for periodic in self.atoms.pbc)
        return [
            f"units {self.units}",
            f"newton {self.newton}",
            f"atom_style {self.atom_style}",
            f"boundary {boundary}",
        ]

    def pair_lines(self, model: str) -> list[str]:
        """Return the pair style."""
        return [f"pair_style panna_plus {self.options}", f"pair_coeff * * {model} {' '.join(self.types)}"]

    def data(self) -> str:
        """Return the data file."""
        masses = [f"{t} {self.mass_of(t):.6f}" for t in range(1, len(self.types) + 1)]
        head = [*self.count_lines(), *box_of(self.atoms.cell.array * self.length)]
        return "\n".join(
            [*head, "", "Masses", "", *masses, "", f"Atoms # {self.atom_style}", "", *self.atom_lines(), ""]
        )

    def count_lines(self) -> list[str]:
        """Return the title and the numbers of things."""
        return ["system", "", f"{len(self.atoms)} atoms", f"{len(self.types)} atom types"]

    def mass_of(self, atom_type: int) -> float:
        """Return the mass of a type, counted from 1, in g/mol."""
        return atomic_masses[atomic_numbers[self.types[atom_type - 1]]]

    def ids(self) -> np.ndarray:
        """Return the ids of the atoms in the order of `atoms`."""
        return np.arange(1, len(self.atoms) + 1)

    def atom_lines(self) -> list[str]:
        """Return one line per atom."""
        lines = []
        symbols = self.atoms.get_chemical_symbols()
        for n, symbol, x in zip(self.ids(), symbols, self.atoms.positions * self.length, strict=True):
            lines.append(f"{n} {self.types.index(symbol) + 1} {x[0]:.17g} {x[1]:.17g} {x[2]:.17g}")
        return lines


def box_of(cell: np.ndarray) -> list[str]:
    """Return the box of a data file."""
    require(
        np.allclose(cell, np.tril(cell)) and bool((np.diag(cell) > 0).all()),
        PannaPlusError,
        f"LAMMPS needs a lower triangular cell with a positive diagonal, found {cell.tolist()}: rotate it",
    )
    lines = [f"0 {cell[d, d]:.17g} {a}lo {a}hi" for d, a in enumerate("xyz")]
    if abs(cell - np.diag(np.diag(cell))).max() > 0:
        lines.append(f"{cell[1, 0]:.17g} {cell[2, 0]:.17g} {cell[2, 1]:.17g} xy xz yz")
    return lines


@dataclass
class Measured:
    """Results in eV and Å, atoms in the order of the deck.

    Attributes
    ----------
    energy, sum_of_energies : float, eV
        As the pair style tallies it, and summed over the atoms.
    virial : (3, 3) float, eV
    energies : (n_atoms,) float, eV
    forces : (n_atoms, 3) float, eV/Å
    virials, centroid_virials : (n_atoms, 3, 3) float, eV
    positions : (n_atoms, 3) float, Å
    """

    energy: float
    sum_of_energies: float
    virial: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    centroid_virials: np.ndarray
    positions: np.ndarray


def read_results(deck: Deck, folder: Path) -> Measured:
    """Read what a finished deck with `measures` before and `REPORT` after its last step left in its folder."""
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
