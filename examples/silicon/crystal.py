"""Crystal properties from an ASE calculator: relaxation, equation of state, elastic constants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa

ATOMS_PER_CUBIC_CELL = 8


@dataclass(frozen=True)
class EnergyCurve:
    """Energies of diamond at several volumes and the Birch-Murnaghan fit through them.

    Attributes
    ----------
    volumes : (n,) Å³ per atom
    energies : (n,) eV per atom
    lattice_constant : Å, of the fit's minimum
    bulk_modulus : GPa, of the fit
    minimum : eV per atom, of the fit
    """

    volumes: np.ndarray
    energies: np.ndarray
    lattice_constant: float
    bulk_modulus: float
    minimum: float


@dataclass(frozen=True)
class CrystalResults:
    """What ASE computed with the potential, and the DFT curve.

    Attributes
    ----------
    dft, model : EnergyCurve
        Fitted at the same lattice constants.
    line : (2, n) Å³ and eV per atom
        The potential's energies at many more volumes, for drawing.
    relaxed_lattice_constant : float, Å
        Cube root of the volume of the cell that was relaxed in all its freedom.
    n_relaxation_steps : int
    elastic : mapping of C11, C12, C44 to GPa
    """

    dft: EnergyCurve
    model: EnergyCurve
    line: np.ndarray
    relaxed_lattice_constant: float
    n_relaxation_steps: int
    elastic: Mapping[str, float]


def study_crystal(calculator: Calculator, labelled: Sequence[Atoms]) -> CrystalResults:
    """Relax the crystal, compute its energy curve and its elastic constants.

    Parameters
    ----------
    calculator : Calculator
    labelled : sequence of Atoms
        The DFT frames; those with config_type `eos` give the reference curve.
    """
    points = [atoms for atoms in labelled if atoms.info.get("config_type") == "eos"]
    dft = fit_energy_curve([a.get_volume() / len(a) for a in points], [a.info["REF_energy"] / len(a) for a in points])
    lattice_constants = sorted(a.cell.lengths()[0] for a in points)
    model = energy_curve(calculator, lattice_constants)
    dense = energy_curve(calculator, np.linspace(lattice_constants[0], lattice_constants[-1], 60))
    relaxed = distorted_crystal()
    relaxed.calc = calculator
    n_steps = relax_atoms_and_cell(relaxed)
    return CrystalResults(
        dft=dft,
        model=model,
        line=np.array([dense.volumes, dense.energies]),
        relaxed_lattice_constant=float(relaxed.get_volume() ** (1 / 3)),
        n_relaxation_steps=n_steps,
        elastic=elastic_constants(calculator, model.lattice_constant),
    )


def fit_energy_curve(volumes: Sequence[float], energies: Sequence[float]) -> EnergyCurve:
    """Fit the Birch-Murnaghan equation of state to diamond energies; volumes and energies per atom."""
    order = np.argsort(volumes)
    v, e = np.asarray(volumes, float)[order], np.asarray(energies, float)[order]
    v0, e0, bulk_modulus = EquationOfState(v, e, eos="birchmurnaghan").fit()
    return EnergyCurve(v, e, float((ATOMS_PER_CUBIC_CELL * v0) ** (1 / 3)), float(bulk_modulus / GPa), float(e0))


def energy_curve(calculator: Calculator, lattice_constants: Sequence[float]) -> EnergyCurve:
    """Compute perfect diamond at the given lattice constants (Å) and fit the equation of state."""
    crystals = [bulk("Si", "diamond", a=a, cubic=True) for a in lattice_constants]
    for crystal in crystals:
        crystal.calc = calculator
    energies = [crystal.get_potential_energy() / len(crystal) for crystal in crystals]
    return fit_energy_curve([c.get_volume() / len(c) for c in crystals], energies)


def distorted_crystal(seed: int = 1) -> Atoms:
    """Return diamond with a strained, sheared cell and displaced atoms: something to relax."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=5.3, cubic=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.03, 0.03, (3, 3))), scale_atoms=True)
    atoms.rattle(0.1, rng=rng)
    return atoms


def relax_atoms_and_cell(atoms: Atoms, force_limit: float = 1e-4) -> int:
    """Relax atoms and all six components of the cell in place; return the number of steps.

    Raises
    ------
    RuntimeError
        If 500 steps were not enough.
    """
    with BFGS(FrechetCellFilter(atoms), logfile=None) as optimizer:
        if not optimizer.run(fmax=force_limit, steps=500):
            raise RuntimeError("the relaxation of atoms and cell did not converge in 500 steps")
        return optimizer.nsteps


def elastic_constants(calculator: Calculator, lattice_constant: float, strain: float = 0.004) -> dict[str, float]:
    """Return C11, C12 and C44 (GPa) of the cubic crystal with relaxed atoms, from central stress differences."""
    along = _stress_slope(calculator, lattice_constant, strain, component=0)
    shear = _stress_slope(calculator, lattice_constant, strain, component=3)
    return {"C11": float(along[0]), "C12": float(along[1] + along[2]) / 2, "C44": float(shear[3])}


def _stress_slope(calculator: Calculator, lattice_constant: float, strain: float, component: int) -> np.ndarray:
    """Return d(stress)/d(strain component), six numbers in GPa, Voigt order xx, yy, zz, yz, xz, xy."""
    plus, minus = (_relaxed_stress(calculator, lattice_constant, component, sign * strain) for sign in (1.0, -1.0))
    return (plus - minus) / (2 * strain) / GPa


def _relaxed_stress(calculator: Calculator, lattice_constant: float, component: int, amount: float) -> np.ndarray:
    """Return the stress (6, eV/Å³) of the strained cubic cell after its atoms have relaxed."""
    atoms = bulk("Si", "diamond", a=lattice_constant, cubic=True)
    deformation = np.eye(3)
    if component == 0:
        deformation[0, 0] += amount
    else:
        # Voigt shear is 2 e_yz: half of it on each side of the diagonal.
        deformation[1, 2] = deformation[2, 1] = 0.5 * amount
    atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    atoms.calc = calculator
    with BFGS(atoms, logfile=None) as optimizer:
        if not optimizer.run(fmax=1e-4, steps=200):
            raise RuntimeError("the relaxation of a strained cell did not converge in 200 steps")
    return atoms.get_stress()
