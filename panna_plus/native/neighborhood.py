"""Pair lists as the native engine takes them: periodic images as atoms of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ImageLists:
    """Atoms, their images and full neighbor lists, without positions: they serve until pairs are listed again.

    Attributes
    ----------
    owners : (n_rows,) int32
        The atom that each row is (an image of); the atoms themselves come first.
    shifts : (n_rows, 3) int64
        Row k lies at ``positions[owners[k]] + shifts[k] @ cell``.
    centers : (n_centers,) int32
        Rows whose energies are wanted.
    starts : (n_rows + 1,) int64
        The neighbors of row i are ``neighbors[starts[i]:starts[i + 1]]``.
    neighbors : (n_pairs,) int32
    """

    owners: np.ndarray
    shifts: np.ndarray
    centers: np.ndarray
    starts: np.ndarray
    neighbors: np.ndarray


@dataclass(frozen=True)
class NativeNeighborhood:
    """Atoms, images and full neighbor lists.

    Attributes
    ----------
    positions : (n_rows, 3) float64, Å
        First the atoms, then their periodic images.
    owners, centers, starts, neighbors
        As in `ImageLists`.
    """

    positions: np.ndarray
    owners: np.ndarray
    centers: np.ndarray
    starts: np.ndarray
    neighbors: np.ndarray


def image_lists(n_atoms: int, i: np.ndarray, j: np.ndarray, shifts: np.ndarray) -> ImageLists:
    """Give every periodic image that a pair list mentions a row of its own.

    Parameters
    ----------
    n_atoms : int
    i, j : (n_pairs,) int
        Full list of directed pairs, centers ascending.
    shifts : (n_pairs, 3) int
        ``positions[j] - positions[i] + shifts @ cell`` is the displacement.
    """
    rows = np.array(j, dtype=np.int64)
    outside = np.flatnonzero(np.any(shifts != 0, axis=1))
    keys = ordered_keys([j[outside], *shifts[outside].T])
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    rows[outside] = n_atoms + which.ravel()
    images = outside[first]
    counts = np.bincount(i, minlength=n_atoms + len(images))
    return ImageLists(
        owners=np.concatenate([np.arange(n_atoms), j[images]]).astype(np.int32),
        shifts=np.concatenate([np.zeros((n_atoms, 3)), shifts[images]]).astype(np.int64),
        centers=np.arange(n_atoms, dtype=np.int32),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        neighbors=np.ascontiguousarray(rows, dtype=np.int32),
    )


def ordered_keys(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return one integer per row that orders rows as their columns do, the first column foremost.

    One column sorts many times faster than several.
    """
    first = [int(c.min(initial=0)) for c in columns]
    spans = [int(c.max(initial=0)) - low + 1 for c, low in zip(columns, first, strict=True)]
    if np.prod([float(span) for span in spans]) >= 2.0**62:
        return ranks(columns)
    keys = np.zeros(len(columns[0]), dtype=np.int64)
    for column, low, span in zip(columns, first, spans, strict=True):
        keys = keys * span + (column - low)
    return keys


def ranks(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return `ordered_keys` for columns whose combinations do not fit into an integer."""
    order = np.lexsort(columns[::-1])
    table = np.column_stack(columns)[order]
    is_new = np.any(table[1:] != table[:-1], axis=1)
    result = np.empty(len(order), dtype=np.int64)
    result[order] = np.concatenate([np.zeros(min(len(order), 1), dtype=np.int64), np.cumsum(is_new)])
    return result


def neighborhood_of_displacements(
    n_atoms: int, i: np.ndarray, j: np.ndarray, displacements: np.ndarray
) -> NativeNeighborhood:
    """Return the neighborhood of pairs whose displacements alone are known.

    All atoms lie at the origin, and every pair has an image of its own: lists alone say who sees whom.

    Parameters
    ----------
    n_atoms : int
    i, j : (n_pairs,) int
        Centers, ascending, and neighbors.
    displacements : (n_pairs, 3) float, Å
        From center to neighbor.
    """
    counts = np.bincount(i, minlength=n_atoms + len(i))
    return NativeNeighborhood(
        positions=np.concatenate([np.zeros((n_atoms, 3)), displacements]),
        owners=np.concatenate([np.arange(n_atoms), j]).astype(np.int32),
        centers=np.arange(n_atoms, dtype=np.int32),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        neighbors=np.arange(n_atoms, n_atoms + len(i), dtype=np.int32),
    )


def neighborhood_from_pairs(
    positions: np.ndarray, cell: np.ndarray, i: np.ndarray, j: np.ndarray, shifts: np.ndarray
) -> NativeNeighborhood:
    """Return the neighborhood of a pair list, images included.

    Parameters
    ----------
    positions : (n_atoms, 3) float, Å
    cell : (3, 3) float, Å
        Vectors as rows.
    i, j, shifts
        As in `image_lists`.
    """
    lists = image_lists(len(positions), i, j, shifts)
    rows = positions[lists.owners] + lists.shifts @ cell
    return NativeNeighborhood(
        positions=np.ascontiguousarray(rows, dtype=np.float64),
        owners=lists.owners,
        centers=lists.centers,
        starts=lists.starts,
        neighbors=lists.neighbors,
    )
