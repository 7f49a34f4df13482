"""What is refused of a potential, and what a user should know about a result, whoever computes it."""

from collections.abc import Mapping, Sequence

import numpy as np

from panna_plus.errors import DataError, require

# Smallest and largest value in the training, by the key of `atoms.info`: 'charge', 'spin'.
Ranges = Mapping[str, tuple[float, float]]
# Below it the dispersion of an atom is no longer that of matter.
LOWEST_RATIO = 0.3


def common_ranges(ranges: Sequence[Ranges]) -> dict[str, tuple[float, float]]:
    """Return what several models were trained with: for every key, what all of them know that look at it."""
    keys = dict.fromkeys(key for each in ranges for key in each)
    known = {key: [each[key] for each in ranges if key in each] for key in keys}
    return {key: (max(low for low, _ in limits), min(high for _, high in limits)) for key, limits in known.items()}


def require_whole_numbers(states: Mapping[str, Sequence[float]], ranges: Ranges) -> None:
    """Refuse charges and numbers of unpaired electrons that are no whole numbers, where they matter.

    Parameters
    ----------
    states : mapping
        Values of all frames by key of `atoms.info`.
    ranges : mapping
        Its keys are those that matter.

    Raises
    ------
    DataError
    """
    for key in ranges:
        strange = [float(v) for v in states[key] if not np.isfinite(v) or v != round(v)]
        require(not strange, DataError, f"atoms.info['{key}'] must be a whole number, found {strange[:1]}")


def require_known_states(states: Mapping[str, Sequence[float]], ranges: Ranges) -> None:
    """Refuse what `require_whole_numbers` refuses, and spins that the training did not have."""
    require_whole_numbers(states, ranges)
    low, high = ranges.get("spin", (-np.inf, np.inf))
    strange = [s for s in states["spin"] if not low <= s <= high] if "spin" in ranges else []
    require(
        not strange,
        DataError,
        f"atoms.info['spin'] is {strange[0] if strange else 0:g} unpaired electrons; this model was trained "
        f"with {low:g} to {high:g} and means nothing beyond (0 is a singlet: give the number of unpaired "
        "electrons, not the multiplicity)",
    )


def charge_remarks(
    charges: Sequence[float], is_periodic: Sequence[bool], trained: tuple[float, float]
) -> dict[str, str]:
    """Say what to know about total charges: those never checked, and those of periodic cells.

    Parameters
    ----------
    charges : (n_frames,) float, e
    is_periodic : (n_frames,) bool
    trained : smallest and largest total charge of the training, e

    Returns
    -------
    dict
        By kind; who shows them shows each kind once.
    """
    found = {}
    low, high = trained
    strange = [q for q in charges if not low <= q <= high]
    if strange:
        found["charge"] = (
            f"total charge {strange[0]:g}: no reference with a charge other than {low:g} to {high:g} stands behind "
            "this model; compare with one before relying on it"
        )
    if any(periodic and q != 0.0 for q, periodic in zip(charges, is_periodic, strict=True)):
        found["charged cell"] = (
            "a periodic cell with a total charge: its partial charges add up to that charge and interact up to the "
            "cutoff, without a neutralizing background; energies of cells of different size or charge do not compare"
        )
    return found


def ratio_remarks(species: np.ndarray, ratios: np.ndarray, elements: Sequence[str]) -> dict[str, str]:
    """Say which atoms have shrunk so much that their dispersion is not credible.

    Parameters
    ----------
    species : (n_atoms,) int
        Positions in `elements`.
    ratios : (n_atoms,) float
        Hirshfeld ratios.
    """
    is_low = ratios < LOWEST_RATIO
    if not is_low.any():
        return {}
    counts = [
        f"{int((is_low & (species == s)).sum())} of {int((species == s).sum())} {element}"
        for s, element in enumerate(elements)
        if (is_low & (species == s)).any()
    ]
    return {
        "ratios": f"Hirshfeld ratios below {LOWEST_RATIO} for {', '.join(counts)} atoms (lowest "
        f"{float(ratios.min()):.3f}): their dispersion is far too weak. The published SO3LR weights do this in bulk "
        "water"
    }


def remarks_on(
    charges: Sequence[float],
    is_periodic: Sequence[bool],
    species: np.ndarray,
    details: Mapping[str, np.ndarray],
    elements: Sequence[str],
    ranges: Ranges,
) -> dict[str, str]:
    """Return by kind what a user should know about results; `details` are those of the atoms of all frames."""
    found = charge_remarks(charges, is_periodic, ranges["charge"]) if "charge" in ranges else {}
    if "hirshfeld_ratios" in details:
        found |= ratio_remarks(species, details["hirshfeld_ratios"], elements)
    return found
