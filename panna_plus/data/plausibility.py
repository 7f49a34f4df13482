"""Hints that labels are not what their names say. They warn and never change a number."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from panna_plus.data.frame import Frame
from panna_plus.data.reference_energies import FITTED, ReferenceEnergies

_NET_FORCE_PER_ATOM = 0.01  # eV/Å
_TYPICAL_FORCE = (1e-3, 1e2)  # eV/Å, median of |F|
_TYPICAL_STRESS = 1.0  # eV/Å³ = 160 GPa
_OUTLIER = 10.0  # robust standard deviations
_OUTLIER_FLOOR = 0.5  # eV/atom
_COHESION = 20.0  # eV/atom: more than any solid or molecule gains over its atoms


def label_warnings(frames: Sequence[Frame], reference_energies: ReferenceEnergies) -> list[str]:
    """Return what looks wrong in the labels of the training frames, one sentence each."""
    checks = [
        net_forces(frames),
        force_magnitudes(frames),
        stress_magnitudes(frames),
        stress_sign(frames),
        energy_outliers(frames, reference_energies),
        reference_energy_scale(reference_energies),
        energies_against_forces(frames),
        *mixed_keys(frames),
        *notes_and_weights(frames),
    ]
    return [warning for warning in checks if warning]


def net_forces(frames: Sequence[Frame]) -> str:
    """Forces of a closed system add up to zero; DFT grids leave a little."""
    excess = [
        (np.linalg.norm(f.forces.sum(axis=0)) / len(f), f.source)
        for f in frames
        if f.forces is not None and np.linalg.norm(f.forces.sum(axis=0)) > _NET_FORCE_PER_ATOM * len(f)
    ]
    if not excess:
        return ""
    worst, source = max(excess)
    return (
        f"the forces do not add up to zero in {len(excess)} training frames (above {_NET_FORCE_PER_ATOM} "
        f"eV/Å per atom; worst {worst:.3g} in {source}): constrained atoms, an external field, or "
        "unconverged calculations?"
    )


def force_magnitudes(frames: Sequence[Frame]) -> str:
    """Median force outside what structures near equilibrium to melts show."""
    norms = [np.linalg.norm(f.forces, axis=1) for f in frames if f.forces is not None]
    if not norms:
        return ""
    median = float(np.median(np.concatenate(norms)))
    low, high = _TYPICAL_FORCE
    if low <= median <= high:
        return ""
    return f"the median force is {median:.3g} eV/Å, expected {low:g} to {high:g}: are the forces in eV/Å?"


def stress_magnitudes(frames: Sequence[Frame]) -> str:
    """Stresses above 160 GPa are usually GPa, kbar or a virial under the wrong name."""
    values = [np.abs(f.stress).max() for f in frames if f.stress is not None]
    if not values or np.median(values) <= _TYPICAL_STRESS:
        return ""
    return (
        f"the median of the largest stress component is {np.median(values):.3g} eV/Å^3 "
        f"({160.2 * np.median(values):.3g} GPa): is it in GPa or kbar (data.keys.stress_units), or a virial "
        "(data.keys.virial)?"
    )


def stress_sign(frames: Sequence[Frame]) -> str:
    """With tension positive, a larger volume per atom goes with a larger trace of the stress."""
    groups: dict[tuple, list[tuple[float, float]]] = defaultdict(list)
    for f in frames:
        if f.stress is not None:
            volume = abs(np.linalg.det(f.atoms.cell.array)) / len(f)
            groups[f.config_type, _reduced_composition(f)].append((volume, np.trace(f.stress) / 3))
    correlations = [c for c in map(_correlation_with_volume, groups.values()) if c is not None]
    weight = sum(n for n, _ in correlations)
    if not weight or sum(n * c for n, c in correlations) / weight > -0.3:
        return ""
    return (
        "the stress falls when the volume grows: the sign looks like that of a pressure or virial. This "
        "package counts tension positive (ASE); use data.keys.virial for a virial"
    )


def energy_outliers(frames: Sequence[Frame], reference_energies: ReferenceEnergies) -> str:
    """Energies per atom far from all others once the reference energies are off."""
    labelled = [f for f in frames if f.energy is not None]
    if len(labelled) < 8:
        return ""
    residuals = reference_energies.residuals(labelled)
    deviations = np.abs(residuals - np.median(residuals))
    limit = max(_OUTLIER * 1.4826 * np.median(deviations), _OUTLIER_FLOOR)
    outliers = np.flatnonzero(deviations > limit)
    if not len(outliers):
        return ""
    worst = outliers[np.argsort(-deviations[outliers])][:3]
    named = ", ".join(f"{labelled[k].source} ({residuals[k]:+.3g} eV/atom)" for k in worst)
    return f"{len(outliers)} energies lie far from the others after the reference energies: {named}"


def reference_energy_scale(reference_energies: ReferenceEnergies) -> str:
    """Total energies against cohesive ones, or reference energies of another method."""
    deficient = ""
    if reference_energies.is_rank_deficient:
        deficient = (
            f"the compositions determine only {reference_energies.rank} of {reference_energies.n_fitted} "
            "fitted reference energies: their sum fits the compositions in the data, single values mean "
            "nothing, and other compositions will be wrong by a constant. Add frames of other compositions "
            "or isolated atoms to mend that"
        )
    is_fitted = FITTED in reference_energies.sources.values()
    if not is_fitted and reference_energies.residual_rms > _COHESION:
        return (
            f"the reference energies leave {reference_energies.residual_rms:.3g} eV/atom (rms): do they "
            "come from the same method, and are both total energies?"
        )
    return deficient


def energies_against_forces(frames: Sequence[Frame]) -> str:
    """Between similar frames the energy changes by -F dx: another slope is another unit or sign."""
    changes, works = [], []
    for first, second in pairwise(frames):
        pair = _work_between(first, second)
        if pair is not None:
            changes.append(pair[0])
            works.append(pair[1])
    if len(works) < 8 or np.std(works) == 0.0 or np.std(changes) == 0.0:
        return ""
    correlation = np.corrcoef(changes, works)[0, 1]
    slope = float(np.dot(changes, works) / np.dot(works, works))
    if abs(correlation) < 0.9 or 0.7 < slope < 1.4:
        return ""
    return (
        f"between {len(works)} pairs of similar frames the energy changes {slope:.3g} times as much as the "
        "forces say: are energy and forces in eV and eV/Å, and is the force -dE/dx?"
    )


def mixed_keys(frames: Sequence[Frame]) -> list[str]:
    """One label from several keys may be two levels of theory."""
    keys: dict[str, Counter] = defaultdict(Counter)
    for f in frames:
        for label, key in f.label_keys.items():
            keys[label][key] += 1
    return [
        f"the label {label} comes from several keys: {_counted(counter)}; name one in data.keys.{label}"
        for label, counter in keys.items()
        if len(counter) > 1 and label != "stress"
    ]


def notes_and_weights(frames: Sequence[Frame]) -> list[str]:
    """What was set aside while reading, and per-frame weights, which are not used."""
    notes = Counter(note for f in frames for note in f.notes)
    warnings = [f"{note} ({count} training frames)" for note, count in notes.items()]
    weighted = sorted({k for f in frames for k in f.keys_present if k.startswith("config_") and k.endswith("weight")})
    if weighted:
        warnings.append(f"the frames carry {', '.join(weighted)}: weights of single frames are not used")
    return warnings


def _reduced_composition(frame: Frame) -> tuple:
    numbers, counts = np.unique(frame.atoms.numbers, return_counts=True)
    return tuple(zip(numbers.tolist(), (counts // np.gcd.reduce(counts)).tolist(), strict=True))


def _correlation_with_volume(points: list[tuple[float, float]]) -> tuple[int, float] | None:
    """Return (number of points, correlation), or None where the volume hardly varies."""
    volumes, stresses = np.array(points).T
    if len(points) < 8 or np.std(volumes) < 0.01 * np.mean(volumes) or np.std(stresses) == 0.0:
        return None
    return len(points), float(np.corrcoef(volumes, stresses)[0, 1])


def _work_between(first: Frame, second: Frame) -> tuple[float, float] | None:
    """Return (energy change, -F dx), or None unless the frames differ by a small displacement."""
    if first.energy is None or second.energy is None or first.forces is None or second.forces is None:
        return None
    if not np.array_equal(first.atoms.numbers, second.atoms.numbers):
        return None
    if not np.allclose(first.atoms.cell.array, second.atoms.cell.array):
        return None
    displacements = second.atoms.positions - first.atoms.positions
    if not 0.0 < np.abs(displacements).max() < 0.3:
        return None
    return second.energy - first.energy, -0.5 * float(np.sum((first.forces + second.forces) * displacements))


def _counted(counter: Counter) -> str:
    return ", ".join(f"{key} ({count})" for key, count in counter.most_common())
