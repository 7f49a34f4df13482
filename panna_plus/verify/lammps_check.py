"""One structure in ASE and in LAMMPS: energy, forces and virial, and what finite differences say about them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.stress import voigt_6_to_full_3x3_stress

from panna_plus.verify.boxes import LammpsFrame, lammps_frame
from panna_plus.verify.deck import NO_CENTROIDS, REPORT, Deck, Measured, measures, read_results
from panna_plus.verify.programs import failure_of, run_lammps

RUN_SECONDS = 600.0
NEWTON = ("on", "off")
# Forces relative to the largest one, at least 1 eV/Å; energy per atom in eV; virial per atom relative to the largest
# component, at least 1 eV.
TOLERANCES = {"double": (1e-10, 1e-9, 1e-9), "mixed": (5e-5, 1e-5, 5e-5)}
DIFFERENCES_TOLERANCE = 1e-6
# Small, because pairs that cross the cutoff and atoms in a row bend the energy sharply: on 512 silicon atoms the virial
# is off by 3e-7 eV/atom with a strain of 5e-4, by 6e-9 with this one.
DISPLACEMENT = 2e-4  # Å
STRAIN = 5e-5
COMPONENTS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
AXES = "xyz"


@dataclass(frozen=True)
class Reference:
    """What a calculator finds in float64, in the directions of the structure.

    Attributes
    ----------
    energy : float, eV
    forces : (n_atoms, 3) float, eV/Å
    virial : (3, 3) float, eV
    chosen : (n_chosen,) int
        Atoms whose forces were also computed by finite differences: of each element the one with the largest force.
    force_differences : (n_chosen, 3) float, eV/Å
    virial_differences : (3, 3) float, eV
    noise : float, eV
        What rounding may do to a difference of two energies.
    """

    energy: float
    forces: np.ndarray
    virial: np.ndarray
    chosen: np.ndarray
    force_differences: np.ndarray
    virial_differences: np.ndarray
    noise: float

    @property
    def rms_force(self) -> float:
        """Root mean square of the components of the forces, eV/Å."""
        return float(np.sqrt((self.forces**2).mean()))


@dataclass(frozen=True)
class Comparison:
    """The largest deviation of one quantity."""

    quantity: str
    deviation: float
    tolerance: float
    unit: str
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether the deviation is within the tolerance; NaN is not."""
        return self.deviation <= self.tolerance


@dataclass(frozen=True)
class RunResult:
    """One run of LAMMPS: its comparisons, or why there are none."""

    ranks: int
    newton: str
    comparisons: list[Comparison] = field(default_factory=list)
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether LAMMPS ran and everything agrees."""
        return not self.failure and all(comparison.passed for comparison in self.comparisons)


def reference_of(calculator: Calculator, atoms: Atoms) -> Reference:
    """Compute a structure with an ASE calculator that gives `energies`; `atoms` is not changed."""
    atoms = atoms.copy()
    atoms.calc = calculator
    energies, forces = atoms.get_potential_energies(), atoms.get_forces()
    virial = virial_of(atoms)
    symbols = np.array(atoms.get_chemical_symbols())
    strength = np.linalg.norm(forces, axis=1)
    members = (np.flatnonzero(symbols == element) for element in dict.fromkeys(symbols))
    chosen = np.array([group[strength[group].argmax()] for group in members])
    return Reference(
        energy=float(energies.sum()),
        forces=forces,
        virial=virial,
        chosen=chosen,
        force_differences=force_differences(atoms, energies, chosen),
        virial_differences=virial_differences(atoms, energies),
        noise=10 * float(np.finfo(float).eps * abs(energies).max() * np.sqrt(len(atoms))),
    )


def virial_of(atoms: Atoms) -> np.ndarray:
    """Return the virial (3, 3) in eV, which ASE has as a stress where the structure has a volume."""
    if not atoms.pbc.any():
        # Without images the virial is the moment of the forces, whatever the origin: they add up to zero.
        moment = atoms.positions.T @ atoms.get_forces()
        return 0.5 * (moment + moment.T)
    solid = atoms.copy()
    solid.calc = atoms.calc
    solid.cell = solid.cell.complete()
    return -solid.get_volume() * voigt_6_to_full_3x3_stress(solid.get_stress())


def slope(change: Callable[[float], float], h: float) -> float:
    """Differentiate at 0 by the central formula of four points."""
    return (8.0 * (change(h) - change(-h)) - (change(2 * h) - change(-2 * h))) / (12.0 * h)


def energy_change(atoms: Atoms, energies: np.ndarray, strain: np.ndarray, moves: np.ndarray) -> float:
    """Return how the energy changes when a structure is strained and its atoms moved.

    Summed over the changes of single atoms: the large energies of isolated atoms cost no digits.
    """
    changed = atoms.copy()
    changed.set_cell(atoms.cell.array @ (np.eye(3) + strain))
    changed.positions = atoms.positions @ (np.eye(3) + strain) + moves
    changed.calc = atoms.calc
    return float((changed.get_potential_energies() - energies).sum())


def force_differences(atoms: Atoms, energies: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return forces on chosen atoms by finite differences of the energy."""

    def component(atom: int, d: int) -> float:
        direction = np.zeros((len(atoms), 3))
        direction[atom, d] = 1.0
        return -slope(lambda h: energy_change(atoms, energies, np.zeros((3, 3)), h * direction), DISPLACEMENT)

    return np.array([[component(atom, d) for d in range(3)] for atom in chosen])


def virial_differences(atoms: Atoms, energies: np.ndarray) -> np.ndarray:
    """Return the virial by finite differences of the energy, for six strains."""
    still = np.zeros((len(atoms), 3))

    def component(a: int, b: int) -> float:
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5
        strain[b, a] += 0.5
        return -slope(lambda h: energy_change(atoms, energies, h * strain, still), STRAIN)

    virial = np.zeros((3, 3))
    for a, b in COMPONENTS:
        virial[a, b] = virial[b, a] = component(a, b)
    return virial


def compare(reference: Reference, found: Measured, frame: LammpsFrame, precision: str) -> list[Comparison]:
    """Compare what LAMMPS found with ASE and with finite differences."""
    force_limit, energy_limit, virial_limit = TOLERANCES[precision]
    n = len(reference.forces)
    largest = max(abs(reference.forces).max(), 1.0)
    per_atom = max(abs(reference.virial).max() / n, 1.0)
    forces, virial = frame.vectors_back(found.forces), frame.tensor_back(found.virial)
    symbols = frame.atoms.get_chemical_symbols()
    from_differences = forces[reference.chosen] - reference.force_differences
    differences_limit = force_limit + DIFFERENCES_TOLERANCE
    return [
        Comparison("energy", abs(found.energy - reference.energy) / n, energy_limit, "eV/atom"),
        of_atoms("forces", forces - reference.forces, np.arange(n), symbols, force_limit * largest),
        of_components("virial", (virial - reference.virial) / n, virial_limit * per_atom),
        of_atoms(
            "forces, differences",
            from_differences,
            reference.chosen,
            symbols,
            differences_limit * largest + reference.noise / DISPLACEMENT,
        ),
        of_components(
            "virial, differences",
            (virial - reference.virial_differences) / n,
            (virial_limit + DIFFERENCES_TOLERANCE) * per_atom + reference.noise / STRAIN / n,
        ),
    ]


def of_atoms(
    quantity: str, deviations: np.ndarray, atoms: np.ndarray, symbols: Sequence[str], tolerance: float
) -> Comparison:
    """Return the largest deviation of forces and the atom that it is on, counted from 0."""
    worst = int(abs(deviations).max(axis=1).argmax())
    where = f"atom {atoms[worst]} ({symbols[atoms[worst]]})"
    return Comparison(quantity, float(abs(deviations[worst]).max()), float(tolerance), "eV/Å", where)


def of_components(quantity: str, deviations: np.ndarray, tolerance: float) -> Comparison:
    """Return the largest deviation of a tensor and its component."""
    # argmax takes NaN for the largest.
    a, b = COMPONENTS[int(np.argmax([abs(deviations[ab]) for ab in COMPONENTS]))]
    return Comparison(quantity, float(abs(deviations[a, b])), float(tolerance), "eV/atom", AXES[a] + AXES[b])


@dataclass(frozen=True)
class Settings:
    """How LAMMPS is run: numbers of ranks, precision and further options of the pair style, units, another `lmp`."""

    ranks: Sequence[int]
    precision: str = "double"
    units: str = "metal"
    options: str = ""
    lmp: Path | None = None


def folder_of(ranks: int, newton: str) -> str:
    """Return the name of the folder that one run has."""
    return f"{ranks}_rank{'s' if ranks > 1 else ''}_newton_{newton}"


def run_checks(
    reference: Reference,
    atoms: Atoms,
    elements: Sequence[str],
    models: Sequence[Path],
    settings: Settings,
    folder: Path,
) -> Iterator[RunResult]:
    """Run LAMMPS on each number of ranks with both newton settings; every run has a folder of its own.

    Parameters
    ----------
    reference : Reference
        Of the same atoms.
    atoms : ase.Atoms
    elements : sequence of str
        Of the model; all become atom types, in this order.
    models : sequence of Path
        Several files are one potential, the mean of theirs.
    settings : Settings
    folder : Path
    """
    frame = lammps_frame(atoms)
    words = " ".join(f'"{model.resolve()}"' for model in models)
    for ranks in settings.ranks:
        for newton in NEWTON:
            deck = Deck(
                frame.atoms,
                list(elements),
                units=settings.units,
                newton=newton,
                options=f"precision {settings.precision} {settings.options}".strip(),
                run=[*measures(NO_CENTROIDS), "run 0", REPORT],
            )
            place = folder / folder_of(ranks, newton)
            deck.write(words, place)
            failure = failure_of(run_lammps(place, ranks, RUN_SECONDS, settings.lmp), ranks)
            if failure:
                yield RunResult(ranks, newton, failure=failure)
            else:
                compared = compare(reference, read_results(deck, place), frame, settings.precision)
                yield RunResult(ranks, newton, compared)
