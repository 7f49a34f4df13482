"""Energy, forces and stress of one frame, in the package's units, sign and shape."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM, matrix_from_voigt
from panna_plus.data.config import AUTO, NONE, LabelKeys
from panna_plus.data.label_search import Found, calculator_results, find_label
from panna_plus.errors import DataError, require
from panna_plus.neighbors import volume_of

NO_VOLUME = "stress ignored: no three-dimensional periodic cell"
FREE_ENERGY_DIFFERS = "free_energy differs from the energy that is used"
_STRESS_FACTOR = {
    "eV/Å^3": 1.0,
    "GPa": 1.0 / GPA_PER_EV_PER_CUBIC_ANGSTROM,
    "kbar": 0.1 / GPA_PER_EV_PER_CUBIC_ANGSTROM,
}
# Codes print stresses with few digits: more asymmetry than this is no rounding but a wrong order of
# components.
_ASYMMETRY = 0.01
_STRESS_AGAINST_VIRIAL = 1e-3


@dataclass(frozen=True)
class Labels:
    """What one frame carries; see Frame for shapes and units."""

    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    keys: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_labels(atoms: Atoms, keys: LabelKeys, where: str) -> Labels:
    """Collect the labels of a frame as ASE read it.

    Raises
    ------
    DataError
        Naming frame and key where a label is malformed, not finite or contradicts another.
    """
    energy = find_label(atoms, ["energy"], keys.energy, _scalar_parser(where), where)
    forces = find_label(atoms, ["forces"], keys.forces, _forces_parser(len(atoms), where), where)
    stress, notes = _find_stress(atoms, keys, where)
    found = {"energy": energy, "forces": forces, "stress": stress}
    return Labels(
        energy=None if energy is None else float(energy.value),
        forces=None if forces is None else forces.value,
        stress=None if stress is None else stress.value,
        keys={label: hit.key for label, hit in found.items() if hit is not None},
        notes=notes + _free_energy_note(atoms, energy),
    )


def _find_stress(atoms: Atoms, keys: LabelKeys, where: str) -> tuple[Found | None, tuple[str, ...]]:
    """Return the stress in eV/Å³ from a stress or a virial; both must agree where both count."""
    is_stress_named, is_virial_named = (k not in (AUTO, NONE) for k in (keys.stress, keys.virial))
    stress = virial = None
    if is_stress_named or not is_virial_named:
        stress = find_label(atoms, ["stress"], keys.stress, _tensor_parser(where), where)
    if is_virial_named or not is_stress_named:
        virial = find_label(atoms, ["virial", "virials"], keys.virial, _tensor_parser(where), where)
    if stress is None and virial is None:
        return None, ()
    volume = volume_of(atoms)
    if np.isnan(volume):
        return None, (NO_VOLUME,)
    if stress is not None:
        stress = Found(stress.value * _STRESS_FACTOR[keys.stress_units], stress.key)
    if virial is not None:
        virial = Found(-virial.value / volume, virial.key)
    _refuse_contradiction(stress, virial, where)
    return stress or virial, ()


def _refuse_contradiction(stress: Found | None, virial: Found | None, where: str) -> None:
    if stress is None or virial is None:
        return
    scale = max(np.abs(stress.value).max(), np.abs(virial.value).max())
    difference = np.abs(stress.value - virial.value).max()
    require(
        difference <= _STRESS_AGAINST_VIRIAL * scale + 1e-6,
        DataError,
        f"{where}: '{stress.key}' and '{virial.key}' contradict each other: -{virial.key}/volume differs "
        f"from the stress by up to {difference:.4g} eV/Å^3 (largest {scale:.4g}). Check sign and "
        "data.keys.stress_units, or set data.keys.stress or data.keys.virial to 'none'",
    )


def _free_energy_note(atoms: Atoms, energy: Found | None) -> tuple[str, ...]:
    """Say when the force-consistent energy is another one, as in VASP files."""
    free_energy = calculator_results(atoms).get("free_energy")
    if energy is None or free_energy is None or energy.key != "energy":
        return ()
    return () if abs(float(free_energy) - float(energy.value)) < 1e-6 else (FREE_ENERGY_DIFFERS,)


def _numbers(value: Any, key: str, where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise TypeError(f"type {array.dtype}")
        return array.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: key '{key}' must hold numbers, found {value!r:.60}") from error


def _check_finite(array: np.ndarray, key: str, where: str, row_is_atom: bool = False) -> None:
    """Refuse infinities, and NaN beside numbers; all NaN marks a missing label."""
    bad = ~np.isfinite(array)
    if not bad.any() or np.isnan(array).all():
        return
    place = f" for atom {np.argwhere(bad)[0][0]} (counted from 0)" if row_is_atom else ""
    raise DataError(
        f"{where}: key '{key}' holds {array[bad].flat[0]}{place}: give finite numbers, or NaN everywhere "
        "for a missing label, or remove the frame"
    )


def _scalar_parser(where: str) -> Callable[[Any, str], np.ndarray]:
    def parse(value: Any, key: str) -> np.ndarray:
        array = _numbers(value, key, where)
        require(
            array.size == 1,
            DataError,
            f"{where}: key '{key}' must hold one number, found shape {array.shape}",
        )
        _check_finite(array, key, where)
        return array.reshape(())

    return parse


def _forces_parser(n_atoms: int, where: str) -> Callable[[Any, str], np.ndarray]:
    def parse(value: Any, key: str) -> np.ndarray:
        array = _numbers(value, key, where)
        # ASE reads a one-atom frame's (1, 3) array as (1, 3), but info entries of three numbers as (3,).
        array = array.reshape(1, 3) if n_atoms == 1 and array.shape == (3,) else array
        require(
            array.shape == (n_atoms, 3),
            DataError,
            f"{where}: key '{key}' must hold {n_atoms} x 3 numbers, found shape {array.shape}",
        )
        _check_finite(array, key, where, row_is_atom=True)
        return array

    return parse


def _tensor_parser(where: str) -> Callable[[Any, str], np.ndarray]:
    def parse(value: Any, key: str) -> np.ndarray:
        array = _numbers(value, key, where)
        require(
            array.shape in ((6,), (9,), (3, 3)),
            DataError,
            f"{where}: key '{key}' must hold 6 (xx yy zz yz xz xy), 9 or 3x3 numbers, found shape {array.shape}",
        )
        _check_finite(array, key, where)
        matrix = matrix_from_voigt(array) if array.shape == (6,) else array.reshape(3, 3)
        asymmetry, scale = np.abs(matrix - matrix.T).max(), np.abs(matrix).max()
        is_symmetric = np.isnan(scale) or asymmetry <= _ASYMMETRY * scale + 1e-6
        require(
            bool(is_symmetric),
            DataError,
            f"{where}: key '{key}' must be a symmetric tensor, found {array.tolist()}",
        )
        return 0.5 * (matrix + matrix.T)

    return parse
