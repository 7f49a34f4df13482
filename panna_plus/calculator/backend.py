"""What the calculator asks of the native engine and of PyTorch alike."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms

from panna_plus.calculator.guard import Guard
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.errors import NumericalError, require
from panna_plus.remarks import Ranges

Results = dict[str, Any]


class Backend(ABC):
    """A model that is ready to be evaluated.

    Attributes
    ----------
    name : 'native' or 'torch'
    elements : list of str
        Chemical symbols in species order.
    cutoff : float, Å
    state_ranges : mapping of str to (float, float)
        Numbers in `atoms.info` that the results depend on, with the smallest and largest value of the training.
    detail_names : sequence of str
        What it knows of atoms beside energies and forces.
    """

    name: str
    elements: list[str]
    cutoff: float
    state_ranges: Ranges
    detail_names: Sequence[str]

    def __init__(self) -> None:
        self._said: set[str] = set()

    @property
    def properties(self) -> tuple[str, ...]:
        """What it gives beyond energies, forces and stress, by ASE's names."""
        return ("charges", "dipole") if "charges" in self.detail_names else ()

    def say_once(self, remarks: Mapping[str, str]) -> None:
        """Warn, in a call from `predict`, of what a user should know about results, of each kind once."""
        for kind, text in remarks.items():
            if kind not in self._said:
                self._said.add(kind)
                warnings.warn(f"{text} (said once)", stacklevel=7)

    @abstractmethod
    def prepare(self, atoms: Atoms, pairs: BufferedPairs) -> Any:
        """Return atoms in the form that `predict` takes; `pairs` is brought up to date.

        Raises
        ------
        DataError
            If an element is unknown or a number is not finite.
        """

    @abstractmethod
    def predict(self, prepared: Sequence[Any], labels: Sequence[str], guard: Guard) -> list[Results]:
        """Evaluate what `prepare` returned, several frames at a time.

        Parameters
        ----------
        labels : sequence of str
            How errors name the frames, e.g. "frame 3: ".

        Returns
        -------
        list of dict
            ASE's names, float64 arrays that own their memory; `stress` only where there is a volume. What else
            the family knows of atoms, if anything, is a dictionary under 'details'.

        Raises
        ------
        NumericalError
            If atoms come too close or a result is not finite.
        """

    @abstractmethod
    def uncertainty(self, prepared: Any) -> Results:
        """Return what `PannaPlusCalculator.uncertainty` does, for what `prepare` returned."""


def add_details(results: Results, details: dict[str, np.ndarray], atoms_if_free: np.ndarray | None) -> None:
    """Add what a family knows of atoms beside energies and forces, if anything.

    Parameters
    ----------
    details : dict of (n_atoms,) arrays
    atoms_if_free : (n_atoms, 3) float, Å
        Positions; None where something is periodic.
    """
    if details:
        results["details"] = details
    if "charges" in details:
        results["charges"] = details["charges"].copy()
        if atoms_if_free is not None:
            results["dipole"] = results["charges"] @ atoms_if_free


def free_positions(atoms: Atoms) -> np.ndarray | None:
    """Return the positions (n_atoms, 3) in Å, or None where something is periodic."""
    return None if atoms.pbc.any() else atoms.positions.copy()


def require_finite(results: Results, label: str) -> None:
    """Refuse an energy or a force that is not a number."""
    finite = np.isfinite(results["energy"]) and np.isfinite(results["forces"]).all()
    require(
        bool(finite),
        NumericalError,
        f"{label}the potential gave an energy or a force that is not finite; energy {results['energy']} eV: "
        "look for atoms that came too close or flew apart",
    )
