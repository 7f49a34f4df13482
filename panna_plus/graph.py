"""Atoms and their neighbors as plain tensors: what every potential takes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from panna_plus.errors import DataError, require

FAR_APART = 20  # cutoffs; beyond, partly periodic systems are listed through explicit images


@dataclass(frozen=True)
class AtomicGraph:
    """One or several frames: atoms and their directed pairs within a cutoff.

    Attributes
    ----------
    species : (n_atoms,) int64
        Position of each atom's element in the model's element list.
    centers, neighbors : (n_pairs,) int64
        Directed pairs, sorted by center. An atom can neighbor itself through periodic images.
    displacements : (n_pairs, 3) float64, Å
        From center to neighbor, ``x_j - x_i + S @ cell``.
    frames : (n_atoms,) int64
        Frame that each atom belongs to, ascending.
    n_frames : int
    volumes : (n_frames,) float64, Å³
        NaN for a frame whose cell does not have three vectors.
    """

    species: Tensor
    centers: Tensor
    neighbors: Tensor
    displacements: Tensor
    frames: Tensor
    n_frames: int
    volumes: Tensor

    @property
    def n_atoms(self) -> int:
        return self.species.shape[0]

    def to(self, device: torch.device | str) -> "AtomicGraph":
        """Return the graph with every tensor on `device`."""
        return moved_to(self, device)

    @staticmethod
    def concatenate(graphs: Sequence["AtomicGraph"]) -> "AtomicGraph":
        """Join graphs into one with all their frames, in order."""
        first_atom = offsets([g.n_atoms for g in graphs])
        first_frame = offsets([g.n_frames for g in graphs])
        return AtomicGraph(
            species=torch.cat([g.species for g in graphs]),
            centers=torch.cat([g.centers + a for g, a in zip(graphs, first_atom, strict=True)]),
            neighbors=torch.cat([g.neighbors + a for g, a in zip(graphs, first_atom, strict=True)]),
            displacements=torch.cat([g.displacements for g in graphs]),
            frames=torch.cat([g.frames + f for g, f in zip(graphs, first_frame, strict=True)]),
            n_frames=sum(g.n_frames for g in graphs),
            volumes=torch.cat([g.volumes for g in graphs]),
        )


def offsets(counts: Sequence[int]) -> list[int]:
    """Return where each of several consecutive runs starts: 0, n0, n0 + n1, ..."""
    return [0, *np.cumsum(counts)[:-1].tolist()]


AnyInputs = TypeVar("AnyInputs")


def moved_to(inputs: AnyInputs, device: torch.device | str) -> AnyInputs:
    """Return a copy of a dataclass of tensors with every tensor on `device`."""
    values = {f.name: getattr(inputs, f.name) for f in fields(inputs)}  # type: ignore[arg-type]
    moved = {name: v.to(device) if isinstance(v, Tensor) else v for name, v in values.items()}
    return type(inputs)(**moved)


def sum_by_index(values: Tensor, index: Tensor, n: int) -> Tensor:
    """Sum rows of `values` (m, ...) that share an index into (n, ...)."""
    return torch.zeros((n, *values.shape[1:]), dtype=values.dtype, device=values.device).index_add(0, index, values)


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
    from vesin import NeighborList  # loads its shared library: only when pairs are wanted

    positions = np.ascontiguousarray(positions, dtype=float)
    periodic = np.asarray(pbc, dtype=bool)
    if len(positions) == 0:
        return np.empty(0, int), np.empty(0, int), np.empty((0, 3), int)
    require(bool(np.isfinite(positions).all()), DataError, "positions must be finite, found NaN or infinity")
    box = completed_cell(cell, periodic)
    # vesin 0.6 needs minutes where some directions are periodic and atoms lie far apart in the others.
    if 0 < periodic.sum() < 3 and np.ptp(positions, axis=0).max() > FAR_APART * cutoff:
        return pairs_through_images(positions, np.asarray(cell, dtype=float), periodic, cutoff)
    return sorted_by_center(*NeighborList(cutoff=cutoff, full_list=True).compute(positions, box, periodic, "ijS"))


def sorted_by_center(i: np.ndarray, j: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a list of pairs with ascending centers, as int64."""
    order = np.argsort(i, kind="stable")
    i, j, shifts = (np.asarray(a)[order].astype(np.int64) for a in (i, j, shifts))
    return i, j, shifts


def pairs_through_images(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List pairs as `pair_list` does, through explicit images along the periodic vectors and free boundaries."""
    from vesin import NeighborList

    periodic = np.flatnonzero(pbc)
    vectors = cell[periodic]
    reciprocal = np.linalg.pinv(vectors)  # (3, n_periodic)
    home = np.floor(positions @ reciprocal).astype(np.int64)
    reach = np.ceil(cutoff * np.linalg.norm(reciprocal, axis=0)).astype(int)
    # No shift first: the atoms themselves lead the list of images.
    images = np.array(sorted(itertools.product(*(range(-r, r + 1) for r in reach)), key=np.any))
    wrapped = positions - home @ vectors
    ghosts = (wrapped[None] + (images @ vectors)[:, None]).reshape(-1, 3)
    i, j = NeighborList(cutoff=cutoff, full_list=True).compute(ghosts, np.eye(3), False, "ij")
    i, j = np.asarray(i).astype(np.int64), np.asarray(j).astype(np.int64)
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


def graph_from_atoms(atoms: Atoms, elements: Sequence[str], cutoff: float) -> AtomicGraph:
    """Build the graph of one ASE frame.

    Parameters
    ----------
    atoms : ase.Atoms
        Not changed. Atoms may lie outside the cell.
    elements : sequence of str
        Chemical symbols in species order.
    cutoff : float, Å

    Raises
    ------
    DataError
        If an atom's element is not among `elements`, or the geometry is not finite.
    """
    positions, cell = atoms.positions, atoms.cell.array
    i, j, shifts = pair_list(positions, cell, atoms.pbc, cutoff)
    displacements = positions[j] - positions[i] + shifts @ cell
    return AtomicGraph(
        species=torch.from_numpy(species_of(atoms, elements)),
        centers=torch.from_numpy(i),
        neighbors=torch.from_numpy(j),
        displacements=torch.from_numpy(displacements.reshape(-1, 3)),
        frames=torch.zeros(len(atoms), dtype=torch.int64),
        n_frames=1,
        volumes=torch.tensor([volume_of(atoms)], dtype=torch.float64),
    )


def species_of(atoms: Atoms, elements: Sequence[str]) -> np.ndarray:
    """Return each atom's position in `elements` as (n_atoms,) int64; an unknown element is a DataError."""
    number = {symbol: s for s, symbol in enumerate(elements)}
    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(number))
    require(
        not unknown,
        DataError,
        f"the model does not know {', '.join(unknown)}; it knows {', '.join(elements)}: use a model trained on "
        "these elements",
    )
    return np.array([number[s] for s in symbols], dtype=np.int64)


def volume_of(atoms: Atoms) -> float:
    """Return the volume in Å³, or NaN where the cell does not have three vectors or nothing is periodic."""
    if atoms.cell.rank < 3 or not atoms.pbc.any():
        return float("nan")
    return abs(float(np.linalg.det(atoms.cell.array)))
