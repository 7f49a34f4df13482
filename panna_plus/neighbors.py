"""Which atoms see which: pair lists over periodic images, and what else is read from atoms. Nothing needs torch."""

import ctypes
import importlib
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from panna_plus.errors import DataError, require

FAR_APART = 20  # cutoffs; beyond, partly periodic systems are listed through explicit images
PRIVATE_VESIN = "_panna_plus_vesin"
# What `vesin_pairs` uses of vesin's own ctypes module.
VESIN_OPTIONS = {"cutoff", "full", "algorithm", "n_threads", "return_shifts"}


def pair_list(
    positions: np.ndarray, cell: np.ndarray, pbc: Sequence[bool], cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List all directed pairs closer than `cutoff`, over all periodic images.

    Parameters
    ----------
    positions : (n_atoms, 3) float, Å
    cell : (3, 3) float, Å
        Vectors as rows. The rows of non-periodic directions do not matter.
    pbc : three bool
    cutoff : float, Å

    Returns
    -------
    i, j : (n_pairs,) int64
        Centers (ascending) and neighbors.
    shifts : (n_pairs, 3) int64
        ``x_j - x_i + shifts @ cell`` is the displacement.

    Raises
    ------
    DataError
        If the periodic cell vectors span no volume, or a number is not finite.
    """
    positions = np.ascontiguousarray(positions, dtype=float)
    periodic = np.asarray(pbc, dtype=bool)
    if len(positions) == 0:
        return np.empty(0, int), np.empty(0, int), np.empty((0, 3), int)
    require(bool(np.isfinite(positions).all()), DataError, "positions must be finite, found NaN or infinity")
    box = completed_cell(cell, periodic)
    # vesin 0.6 needs minutes where some directions are periodic and atoms lie far apart in the others.
    if 0 < periodic.sum() < 3 and np.ptp(positions, axis=0).max() > FAR_APART * cutoff:
        return pairs_through_images(positions, np.asarray(cell, dtype=float), periodic, cutoff)
    return sorted_by_center(*vesin_pairs(positions, box, periodic, cutoff))


def sorted_by_center(i: np.ndarray, j: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a list of pairs with ascending centers, as int64."""
    order = np.argsort(i, kind="stable")
    return i[order], j[order], shifts[order]


def pairs_through_images(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List pairs as `pair_list` does, through explicit images along the periodic vectors and free boundaries."""
    periodic = np.flatnonzero(pbc)
    vectors = cell[periodic]
    reciprocal = np.linalg.pinv(vectors)  # (3, n_periodic)
    home = np.floor(positions @ reciprocal).astype(np.int64)
    reach = np.ceil(cutoff * np.linalg.norm(reciprocal, axis=0)).astype(int)
    # No shift first: the atoms themselves lead the list of images.
    images = np.array(sorted(itertools.product(*(range(-r, r + 1) for r in reach)), key=np.any))
    wrapped = positions - home @ vectors
    ghosts = (wrapped[None] + (images @ vectors)[:, None]).reshape(-1, 3)
    i, j, _ = vesin_pairs(ghosts, np.eye(3), np.zeros(3, dtype=bool), cutoff)
    own = i < len(positions)
    i, image, j = i[own], j[own] // len(positions), j[own] % len(positions)
    shifts = np.zeros((len(i), 3), dtype=np.int64)
    shifts[:, periodic] = images[image] - home[j] + home[i]
    return sorted_by_center(i, j, shifts)


def completed_cell(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Return the cell with unit vectors, normal to the periodic ones, in the non-periodic directions."""
    cell = np.array(cell, dtype=float)
    require(bool(np.isfinite(cell).all()), DataError, "the cell must be finite, found NaN or infinity")
    periodic = cell[pbc]
    rank = np.linalg.matrix_rank(periodic) if len(periodic) else 0
    require(
        rank == len(periodic),
        DataError,
        f"periodic cell vectors must be linearly independent, found {periodic.tolist()}: set pbc to False in "
        "directions without a cell vector, or give the cell",
    )
    # The right singular vectors beyond the rank are an orthonormal complement of the periodic vectors.
    complement = np.linalg.svd(periodic)[2][rank:] if len(periodic) else np.eye(3)
    cell[~pbc] = complement
    return cell


def vesin_pairs(
    points: np.ndarray, box: np.ndarray, periodic: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List pairs by vesin: i, j and shifts as int64, in no particular order."""
    interface = vesin_interface()
    if interface is None:
        from vesin import NeighborList

        found = NeighborList(cutoff=cutoff, full_list=True).compute(points, box, periodic, "ijS")
        i, j, shifts = (np.asarray(a).astype(np.int64) for a in found)
        return i, j, shifts
    return pairs_of_library(*interface, points, box, periodic, cutoff)


@cache
def vesin_interface() -> tuple[ModuleType, Any] | None:
    """Return the ctypes module and the library of the installed vesin, or None where it is of another kind.

    `import vesin` imports torch where that is installed, seconds and hundreds of megabytes that a calculation on
    the native engine has no use for. So vesin's two lowest modules are imported without the package around them.
    """
    found = importlib.util.find_spec("vesin")
    if found is None or not found.submodule_search_locations:
        return None
    bare = importlib.machinery.ModuleSpec(PRIVATE_VESIN, None, is_package=True)
    bare.submodule_search_locations = list(found.submodule_search_locations)
    sys.modules.setdefault(PRIVATE_VESIN, importlib.util.module_from_spec(bare))
    try:
        types = importlib.import_module(f"{PRIVATE_VESIN}._c_api")
        library = importlib.import_module(f"{PRIVATE_VESIN}._c_lib").get_library()
        is_known = {name for name, _ in types.VesinOptions._fields_} >= VESIN_OPTIONS
        is_known &= len(library.vesin_neighbors.argtypes) == 8
        return (types, library) if is_known else None
    except (ImportError, AttributeError):
        return None


def pairs_of_library(
    types: ModuleType, library: Any, points: np.ndarray, box: np.ndarray, periodic: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List pairs by a call of vesin's library."""
    points, box = (np.ascontiguousarray(a, dtype=np.float64) for a in (points, box))
    directions = np.ascontiguousarray(periodic, dtype=np.bool_)
    options = types.VesinOptions()
    options.cutoff, options.full, options.return_shifts = cutoff, True, True
    options.algorithm, options.n_threads = types.VesinAutoAlgorithm, 1
    listed, message = types.VesinNeighborList(), ctypes.c_char_p()
    status = library.vesin_neighbors(
        points.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        len(points),
        box.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        directions.ctypes.data_as(ctypes.POINTER(ctypes.c_bool)),
        types.VesinDevice(types.VesinCPU, 0),
        options,
        ctypes.byref(listed),
        ctypes.byref(message),
    )
    try:
        reason = (message.value or b"no reason given").decode(errors="replace")
        require(status == 0, DataError, f"vesin could not list the pairs: {reason}")
        if listed.length == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3), np.int64)
        pairs = np.ctypeslib.as_array(ctypes.cast(listed.pairs, ctypes.POINTER(ctypes.c_size_t)), (listed.length, 2))
        shifts = np.ctypeslib.as_array(ctypes.cast(listed.shifts, ctypes.POINTER(ctypes.c_int32)), (listed.length, 3))
        return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64), shifts.astype(np.int64)
    finally:
        library.vesin_free(ctypes.byref(listed))


def species_of(atoms: Atoms, elements: Sequence[str]) -> np.ndarray:
    """Return each atom's position in `elements` as (n_atoms,) int64; an unknown element is a DataError."""
    table = np.full(len(chemical_symbols), -1, dtype=np.int64)
    table[[atomic_numbers[symbol] for symbol in elements]] = np.arange(len(elements))
    species = table[atoms.numbers]
    if (species < 0).any():
        unknown = sorted({chemical_symbols[n] for n in atoms.numbers[species < 0]})
        raise DataError(
            f"the model does not know {', '.join(unknown)}; it knows {', '.join(elements)}: use a model trained on "
            "these elements"
        )
    return species


def total_charge(atoms: Atoms) -> float:
    """Return `atoms.info['charge']` in e, 0 where there is none."""
    return number_in_info(atoms, "charge")


def unpaired_electrons(atoms: Atoms) -> float:
    """Return `atoms.info['spin']`, the number of unpaired electrons (0 for a singlet), 0 where there is none."""
    return number_in_info(atoms, "spin")


def number_in_info(atoms: Atoms, key: str) -> float:
    """Return a number of `atoms.info`, 0 where it is absent; NaN, which models that use it refuse, if it is none."""
    value = atoms.info.get(key, 0.0)
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def volume_of(atoms: Atoms) -> float:
    """Return the volume in Å³, or NaN where the cell does not have three vectors or nothing is periodic."""
    if atoms.cell.rank < 3 or not atoms.pbc.any():
        return float("nan")
    return abs(float(np.linalg.det(atoms.cell.array)))
