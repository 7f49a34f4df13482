"""Refuse geometries that no potential can learn from."""

import numpy as np
from ase import Atoms

from panna_plus.errors import DataError, require
from panna_plus.neighbors import pair_list

COINCIDENT = 0.1  # Å; reliability limit: no two nuclei of a real structure are closer
_FLAT_CELL = 1e-6
# The list is searched wider than needed: a cell list with 0.1 Å bins costs 100 times more.
_SEARCH = 2.0


def check_geometry(atoms: Atoms, where: str) -> None:
    """Raise DataError for unknown species, numbers that are not finite, a flat cell or coincident atoms."""
    _check_species(atoms, where)
    _check_finite(atoms, where)
    _check_cell(atoms, where)
    _check_distances(atoms, where)


def _check_species(atoms: Atoms, where: str) -> None:
    require(len(atoms) > 0, DataError, f"{where}: the frame holds no atoms: remove it")
    unknown = np.flatnonzero(atoms.numbers == 0)
    require(
        len(unknown) == 0,
        DataError,
        f"{where}: atom {unknown[:1]} (counted from 0) has the species 'X': give a chemical element",
    )


def _check_finite(atoms: Atoms, where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise DataError(f"{where}: key 'positions' of atom {bad[0]} (counted from 0) is {atoms.positions[bad[0]]}")
    require(
        bool(np.isfinite(atoms.cell.array).all()),
        DataError,
        f"{where}: the cell is not finite: {atoms.cell.tolist()}",
    )


def _check_cell(atoms: Atoms, where: str) -> None:
    """Require periodic cell vectors that span a volume (area, length); left-handed cells are valid."""
    periodic = atoms.cell.array[atoms.pbc]
    lengths = np.linalg.norm(periodic, axis=1)
    spanned = np.sqrt(max(np.linalg.det(periodic @ periodic.T), 0.0)) if len(periodic) else 1.0
    require(
        bool(lengths.all()) and spanned > _FLAT_CELL * np.prod(lengths),
        DataError,
        f"{where}: the cell vectors of the periodic directions span no volume: {periodic.tolist()}; give a "
        "cell, or set pbc to F in directions without one",
    )


def _check_distances(atoms: Atoms, where: str) -> None:
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, _SEARCH)
    distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array, axis=1)
    if len(distances) == 0 or distances.min() >= COINCIDENT:
        return
    closest = int(np.argmin(distances))
    raise DataError(
        f"{where}: atoms {i[closest]} and {j[closest]} (counted from 0, periodic images included) are "
        f"{distances[closest]:.4f} Å apart, closer than {COINCIDENT} Å: are the positions in Å, and is an "
        "atom doubled?"
    )
