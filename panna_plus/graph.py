"""Atoms and their neighbors as plain tensors: what every potential takes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from panna_plus.neighbors import pair_list, species_of, total_charge, unpaired_electrons, volume_of


class FrameStates(NamedTuple):
    """Which frame each atom belongs to, and what is given for whole frames; also part of exported TorchScript.

    Attributes
    ----------
    of_atoms : (n_atoms,) int64
    charges : (n_frames,) float64, e
    spins : (n_frames,) float64
        Numbers of unpaired electrons.
    is_owned : (n_atoms,) bool
        False for copies of atoms, made for the sake of their neighbors: they count in no sum over a frame.
    """

    of_atoms: Tensor
    charges: Tensor
    spins: Tensor
    is_owned: Tensor


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
    charges : (n_frames,) float64, e
        Total charges; 0 where they are not given.
    spins : (n_frames,) float64
        Numbers of unpaired electrons; 0 where they are not given.
    """

    species: Tensor
    centers: Tensor
    neighbors: Tensor
    displacements: Tensor
    frames: Tensor
    n_frames: int
    volumes: Tensor
    charges: Tensor = None  # type: ignore[assignment]
    spins: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for name in ("charges", "spins"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, torch.zeros_like(self.volumes))

    @property
    def n_atoms(self) -> int:
        return self.species.shape[0]

    @property
    def states(self) -> FrameStates:
        """The frames as a potential takes them."""
        return FrameStates(self.frames, self.charges, self.spins, torch.ones_like(self.frames, dtype=torch.bool))

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
            charges=torch.cat([g.charges for g in graphs]),
            spins=torch.cat([g.spins for g in graphs]),
        )


def offsets(counts: Sequence[int]) -> list[int]:
    """Return where each of several consecutive runs starts: 0, n0, n0 + n1, ..."""
    return [0, *np.cumsum(counts)[:-1].tolist()]


AnyInputs = TypeVar("AnyInputs")


def moved_to(inputs: AnyInputs, device: torch.device | str) -> AnyInputs:
    """Return a copy of a dataclass with everything that has a device, tensors above all, on `device`."""
    values = {f.name: getattr(inputs, f.name) for f in fields(inputs)}  # type: ignore[arg-type]
    moved = {name: v.to(device) if hasattr(v, "to") else v for name, v in values.items()}
    return type(inputs)(**moved)


def sum_by_index(values: Tensor, index: Tensor, n: int) -> Tensor:
    """Sum rows of `values` (m, ...) that share an index into (n, ...); also part of exported TorchScript."""
    # TorchScript knows no starred expression in a list.
    shape = [n] + list(values.shape[1:])  # noqa: RUF005
    return torch.zeros(shape, dtype=values.dtype, device=values.device).index_add(0, index, values)


def frame_states(
    species: Tensor,
    frames: Tensor | None = None,
    charges: Tensor | None = None,
    spins: Tensor | None = None,
    is_owned: Tensor | None = None,
) -> FrameStates:
    """Complete what is known of the frames: all atoms in one, no charge, no unpaired electron, no copies of atoms."""
    of_atoms = torch.zeros_like(species) if frames is None else frames
    n_frames = 1
    if charges is not None:
        n_frames = charges.shape[0]
    elif frames is not None and frames.shape[0] > 0:
        n_frames = int(frames.max()) + 1
    nothing = torch.zeros(n_frames, dtype=torch.float64, device=species.device)
    everything = torch.ones_like(species, dtype=torch.bool)
    return FrameStates(
        of_atoms,
        nothing if charges is None else charges,
        nothing if spins is None else spins,
        everything if is_owned is None else is_owned,
    )


def graph_from_atoms(atoms: Atoms, elements: Sequence[str], cutoff: float) -> AtomicGraph:
    """Build the graph of one ASE frame.

    Parameters
    ----------
    atoms : ase.Atoms
        Not changed. Atoms may lie outside the cell. `info` may hold 'charge' and 'spin'.
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
        charges=torch.tensor([total_charge(atoms)], dtype=torch.float64),
        spins=torch.tensor([unpaired_electrons(atoms)], dtype=torch.float64),
    )
