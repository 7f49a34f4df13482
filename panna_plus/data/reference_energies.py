"""Energy of a lone atom of each element: given, computed, or fitted to the compositions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from panna_plus.data.frame import Frame
from panna_plus.errors import ConfigError, DataError, require

GIVEN, ISOLATED, FITTED, ABSENT = "given", "isolated atom", "least squares", "no energies: 0"
# Singular values of the composition matrix below this fraction of the largest are rounding.
_RANK_TOLERANCE = 1e-10
_SAME_ENERGY = 1e-3  # eV


@dataclass(frozen=True, eq=False)
class ReferenceEnergies:
    """Reference energies with their provenance.

    Attributes
    ----------
    values : dict of symbol to float, eV
    sources : dict of symbol to str
        "given", "isolated atom", "least squares" or "no energies: 0".
    rank, n_fitted : int
        Rank of the composition matrix over the fitted elements, and their number. A rank below that number
        means that single values are a convention (minimum norm): only the compositions in the data are
        described.
    residual_rms, residual_max : float, eV/atom
        Of the labelled energies after the reference energies are taken off; NaN without energies. This is the
        energy that the network has to learn.
    """

    values: dict[str, float]
    sources: dict[str, str]
    rank: int
    n_fitted: int
    residual_rms: float
    residual_max: float

    @property
    def is_rank_deficient(self) -> bool:
        return self.rank < self.n_fitted

    def array(self, elements: Sequence[str]) -> np.ndarray:
        """Return the values in the order of `elements`, (n_elements,) in eV."""
        return np.array([self.values[symbol] for symbol in elements])

    def residuals(self, frames: Sequence[Frame]) -> np.ndarray:
        """Return (E - sum of E0) / n_atoms of each frame, (n_frames,) in eV/atom; NaN without an energy."""
        elements = list(self.values)
        energies = np.array([np.nan if f.energy is None else f.energy for f in frames], dtype=float)
        counts = composition_counts(frames, elements)
        return (energies - counts @ self.array(elements)) / np.maximum(counts.sum(axis=1), 1)


def find_reference_energies(
    setting: str | Mapping[str, float],
    frames: Sequence[Frame],
    isolated: Sequence[Frame],
    elements: Sequence[str],
) -> ReferenceEnergies:
    """Find the reference energy of every element.

    Parameters
    ----------
    setting : "auto", "isolated_atoms", "least_squares" or {symbol: eV}
        "auto" takes isolated atoms where there are some and fits the other elements with those held fixed.
    frames : sequence of Frame
        Training frames, without isolated atoms.
    isolated : sequence of Frame
        One-atom frames.
    elements : sequence of str

    Raises
    ------
    ConfigError
        If given values leave out an element or name one that does not occur.
    DataError
        If isolated atoms are asked for and missing, disagree or carry no energy, or nothing can be fitted.
    """
    labelled = [f for f in frames if f.energy is not None]
    if not isinstance(setting, str):
        return _finish(_check_given(setting, elements), GIVEN, labelled, elements)
    known = {} if setting == "least_squares" else isolated_atom_energies(isolated, elements)
    missing = [symbol for symbol in elements if symbol not in known]
    if setting == "isolated_atoms" and missing:
        raise DataError(
            f"data.reference_energies is 'isolated_atoms', but no frame with config_type=IsolatedAtom holds "
            f"{', '.join(missing)}: add them, or use 'auto' or 'least_squares'"
        )
    require(
        bool(labelled) or not missing or setting == "auto",
        DataError,
        "reference energies cannot be fitted: no training frame carries an energy; give them as {symbol: eV}",
    )
    return _finish(known, ISOLATED, labelled, elements)


def isolated_atom_energies(isolated: Sequence[Frame], elements: Sequence[str]) -> dict[str, float]:
    """Return the energy (eV) of each element of `elements` that occurs as an isolated atom."""
    energies: dict[str, float] = {}
    for frame in isolated:
        symbol = frame.atoms.get_chemical_symbols()[0]
        if symbol not in elements:
            continue
        if frame.energy is None:
            raise DataError(
                f"{frame.source} (counted from 0) is an isolated {symbol} atom without an energy: label it or "
                f"remove it (keys present: {', '.join(frame.keys_present) or 'none'})"
            )
        first = energies.setdefault(symbol, frame.energy)
        require(
            abs(first - frame.energy) < _SAME_ENERGY,
            DataError,
            f"{frame.source} (counted from 0): isolated {symbol} atoms have different energies, {first} and "
            f"{frame.energy} eV: keep one",
        )
    return energies


def composition_counts(frames: Sequence[Frame], elements: Sequence[str]) -> np.ndarray:
    """Return how many atoms of each element each frame holds, (n_frames, n_elements)."""
    column = {symbol: k for k, symbol in enumerate(elements)}
    counts = np.zeros((len(frames), len(elements)))
    for row, frame in zip(counts, frames, strict=True):
        for symbol in frame.atoms.get_chemical_symbols():
            row[column[symbol]] += 1.0
    return counts


def _check_given(setting: Mapping[str, float], elements: Sequence[str]) -> dict[str, float]:
    missing = [symbol for symbol in elements if symbol not in setting]
    unknown = [symbol for symbol in setting if symbol not in elements]
    require(
        not missing and not unknown,
        ConfigError,
        f"data.reference_energies must name exactly the elements of the data ({', '.join(elements)}); "
        f"missing: {', '.join(missing) or 'none'}, not in the data: {', '.join(unknown) or 'none'}",
    )
    return {symbol: float(setting[symbol]) for symbol in elements}


def _finish(
    known: dict[str, float], known_source: str, labelled: Sequence[Frame], elements: Sequence[str]
) -> ReferenceEnergies:
    """Fit what is not known, then measure what all values leave over."""
    free = [symbol for symbol in elements if symbol not in known]
    fitted, rank = _fit(known, free, labelled) if labelled else (dict.fromkeys(free, 0.0), 0)
    source_of_free = FITTED if labelled else ABSENT
    values = {symbol: {**known, **fitted}[symbol] for symbol in elements}
    sources = {symbol: known_source if symbol in known else source_of_free for symbol in elements}
    without_residual = ReferenceEnergies(values, sources, rank, len(free) if labelled else 0, np.nan, np.nan)
    if not labelled:
        return without_residual
    residuals = np.abs(without_residual.residuals(labelled))
    return ReferenceEnergies(
        values, sources, rank, len(free), float(np.sqrt(np.mean(residuals**2))), float(residuals.max())
    )


def _fit(known: dict[str, float], free: Sequence[str], labelled: Sequence[Frame]) -> tuple[dict[str, float], int]:
    """Fit the free elements by least squares on energies per atom; minimum norm where undetermined."""
    if not free:
        return {}, 0
    elements = [*known, *free]
    counts = composition_counts(labelled, elements)
    fractions = counts / counts.sum(axis=1, keepdims=True)
    energies = np.array([f.energy for f in labelled]) / counts.sum(axis=1)
    remainder = energies - fractions[:, : len(known)] @ np.array([known[s] for s in known])
    solution, _, rank, _ = np.linalg.lstsq(fractions[:, len(known) :], remainder, rcond=_RANK_TOLERANCE)
    return dict(zip(free, solution.tolist(), strict=True)), int(rank)
