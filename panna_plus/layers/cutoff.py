"""Functions that switch pair contributions off at the cutoff."""

import math

import torch
from torch import Tensor


def cosine_cutoff(distances: Tensor, cutoff: Tensor) -> Tensor:
    """Switch off smoothly: 1/2 (1 + cos(pi r / cutoff)) below the cutoff, 0 from there on.

    Parameters
    ----------
    distances : (n,) float, Å
    cutoff : scalar tensor, Å

    Returns
    -------
    (n,) float in [0, 1]
        Value and slope vanish at the cutoff; the curvature jumps there by pi²/(2 cutoff²).

    References
    ----------
    Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007).
    """
    inside = 0.5 * (1.0 + torch.cos(distances * (math.pi / cutoff)))
    return torch.where(distances < cutoff, inside, torch.zeros_like(inside))
