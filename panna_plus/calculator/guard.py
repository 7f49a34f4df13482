"""Distances that cannot be, and distances that the training data did not reach."""

import warnings
from dataclasses import dataclass

import numpy as np

from panna_plus.errors import NumericalError, require

# Fractions of the shortest distance of the training data: below the first the model extrapolates, below the second
# a simulation has already gone wrong.
WARNING_FRACTION = 0.95
STOP_FRACTION = 0.6


@dataclass(frozen=True)
class ClosestPair:
    """The pair of atoms that is closest in comparison with the training data.

    Attributes
    ----------
    atoms : (int, int)
    symbols : (str, str)
    distance : float, Å
    shortest : float, Å
        Shortest distance of these two elements in the training data; 0 where they never met.
    """

    atoms: tuple[int, int]
    symbols: tuple[str, str]
    distance: float
    shortest: float

    def __str__(self) -> str:
        (i, j), symbols = self.atoms, "-".join(self.symbols)
        return f"atoms {i} and {j} ({symbols}) are {self.distance:.3f} Å apart"


class Guard:
    """Judges the closest pair of every evaluation.

    Parameters
    ----------
    is_on : bool
        Compare with the training data; two atoms at one place are refused in any case.
    """

    def __init__(self, is_on: bool):
        self.is_on = is_on
        self.has_warned = False

    def check(self, pair: ClosestPair | None, label: str) -> None:
        """Stop at distances that cannot be; warn once about those that the training data did not reach.

        Parameters
        ----------
        pair : ClosestPair, or None where there is nothing to compare
        label : str
            Leads the message, e.g. "frame 3: ".
        """
        if pair is None:
            return
        where = f"{label}{pair}"
        require(pair.distance > 0, NumericalError, f"{where}: two atoms at one place have no forces; move one of them")
        if self.is_on:
            self._compare(pair, where)

    def _compare(self, pair: ClosestPair, where: str) -> None:
        symbols = "-".join(pair.symbols)
        message = f"{where}, the shortest {symbols} distance of the training data is {pair.shortest:.3f} Å"
        require(
            pair.distance >= STOP_FRACTION * pair.shortest,
            NumericalError,
            f"{message}: below {STOP_FRACTION} of it the model says nothing. Check the structure and the time step, "
            "add such distances to the training data, or pass guard=False",
        )
        if pair.distance < WARNING_FRACTION * pair.shortest and not self.has_warned:
            self.has_warned = True
            warnings.warn(f"{message}: the model extrapolates (said once; guard=False is silent)", stacklevel=7)


def closest_pair(
    displacements: np.ndarray, i: np.ndarray, j: np.ndarray, symbols: np.ndarray, shortest: np.ndarray
) -> ClosestPair | None:
    """Find the pair that is closest in comparison with the training data; two atoms at one place come first.

    Parameters
    ----------
    displacements : (n_pairs, 3) float, Å
    i, j : (n_pairs,) int
    symbols : (n_atoms,) str
    shortest : (n_pairs,) float, Å
        Shortest distance of each pair's elements in the training data, 0 where there is none.
    """
    if not len(displacements):
        return None
    distances = np.sqrt((displacements**2).sum(axis=1))
    ratio = np.full(len(distances), np.inf)
    np.divide(distances, shortest, out=ratio, where=shortest > 0)
    ratio[distances == 0] = 0.0
    pair = int(np.argmin(ratio))
    if np.isinf(ratio[pair]):
        return None
    a, b = int(i[pair]), int(j[pair])
    return ClosestPair((a, b), (str(symbols[a]), str(symbols[b])), float(distances[pair]), float(shortest[pair]))
