"""Structures for the engine's tests and their evaluation, images folded back onto their atoms."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from panna_plus.graph import pair_list
from panna_plus.native import Engine, Evaluation, neighborhood_from_pairs

ELEMENTS = ["Si", "O", "H"]


@dataclass
class Folded:
    """Results per atom, and what the engine returned."""

    energies: np.ndarray
    forces: np.ndarray
    strain_gradient: np.ndarray
    raw: Evaluation


def disordered_crystal(elements=ELEMENTS, n=20, seed=1) -> Atoms:
    """Return a triclinic crystal whose atoms are at least 1.1 Å apart and see their own images."""
    rng = np.random.default_rng(seed)
    cell = np.array([[6.2, 0, 0], [1.5, 5.8, 0], [-0.7, 1.0, 6.4]])
    points: list[np.ndarray] = []
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) @ cell
    while len(points) < n:
        point = rng.random(3) @ cell
        if all(np.linalg.norm(p + shifts - point, axis=1).min() > 1.1 for p in points):
            points.append(point)
    symbols = [elements[k] for k in rng.integers(0, len(elements), n)]
    return Atoms(symbols, points, cell=cell, pbc=True)


def species_of(atoms: Atoms, engine: Engine) -> np.ndarray:
    return np.array([engine.elements.index(symbol) for symbol in atoms.get_chemical_symbols()])


def evaluate(engine: Engine, atoms: Atoms, skin: float = 0.0, **options) -> Folded:
    """Evaluate a structure with a neighbor list that reaches `skin` beyond the cutoff."""
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff + skin)
    rows = neighborhood_from_pairs(atoms.positions, atoms.cell.array, i, j, shifts)
    raw = engine.compute(rows, species_of(atoms, engine)[rows.owners], **options)
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, rows.owners, raw.forces)
    xx, yy, zz, xy, xz, yz = -raw.virial
    gradient = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Folded(raw.atomic_energies[: len(atoms)], forces, gradient, raw)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(values) ** 2).mean()))
