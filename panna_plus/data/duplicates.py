"""Structures that occur more than once, inside a split or across splits."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from panna_plus.data.frame import Frame

_DECIMALS = 5  # Å; coarser than the digits that files carry, finer than any displacement that matters
_SAME_ENERGY = 1e-3  # eV


@dataclass(frozen=True)
class Duplicates:
    """Groups of frames with the same geometry.

    Attributes
    ----------
    inside : dict of split to int
        Frames beyond the first of each group within one split.
    across : dict of (split, split) to int
        Geometries that two splits share.
    examples : list of str
        A few pairs of sources.
    n_contradicting : int
        Geometries that occur with energies that differ by more than 1 meV.
    """

    inside: dict[str, int]
    across: dict[tuple[str, str], int]
    examples: list[str]
    n_contradicting: int


def find_duplicates(splits: Mapping[str, Sequence[Frame]]) -> Duplicates:
    """Compare all geometries by hash: species, positions and cell to 1e-5 Å, in any order of the atoms."""
    groups: dict[bytes, list[tuple[str, Frame]]] = defaultdict(list)
    for name, frames in splits.items():
        for frame in frames:
            groups[geometry_hash(frame)].append((name, frame))
    repeated = [group for group in groups.values() if len(group) > 1]
    inside = dict.fromkeys(splits, 0)
    across: dict[tuple[str, str], int] = defaultdict(int)
    for group in repeated:
        names = [name for name, _ in group]
        present = [name for name in splits if name in names]
        for name in present:
            inside[name] += names.count(name) - 1
        for k, first in enumerate(present):
            for second in present[k + 1 :]:
                across[first, second] += 1
    examples = [f"{group[0][1].source} = {group[-1][1].source}" for group in repeated[:3]]
    return Duplicates(inside, dict(across), examples, sum(_contradicts(group) for group in repeated))


def geometry_hash(frame: Frame) -> bytes:
    """Return a digest of the rounded geometry that does not depend on the order of the atoms."""
    atoms = frame.atoms
    # Adding 0.0 turns -0.0 into 0.0.
    rows = np.round(np.column_stack([atoms.numbers, atoms.positions]), _DECIMALS) + 0.0
    rows = rows[np.lexsort(rows.T[::-1])]
    cell = np.round(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0), _DECIMALS) + 0.0
    return hashlib.sha256(rows.tobytes() + cell.tobytes() + atoms.pbc.tobytes()).digest()


def _contradicts(group: Sequence[tuple[str, Frame]]) -> bool:
    energies = [frame.energy for _, frame in group if frame.energy is not None]
    return bool(energies) and max(energies) - min(energies) > _SAME_ENERGY
