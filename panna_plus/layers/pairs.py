"""Distances of pairs, as the energy terms take them."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Directed pairs, both directions present.

    Attributes
    ----------
    distances : (n_pairs,) float64, Å
    centers, neighbors : (n_pairs,) int64
    """

    distances: Tensor
    centers: Tensor
    neighbors: Tensor


def safe_distances(displacements: Tensor) -> Tensor:
    """Return the lengths of vectors (n, 3), with derivatives that are finite, namely 0, for a zero vector."""
    squares = (displacements * displacements).sum(dim=1)
    is_apart = squares > 0.0
    roots = torch.sqrt(torch.where(is_apart, squares, torch.ones_like(squares)))
    return torch.where(is_apart, roots, torch.zeros_like(roots))


def unit_vectors(displacements: Tensor, distances: Tensor) -> Tensor:
    """Return vectors (n, 3) divided by their lengths (n,); a zero vector stays zero."""
    divisor = torch.where(distances > 0.0, distances, torch.ones_like(distances))
    return displacements / divisor.unsqueeze(1)


def pairs_within(pairs: Pairs, cutoff: Tensor) -> Pairs:
    """Return the pairs closer than `cutoff`."""
    near = torch.nonzero(pairs.distances < cutoff).flatten()
    return Pairs(pairs.distances[near], pairs.centers[near], pairs.neighbors[near])
