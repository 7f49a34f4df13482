"""Where a frame's labels can be, and which of several wins.

Order: explicit key, then REF_x, then the calculator that ASE attaches when reading, then info and arrays.
REF_x beside a different calculator value is an error: the file holds two references and only its owner knows
which counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from panna_plus.data.config import AUTO, NONE
from panna_plus.errors import DataError

_REFERENCE_PREFIX = "REF_"
# Geometry and bookkeeping that ASE or this package put there: never labels.
_NOT_LABELS = frozenset({"positions", "numbers", "config_type"})


@dataclass(frozen=True)
class Found:
    """A label value and the key it came from."""

    value: np.ndarray
    key: str


def calculator_results(atoms: Atoms) -> Mapping[str, Any]:
    """Return what ASE's reader stored in a calculator; {} without one."""
    return {} if atoms.calc is None else atoms.calc.results


def keys_present(atoms: Atoms) -> tuple[str, ...]:
    """Return the names of everything in the frame that could be a label, sorted."""
    names = {*atoms.info, *atoms.arrays, *calculator_results(atoms)} - _NOT_LABELS
    return tuple(sorted(str(name) for name in names))


def find_label(
    atoms: Atoms, names: Sequence[str], key: str, parse: Callable[[Any, str], np.ndarray], where: str
) -> Found | None:
    """Find one label of a frame.

    Parameters
    ----------
    atoms : ase.Atoms
        As read, with the calculator that carries ASE's own labels.
    names : sequence of str
        Names of the label in the order of preference, such as ("virial", "virials"); used when `key` is
        "auto".
    key : str
        "auto", "none" or the key that the configuration names.
    parse : callable (value, key) -> array
        Checks shape and finiteness and brings the value into one form; raises DataError. All NaN is allowed.
    where : str
        Frame for messages.

    Returns
    -------
    Found or None
        None if absent, or if every number is NaN, which marks a missing label.

    Raises
    ------
    DataError
        If a value has the wrong shape, is infinite or NaN in part, or two references differ.
    """
    if key == NONE:
        return None
    if key != AUTO:
        return _unless_missing(_first(_explicit_candidates(atoms, key)), parse)
    for name in names:
        reference = _first(_stored(atoms, _REFERENCE_PREFIX + name))
        calculated = _first([(calculator_results(atoms).get(name), name)])
        _refuse_two_references(reference, calculated, parse, where)
        chosen = reference or calculated or _first(_stored(atoms, name))
        if chosen is not None:
            return _unless_missing(chosen, parse)
    return None


def _stored(atoms: Atoms, key: str) -> list[tuple[Any, str]]:
    return [(atoms.info.get(key), key), (atoms.arrays.get(key), key)]


def _explicit_candidates(atoms: Atoms, key: str) -> list[tuple[Any, str]]:
    return [*_stored(atoms, key), (calculator_results(atoms).get(key), key)]


def _first(candidates: Sequence[tuple[Any, str]]) -> tuple[Any, str] | None:
    return next(((value, key) for value, key in candidates if value is not None), None)


def _unless_missing(candidate: tuple[Any, str] | None, parse) -> Found | None:
    if candidate is None:
        return None
    value = parse(*candidate)
    return None if np.isnan(value).any() else Found(value, candidate[1])


def _refuse_two_references(reference, calculated, parse, where: str) -> None:
    if reference is None or calculated is None:
        return
    first, second = parse(*reference), parse(*calculated)
    if np.allclose(first, second, rtol=1e-6, atol=1e-6, equal_nan=True):
        return
    difference = np.nanmax(np.abs(first - second)) if np.isfinite(first - second).any() else np.nan
    name = calculated[1]
    raise DataError(
        f"{where}: '{reference[1]}' and '{name}' both exist and differ (by up to {difference:.6g}): say "
        f"which one is the reference with data.keys.{name}: {reference[1]}"
    )
