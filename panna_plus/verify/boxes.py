"""Atoms turned into the restricted box that LAMMPS takes, and results turned back."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from panna_plus.neighbors import completed_cell

MARGIN = 1.0  # Å of empty box around atoms in non-periodic directions


@dataclass(frozen=True)
class LammpsFrame:
    """Atoms in a box at the origin whose cell is lower triangular.

    Attributes
    ----------
    atoms : ase.Atoms
        Periodic directions come first.
    rotation : (3, 3) float, orthogonal
        A vector v of the original atoms is ``v @ rotation`` here. It holds a reflection where the original cell was
        left-handed, which changes no energy.
    """

    atoms: Atoms
    rotation: np.ndarray

    def vectors_back(self, vectors: np.ndarray) -> np.ndarray:
        """Turn (n, 3) vectors into the original directions."""
        return vectors @ self.rotation.T

    def tensor_back(self, tensor: np.ndarray) -> np.ndarray:
        """Turn a (3, 3) tensor into the original directions."""
        return self.rotation @ tensor @ self.rotation.T


def lammps_frame(atoms: Atoms) -> LammpsFrame:
    """Turn atoms, with any cell, into LAMMPS's box.

    LAMMPS can tilt a box only towards periodic directions. The vectors of periodic ones are put first; what is put
    for the others is normal to them and as long as the atoms need.

    Raises
    ------
    DataError
        If a periodic direction has no cell vector of its own.
    """
    order = np.argsort(~atoms.pbc, kind="stable")
    periodic = atoms.pbc[order]
    vectors = completed_cell(atoms.cell.array, atoms.pbc)[order]
    # vectors.T = q r, hence vectors @ q is lower triangular.
    rotation, r = np.linalg.qr(vectors.T)
    rotation = rotation * np.where(np.diag(r) < 0, -1.0, 1.0)
    cell = np.tril(vectors @ rotation)
    positions = atoms.positions @ rotation
    for d in np.flatnonzero(~periodic):
        positions[:, d] -= positions[:, d].min() - MARGIN
        cell[d] = np.eye(3)[d] * (positions[:, d].max() + MARGIN)
    turned = Atoms(atoms.get_chemical_symbols(), positions, cell=with_small_tilts(cell, periodic), pbc=periodic)
    return LammpsFrame(turned, rotation)


def with_small_tilts(cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Return another cell of the same lattice whose tilts are at most half of the edges, as LAMMPS wants them."""
    cell = cell.copy()
    for a in range(3):
        for b in reversed(range(a)):
            if periodic[a] and periodic[b]:
                cell[a] -= np.round(cell[a, b] / cell[b, b]) * cell[b]
    return cell
