"""What a list of all pairs says about a data set: shortest distances, neighbor counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panna_plus.data.frame import Frame
from panna_plus.neighbors import pair_list, species_of

SEARCH_RADIUS = 6.0  # Å: beyond every bond, so that each pair of elements that meet is seen
_BIN = 0.05  # Å


@dataclass(frozen=True)
class PairStatistics:
    """Distances of all directed pairs closer than `radius`, periodic images included.

    Attributes
    ----------
    shortest : (n_elements, n_elements) float64, Å
        Symmetric; 0 for a pair of elements never seen within `radius`.
    mean_neighbors : (n_bins,) float64
        Mean number of neighbors of an atom within ``edges[k + 1]``, over all atoms of the frames.
    edges : (n_bins + 1,) float64, Å
    """

    shortest: np.ndarray
    mean_neighbors: np.ndarray
    edges: np.ndarray

    def neighbors_within(self, radius: float) -> float:
        """Return the mean number of neighbors within `radius` (Å), at most the radius searched."""
        return float(np.interp(radius, self.edges, np.concatenate([[0.0], self.mean_neighbors])))

    def radius_with(self, n_neighbors: float) -> float | None:
        """Return the radius (Å) that holds `n_neighbors` on average; None if the radius searched holds fewer."""
        counts = np.concatenate([[0.0], self.mean_neighbors])
        if counts[-1] < n_neighbors:
            return None
        return float(self.edges[np.searchsorted(counts, n_neighbors)])


def pair_statistics(frames: Sequence[Frame], elements: Sequence[str], radius: float = SEARCH_RADIUS) -> PairStatistics:
    """Collect the pair distances of all frames in one pass."""
    n_elements, n_atoms = len(elements), 0
    shortest = np.full(n_elements * n_elements, np.inf)
    edges = np.linspace(0.0, radius, round(radius / _BIN) + 1)
    counts = np.zeros(len(edges) - 1)
    for frame in frames:
        species = species_of(frame.atoms, elements)
        i, j, distances = pair_distances(frame, radius)
        np.minimum.at(shortest, species[i] * n_elements + species[j], distances)
        counts += np.histogram(distances, bins=edges)[0]
        n_atoms += len(frame)
    shortest[np.isinf(shortest)] = 0.0
    return PairStatistics(shortest.reshape(n_elements, n_elements), np.cumsum(counts) / max(n_atoms, 1), edges)


def pair_distances(frame: Frame, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centers, neighbors (n_pairs,) and distances (n_pairs,) in Å of one frame."""
    atoms = frame.atoms
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, radius)
    return i, j, np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array, axis=1)


def shortest_distances(frames: Sequence[Frame], elements: Sequence[str]) -> np.ndarray:
    """Return the shortest distance of each pair of elements, (n_elements, n_elements) in Å; 0 = never seen.

    Only distances below `SEARCH_RADIUS` count.
    """
    return pair_statistics(frames, elements).shortest
