"""A list of pairs that is made anew only when a pair could be missing from it."""

import numpy as np
from ase import Atoms

from panna_plus.errors import DataError, require
from panna_plus.native import ordered_keys
from panna_plus.neighbors import pair_list


class BufferedPairs:
    """Pairs within cutoff + skin.

    Parameters
    ----------
    cutoff, skin : float, Å

    Attributes
    ----------
    i, j : (n_pairs,) int64
    shifts : (n_pairs, 3) int64
        As `pair_list` returns them, in an order that does not depend on skin and age: sums run alike.
    n_listings : int
        How often the list was made; whoever keeps something made of it compares this number.
    """

    def __init__(self, cutoff: float, skin: float):
        self.cutoff, self.skin = cutoff, skin
        self.n_listings = 0
        self.i = self.j = np.empty(0, dtype=np.int64)
        self.shifts = np.empty((0, 3), dtype=np.int64)
        self._listed: Atoms | None = None

    def update(self, atoms: Atoms) -> None:
        """Make sure that every pair below the cutoff is in the list."""
        finite = np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()
        require(bool(finite), DataError, "positions and cell must be finite, found NaN or infinity")
        if not self._holds(atoms):
            self._list(atoms)

    def displacements(self, atoms: Atoms) -> np.ndarray:
        """Return the vectors from centers to neighbors, (n_pairs, 3) Å."""
        positions = atoms.positions
        return positions[self.j] - positions[self.i] + self.shifts @ atoms.cell.array

    def _holds(self, atoms: Atoms) -> bool:
        listed = self._listed
        if listed is None or self.skin == 0 or len(listed) != len(atoms):
            return False
        if (listed.pbc != atoms.pbc).any() or (listed.cell.array != atoms.cell.array).any():
            return False
        moved = ((atoms.positions - listed.positions) ** 2).sum(axis=1).max(initial=0.0)
        return bool(moved < (0.5 * self.skin) ** 2)

    def _list(self, atoms: Atoms) -> None:
        i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, self.cutoff + self.skin)
        order = np.argsort(ordered_keys([i, j, *shifts.T]), kind="stable")
        self.i, self.j, self.shifts = i[order], j[order], shifts[order]
        self._listed = Atoms(positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        self.n_listings += 1
