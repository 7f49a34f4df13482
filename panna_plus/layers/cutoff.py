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


def quintic_cutoff(distances: Tensor, cutoff: Tensor) -> Tensor:
    """Switch off smoothly: 1 - 10 x³ + 15 x⁴ - 6 x⁵ with x = r / cutoff below the cutoff, 0 from there on.

    Returns
    -------
    (n,) float in [0, 1]
        Value, slope and curvature vanish at the cutoff; the third derivative jumps there by 60/cutoff³.

    References
    ----------
    Ebert, Musgrave, Peachey, Perlin and Worley, Texturing and Modeling (2002); Unke and Meuwly, J. Chem. Theory
    Comput. 15, 3678 (2019).
    """
    x = distances / cutoff
    inside = 1.0 + x * x * x * (x * (15.0 - 6.0 * x) - 10.0)
    return torch.where(distances < cutoff, inside, torch.zeros_like(inside))


def exponential_cutoff(distances: Tensor, cutoff: Tensor) -> Tensor:
    """Switch off smoothly: exp(-r² / ((cutoff - r)(cutoff + r))) below the cutoff, 0 from there on.

    All derivatives vanish at the cutoff.

    References
    ----------
    Unke, Chmiela, Gastegger, Schütt, Sauceda and Müller, Nat. Commun. 12, 7273 (2021).
    """
    is_inside = distances < cutoff
    # Operands are masked before the division: a gradient through the branch not taken must not be NaN.
    r = torch.where(is_inside, distances, torch.zeros_like(distances))
    inside = torch.exp(-r * r / ((cutoff - r) * (cutoff + r)))
    return torch.where(is_inside, inside, torch.zeros_like(inside))


def smooth_switch(distances: Tensor, on: Tensor, off: Tensor) -> Tensor:
    """Fall from 1 up to `on` to 0 from `off` on, with all derivatives: s(1-t) / (s(1-t) + s(t)), s(x) = exp(-1/x).

    t = (r - on) / (off - on), and s(x) = 0 for x <= 0.
    """
    t = (distances - on) / (off - on)
    falling, rising = _flat_start(1.0 - t), _flat_start(t)
    return falling / (falling + rising)


def _flat_start(x: Tensor) -> Tensor:
    is_positive = x > 0.0
    safe = torch.where(is_positive, x, torch.ones_like(x))
    return torch.where(is_positive, torch.exp(-1.0 / safe), torch.zeros_like(x))
