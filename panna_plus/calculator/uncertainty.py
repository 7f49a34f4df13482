"""How far the members of a committee disagree."""

from typing import Any

import numpy as np

from panna_plus.errors import ConfigError, require


def force_deviation(member_forces: np.ndarray) -> np.ndarray:
    """Return the deviation of every atom's force over the members of a committee.

    Parameters
    ----------
    member_forces : (n_members, n_atoms, 3) float, eV/Å

    Returns
    -------
    (n_atoms,) float64, eV/Å
        sqrt(mean over m of |F_m - F|²) with F the mean of the F_m: what others call model deviation.
    """
    away = member_forces - member_forces.mean(axis=0)
    return np.sqrt(np.square(away).sum(axis=2).mean(axis=0))


def uncertainty_results(
    member_energies: np.ndarray | None, member_forces: np.ndarray | None, extrapolation: np.ndarray | None
) -> dict[str, Any]:
    """Return what is known under the names that users see.

    Raises
    ------
    ConfigError
        If nothing is.
    """
    results: dict[str, Any] = {}
    if member_energies is not None and member_forces is not None:
        results |= {
            "energy_members": member_energies,
            "forces_members": member_forces,
            "force_deviation": force_deviation(member_forces),
        }
    if extrapolation is not None:
        results["extrapolation"] = extrapolation
    require(
        bool(results),
        ConfigError,
        "the model knows nothing of its uncertainty: it is no committee (panna-plus committee merges several, and "
        "several files are one) and has no statistics of its training data (panna-plus train writes them for the "
        "family panna)",
    )
    return results
