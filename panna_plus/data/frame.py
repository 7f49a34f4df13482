"""One labelled structure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

LABELS = ("energy", "forces", "stress")


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure with the labels found for it; None marks a label that is missing.

    Attributes
    ----------
    atoms : ase.Atoms
        Without a calculator; other info and arrays of the file are kept.
    energy : float, eV, or None
    forces : (n_atoms, 3) float64, eV/Å, or None
    stress : (3, 3) float64, eV/Å³, or None
        +1/V dE/dstrain, symmetric.
    source : str
        File and frame number (counted from 0), such as "train.xyz frame 12".
    config_type : str
        Group of the structure, "" where the file names none.
    label_keys : mapping of label to key
        Which key of the file supplied each label.
    keys_present : tuple of str
        All keys of the frame that could hold labels.
    notes : tuple of str
        What was set aside while reading, counted in the data report.
    """

    atoms: Atoms
    energy: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None
    source: str
    config_type: str
    label_keys: Mapping[str, str] = field(default_factory=dict)
    keys_present: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.atoms)

    def has(self, label: str) -> bool:
        """Return whether the frame carries `label`: energy, forces or stress."""
        return getattr(self, label) is not None

    @property
    def is_isolated_atom(self) -> bool:
        """Whether the frame gives a reference energy: one atom, marked IsolatedAtom or not periodic."""
        return len(self) == 1 and (is_marked_isolated(self.config_type) or not self.atoms.pbc.any())

    def unknown_elements(self, elements: Sequence[str]) -> list[str]:
        """Return the symbols of the frame that are not among `elements`, sorted."""
        return sorted(set(self.atoms.get_chemical_symbols()) - set(elements))


def is_marked_isolated(config_type: str) -> bool:
    """Return whether a config_type says IsolatedAtom, in any spelling of case and underscores."""
    return config_type.replace("_", "").lower() == "isolatedatom"
