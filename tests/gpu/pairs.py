"""Pair lists of small systems, by trying every image."""

import itertools

import numpy as np


def listed_pairs(
    points: np.ndarray, box: np.ndarray, periodic: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return i, j and shifts as `panna_plus.neighbors.vesin_pairs` does; points may lie outside the box."""
    inverse = np.linalg.inv(box)
    spread = np.ptp(points @ inverse, axis=0)
    reach = np.where(periodic, np.ceil(cutoff * np.linalg.norm(inverse, axis=0) + spread), 0).astype(int)
    shifts = np.array(list(itertools.product(*(range(-n, n + 1) for n in reach))))
    distances = np.linalg.norm(points[None, None] - points[:, None, None] + (shifts @ box)[:, None], axis=-1)
    i, s, j = np.nonzero((distances < cutoff) & (distances > 0.0))
    return i, j, shifts[s]
