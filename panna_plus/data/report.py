"""What is in a data set, gathered once and shown before training starts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panna_plus.data.dataset import DataSet
from panna_plus.data.duplicates import Duplicates, find_duplicates
from panna_plus.data.frame import LABELS, Frame
from panna_plus.data.pairs import PairStatistics, pair_statistics
from panna_plus.data.plausibility import label_warnings
from panna_plus.data.reference_energies import ReferenceEnergies

_SHORTEST_PLAUSIBLE = 0.6  # Å: H2 has 0.74
_NEVER_SEEN = np.nan


@dataclass(frozen=True)
class SplitSummary:
    """Size and ranges of one split; energies per atom in eV, forces in eV/Å, stress components in eV/Å³."""

    name: str
    n_frames: int
    n_atoms: int
    n_labels: dict[str, int]
    energy_per_atom: tuple[float, float]
    force_rms: float
    force_max: float
    stress_max: float
    config_types: dict[str, int]


@dataclass(frozen=True, eq=False)
class DataReport:
    """Everything that `render` shows.

    Attributes
    ----------
    elements : dict of symbol to int
        Atoms of each element in the training split.
    keys : dict of label to {key: count}
        Which keys supplied each label, over all splits.
    pairs : PairStatistics
        Of the training frames.
    warnings : list of str
    """

    splits: list[SplitSummary]
    n_isolated_atoms: int
    elements: dict[str, int]
    keys: dict[str, dict[str, int]]
    keys_present: list[str]
    reference_energies: ReferenceEnergies
    pairs: PairStatistics
    duplicates: Duplicates
    warnings: list[str]

    def neighbors_within(self, radius: float) -> float:
        """Return the mean number of neighbors of a training atom within `radius` (Å)."""
        return self.pairs.neighbors_within(radius)


def data_report(dataset: DataSet) -> DataReport:
    """Look at every frame once and collect what its reader should know before training."""
    frames = [f for split in dataset.splits.values() for f in split]
    pairs = pair_statistics(dataset.train, dataset.elements)
    duplicates = find_duplicates(dataset.splits)
    counts = Counter(symbol for f in dataset.train for symbol in f.atoms.get_chemical_symbols())
    return DataReport(
        splits=[summarize(name, split) for name, split in dataset.splits.items()],
        n_isolated_atoms=len(dataset.isolated_atoms),
        elements={symbol: counts[symbol] for symbol in dataset.elements},
        keys=_keys_used(frames),
        keys_present=sorted({key for f in frames for key in f.keys_present}),
        reference_energies=dataset.reference_energies,
        pairs=pairs,
        duplicates=duplicates,
        warnings=[
            *label_warnings(dataset.train, dataset.reference_energies),
            *_split_warnings(dataset),
            *_duplicate_warnings(duplicates),
            *_distance_warnings(pairs.shortest, dataset.elements),
        ],
    )


def summarize(name: str, frames: Sequence[Frame]) -> SplitSummary:
    """Summarize one split; ranges without labels are NaN."""
    energies = np.array([f.energy / len(f) for f in frames if f.energy is not None])
    forces = [np.linalg.norm(f.forces, axis=1) for f in frames if f.forces is not None]
    norms = np.concatenate(forces) if forces else np.array([])
    stresses = [np.abs(f.stress).max() for f in frames if f.stress is not None]
    return SplitSummary(
        name=name,
        n_frames=len(frames),
        n_atoms=sum(len(f) for f in frames),
        n_labels={label: sum(f.has(label) for f in frames) for label in LABELS},
        energy_per_atom=(energies.min(), energies.max()) if len(energies) else (_NEVER_SEEN, _NEVER_SEEN),
        force_rms=float(np.sqrt(np.mean(norms**2) / 3)) if len(norms) else _NEVER_SEEN,
        force_max=float(norms.max()) if len(norms) else _NEVER_SEEN,
        stress_max=float(max(stresses)) if stresses else _NEVER_SEEN,
        config_types=dict(Counter(f.config_type for f in frames if f.config_type).most_common()),
    )


def _keys_used(frames: Sequence[Frame]) -> dict[str, dict[str, int]]:
    return {label: dict(Counter(f.label_keys[label] for f in frames if label in f.label_keys)) for label in LABELS}


def _split_warnings(dataset: DataSet) -> list[str]:
    """Labels that training has and another split lacks altogether cannot be checked there."""
    counts = dataset.label_counts()
    return [
        f"no {name} frame carries {label}, which training frames have: errors of it cannot be given for that split"
        for name in ("validation", "test")
        for label in LABELS
        if dataset.splits[name] and counts["train"][label] and not counts[name][label]
    ]


def _duplicate_warnings(duplicates: Duplicates) -> list[str]:
    warnings = [
        f"{count} structure(s) occur both in {first} and {second}: errors of {second} will look too good "
        f"({'; '.join(duplicates.examples)})"
        for (first, second), count in duplicates.across.items()
    ]
    inside = {name: count for name, count in duplicates.inside.items() if count}
    if inside:
        listed = ", ".join(f"{count} in {name}" for name, count in inside.items())
        warnings.append(f"repeated structures: {listed} ({'; '.join(duplicates.examples)})")
    if duplicates.n_contradicting:
        warnings.append(f"{duplicates.n_contradicting} repeated structure(s) carry different energies")
    return warnings


def _distance_warnings(shortest: np.ndarray, elements: Sequence[str]) -> list[str]:
    seen = np.where(shortest > 0.0, shortest, np.inf)
    first, second = divmod(int(np.argmin(seen)), len(elements))
    if seen[first, second] >= _SHORTEST_PLAUSIBLE:
        return []
    return [
        f"{elements[first]} and {elements[second]} come as close as {seen[first, second]:.3f} Å: are "
        "positions and cell in Å?"
    ]
