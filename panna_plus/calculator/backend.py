"""What the calculator asks of the native engine and of PyTorch alike."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from panna_plus.calculator.guard import Guard
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.errors import NumericalError, require

Results = dict[str, Any]


class Backend(ABC):
    """A model that is ready to be evaluated.

    Attributes
    ----------
    name : 'native' or 'torch'
    elements : list of str
        Chemical symbols in species order.
    cutoff : float, Å
    info_keys : tuple of str
        Numbers in `atoms.info` that the results depend on.
    properties : tuple of str
        What it gives beyond energies, forces and stress, by ASE's names.
    """

    name: str
    elements: list[str]
    cutoff: float
    info_keys: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()

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


def require_finite(results: Results, label: str) -> None:
    """Refuse an energy or a force that is not a number."""
    finite = np.isfinite(results["energy"]) and np.isfinite(results["forces"]).all()
    require(
        bool(finite),
        NumericalError,
        f"{label}the potential gave an energy or a force that is not finite; energy {results['energy']} eV: "
        "look for atoms that came too close or flew apart",
    )
