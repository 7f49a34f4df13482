"""Error statistics: sums that add up over batches, frames and groups."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM, voigt_from_matrix
from panna_plus.data.frame import Frame

QUANTITIES = ("energy", "forces", "stress")
UNITS = {"energy": "meV/atom", "forces": "meV/Å", "stress": "GPa"}
# From eV/atom, eV/Å and eV/Å³.
FACTORS = {"energy": 1e3, "forces": 1e3, "stress": GPA_PER_EV_PER_CUBIC_ANGSTROM}


@dataclass
class ErrorSums:
    """Sum of absolute errors, of squares, largest error and number of values."""

    absolute: float = 0.0
    square: float = 0.0
    largest: float = 0.0
    count: int = 0

    def add(self, errors: np.ndarray) -> None:
        """Count more errors, in any shape."""
        errors = np.abs(errors)
        if errors.size:
            self.absolute += float(errors.sum())
            self.square += float(np.square(errors).sum())
            # np.maximum keeps a NaN, which `max` may drop.
            self.largest = float(np.maximum(self.largest, errors.max()))
            self.count += errors.size

    @property
    def mae(self) -> float:
        return self.absolute / self.count if self.count else math.nan

    @property
    def rmse(self) -> float:
        return math.sqrt(self.square / self.count) if self.count else math.nan

    def as_dict(self) -> dict[str, float | int]:
        """Return mae, rmse, max and count."""
        return {"mae": self.mae, "rmse": self.rmse, "max": self.largest, "count": self.count}


@dataclass(frozen=True)
class FrameResult:
    """Prediction for one frame, in numpy.

    Attributes
    ----------
    frame : Frame
    energy : float, eV
    forces : (n_atoms, 3) float64, eV/Å
    stress : (3, 3) float64, eV/Å³, or None without a volume
    """

    frame: Frame
    energy: float
    forces: np.ndarray
    stress: np.ndarray | None


class ErrorTable:
    """Errors by quantity over all frames, by config_type and (forces) by element, in the units of `UNITS`."""

    def __init__(self) -> None:
        self.overall: dict[str, ErrorSums] = defaultdict(ErrorSums)
        self.config_types: dict[str, dict[str, ErrorSums]] = defaultdict(lambda: defaultdict(ErrorSums))
        self.elements: dict[str, dict[str, ErrorSums]] = defaultdict(lambda: defaultdict(ErrorSums))
        self.n_frames: dict[str, int] = defaultdict(int)

    def add(self, result: FrameResult) -> None:
        """Count the errors of one frame, as far as it is labelled."""
        frame = result.frame
        self.n_frames[frame.config_type] += 1
        for quantity, errors in frame_errors(result).items():
            self.overall[quantity].add(errors)
            self.config_types[frame.config_type][quantity].add(errors)
            if quantity == "forces":
                symbols = np.array(frame.atoms.get_chemical_symbols())
                for element in dict.fromkeys(symbols.tolist()):
                    self.elements[element]["forces"].add(errors[symbols == element])

    def as_dict(self) -> dict:
        """Return plain dictionaries, groups sorted by name; quantities without labels are absent."""
        return {
            "n_frames": sum(self.n_frames.values()),
            "all": _plain(self.overall),
            "config_types": {
                (name or "(none)"): {"n_frames": self.n_frames[name], **_plain(self.config_types[name])}
                for name in sorted(self.n_frames)
            },
            "elements": {name: _plain(sums) for name, sums in sorted(self.elements.items())},
        }


def _plain(sums: dict[str, ErrorSums]) -> dict:
    return {quantity: sums[quantity].as_dict() for quantity in QUANTITIES if quantity in sums}


def frame_errors(result: FrameResult) -> dict[str, np.ndarray]:
    """Return the errors of the labels that a frame has, in the units of `UNITS`.

    Energy (1,) per atom, forces (n_atoms, 3), stress (6,): each of the six components counts once.
    """
    frame, errors = result.frame, {}
    if frame.energy is not None:
        errors["energy"] = np.array([result.energy - frame.energy]) / len(frame)
    if frame.forces is not None:
        errors["forces"] = result.forces - frame.forces
    if frame.stress is not None and result.stress is not None:
        errors["stress"] = voigt_from_matrix(result.stress - frame.stress)
    return {quantity: FACTORS[quantity] * values for quantity, values in errors.items()}


def error_table(results: Iterable[FrameResult]) -> ErrorTable:
    """Return the table of many frames."""
    table = ErrorTable()
    for result in results:
        table.add(result)
    return table


def table_rows(table: dict, quantities: Sequence[str]) -> list[list[str]]:
    """Return rows (group, frames, then MAE, RMSE, max of each quantity) of `ErrorTable.as_dict`, as text."""
    rows = [_row("all", table["n_frames"], table["all"], quantities)]
    if len(table["config_types"]) > 1:
        rows += [_row(n, e["n_frames"], e, quantities) for n, e in table["config_types"].items()]
    if len(table["elements"]) > 1:
        rows += [_row(f"element {n}", None, e, quantities) for n, e in table["elements"].items()]
    return rows


def _row(name: str, n_frames: int | None, errors: dict, quantities: Sequence[str]) -> list[str]:
    cells = [name, "" if n_frames is None else str(n_frames)]
    for quantity in quantities:
        entry = errors.get(quantity)
        cells += ["-"] * 3 if entry is None else [shown(entry[k]) for k in ("mae", "rmse", "max")]
    return cells


def shown(value: float) -> str:
    """Return a number with three significant digits, without an exponent in the usual range."""
    if not math.isfinite(value):
        return str(value)
    if value == 0.0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(digits, 0)}f}"
