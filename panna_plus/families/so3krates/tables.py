"""Tables of the radial filters, which depend on the distance alone: what the native engine interpolates.

Between knots stands the polynomial of degree 5 that has value, slope and curvature of the filter at both ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panna_plus.errors import ModelFileError, require
from panna_plus.families.so3krates.attention import Filter

# Powers of 2, so that a reader may leave out every second knot, or three of four.
FEWEST_INTERVALS, MOST_INTERVALS = 64, 4096
# Of values against the largest value of a model, of slopes against the largest slope.
TOLERANCE = 5e-9
# Å. Closer, where atoms never are, tables are smooth and finite but may be less exact.
SHORTEST_DISTANCE = 0.4


@dataclass(frozen=True)
class RadialTables:
    """Radial filters at equidistant distances, k times the spacing for k = 0 ... n_knots - 1.

    Attributes
    ----------
    spacing : float, Å
        The last knot is the cutoff.
    knots : (n_layers, 2, n_knots, 3, n_features) float64
        Values, slopes in 1/Å and curvatures in 1/Å² of the filters of features and of Euclidean variables.
    """

    spacing: float
    knots: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the tables by their names in a model file."""
        return {"tables/knots": np.array([self.spacing]), "tables/radial": self.knots}

    def interpolated(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and slopes, each (n_layers, 2, n, n_features), at distances (n,) in Å up to the last knot."""
        h = self.spacing
        first = np.minimum((distances / h).astype(int), self.knots.shape[2] - 2)
        t = (distances / h - first)[:, None]
        scale = np.array([1.0, h, h * h])[:, None]
        (v0, s0, c0), (v1, s1, c1) = (np.moveaxis(self.knots[:, :, first + end] * scale, 3, 0) for end in (0, 1))
        # Of t³, t⁴ and t⁵; the first three coefficients are v0, s0 and c0/2.
        rise = v1 - v0
        p3 = 10.0 * rise - 6.0 * s0 - 4.0 * s1 - 1.5 * c0 + 0.5 * c1
        p4 = -15.0 * rise + 8.0 * s0 + 7.0 * s1 + 1.5 * c0 - c1
        p5 = 6.0 * rise - 3.0 * s0 - 3.0 * s1 - 0.5 * c0 + 0.5 * c1
        values = v0 + t * (s0 + t * (0.5 * c0 + t * (p3 + t * (p4 + t * p5))))
        slopes = (s0 + t * (c0 + t * (3.0 * p3 + t * (4.0 * p4 + t * 5.0 * p5)))) / h
        return values, slopes


def radial_tables(basis: torch.nn.Module, layers: torch.nn.ModuleList, cutoff: float) -> RadialTables:
    """Tabulate the radial filters of a model with as few knots as reproduce them to `TOLERANCE`.

    Parameters
    ----------
    basis : module
        The radial functions, float64.
    layers : module list of Layer
        Float64, frozen.
    cutoff : float, Å

    Raises
    ------
    ModelFileError
        If the filters vary too fast to be tabulated.
    """

    def exact(r: Tensor) -> Tensor:
        return filters_at(basis, layers, r)

    intervals = FEWEST_INTERVALS
    while True:
        tables = tabulated(exact, cutoff, intervals)
        error = interpolation_error(tables, exact)
        if error <= TOLERANCE:
            return tables
        require(
            intervals < MOST_INTERVALS,
            ModelFileError,
            f"the radial filters vary too fast to be tabulated: {intervals + 1} knots up to {cutoff:g} Å leave a "
            f"relative error of {error:.1e}, at most {TOLERANCE:.0e} is allowed; weights so large are not those of a "
            "trained model, or n_radial is far too large for this cutoff",
        )
        intervals *= 2


def filters_at(basis: torch.nn.Module, layers: torch.nn.ModuleList, distances: Tensor) -> Tensor:
    """Return the radial filters (n_layers, 2, n, n_features) at distances (n,) in Å."""
    radial = basis(distances)
    return torch.stack([torch.stack([f.of_distance(radial) for f in filters_of(layer)]) for layer in layers])


def filters_of(layer: Any) -> tuple[Filter, Filter]:
    """Return the filters of features and of Euclidean variables."""
    return layer.attention.features.filter, layer.attention.vectors.filter


def tabulated(exact: Callable[[Tensor], Tensor], cutoff: float, intervals: int) -> RadialTables:
    """Return the tables with this number of intervals."""
    spacing = cutoff / intervals
    knots = jet(exact, spacing * torch.arange(1, intervals + 1, dtype=torch.float64), 2)
    return RadialTables(spacing, np.concatenate([jet_at_zero(knots[:, :, :3], spacing), knots], axis=2))


def interpolation_error(tables: RadialTables, exact: Callable[[Tensor], Tensor]) -> float:
    """Return the largest error between the knots, of values or of slopes, each against the largest in the model."""
    n = tables.knots.shape[2] - 1
    # Where the errors of values and of slopes are largest for smooth functions.
    places = (np.arange(n)[:, None] + np.array([0.28, 0.5])).flatten() * tables.spacing
    distances = places[places > SHORTEST_DISTANCE]
    wanted = jet(exact, torch.from_numpy(distances), 1)
    errors = []
    for order, found in enumerate(tables.interpolated(distances)):
        exactly = wanted[:, :, :, order]
        # Filters may be constant.
        errors.append(np.abs(found - exactly).max() / (np.abs(exactly).max() or 1.0))
    return float(max(errors))


def jet(function: Callable[[Tensor], Tensor], points: Tensor, order: int) -> np.ndarray:
    """Return a function and its derivatives up to `order` at points (n,), along a new axis after that of the points.

    The function returns (..., n, n_features), each row depending on its own point alone.
    """
    points = points.detach().clone().requires_grad_(True)
    derivatives = [function(points)]
    for _ in range(order):
        derivatives.append(derivative(derivatives[-1], points))
    return torch.stack([d.detach() for d in derivatives], dim=-2).numpy()


def derivative(values: Tensor, points: Tensor) -> Tensor:
    """Return dy/dx for all components of y at once: the derivative of the gradient of w . y with respect to w."""
    weights = torch.zeros_like(values, requires_grad=True)
    (gradient,) = torch.autograd.grad(values, points, weights, create_graph=True)
    (result,) = torch.autograd.grad(gradient, weights, torch.ones_like(gradient), create_graph=True)
    return result


def jet_at_zero(knots: np.ndarray, spacing: float) -> np.ndarray:
    """Return value, slope and curvature at 0 from those at the next three knots.

    The formulas of the radial functions divide by zero at zero distance, the functions themselves are smooth there:
    the polynomial of degree 8 through what is known of three knots goes on to 0.

    Parameters
    ----------
    knots : (n_layers, 2, 3, 3, n_features)

    Returns
    -------
    (n_layers, 2, 1, 3, n_features)
    """
    monomials = [np.polynomial.Polynomial.basis(power) for power in range(9)]
    rows = [[p.deriv(order)(t) for p in monomials] for t in (1.0, 2.0, 3.0) for order in range(3)]
    scale = np.array([1.0, spacing, spacing**2])[:, None]
    n_layers, n_parts, _, _, n_features = knots.shape
    known = (knots * scale).reshape(n_layers, n_parts, 9, n_features)
    coefficients = np.linalg.inv(np.array(rows))[:3] @ known
    return (coefficients * np.array([1.0, 1.0, 2.0])[:, None] / scale)[:, :, None]
