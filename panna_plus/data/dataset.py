"""Training, validation and test structures with everything derived from them before a model exists."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panna_plus.data.config import DataConfig
from panna_plus.data.frame import LABELS, Frame, is_marked_isolated
from panna_plus.data.reading import all_keys, did_you_mean, read_frames
from panna_plus.data.reference_energies import ReferenceEnergies, find_reference_energies
from panna_plus.data.splits import split_frames
from panna_plus.errors import DataError, require


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labelled structures, split.

    Attributes
    ----------
    train, validation, test : list of Frame
        Without isolated atoms; `test` may be empty.
    isolated_atoms : list of Frame
        One-atom frames of all files; those of the training and validation files give reference energies.
    elements : list of str
        Elements of the training frames, by atomic number: the species order of the model.
    reference_energies : ReferenceEnergies
    seed : int
        Seed of the splits.
    """

    train: list[Frame]
    validation: list[Frame]
    test: list[Frame]
    isolated_atoms: list[Frame]
    elements: list[str]
    reference_energies: ReferenceEnergies
    seed: int

    @property
    def splits(self) -> dict[str, list[Frame]]:
        """The splits by name, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def label_counts(self) -> dict[str, dict[str, int]]:
        """Return how many frames of each split carry each label: ``counts[split][label]``."""
        return {
            name: {label: sum(f.has(label) for f in frames) for label in LABELS} for name, frames in self.splits.items()
        }

    def split_record(self) -> dict:
        """Return what reproduces the splits, for JSON: the seed, file and frame number of each frame."""
        return {
            "seed": self.seed,
            "counted_from": 0,
            **{name: [f.source for f in frames] for name, frames in self.splits.items()},
            "isolated_atoms": [f.source for f in self.isolated_atoms],
        }

    def fingerprint(self) -> str:
        """Return a SHA-256 over geometries and labels of all splits, for the provenance of a model."""
        digest = hashlib.sha256()
        for name, frames in self.splits.items():
            digest.update(name.encode())
            for frame in frames:
                _hash_frame(digest, frame)
        return digest.hexdigest()


def load_dataset(config: DataConfig, seed: int, base_directory: str | Path = ".") -> DataSet:
    """Read and split the structures that a configuration names.

    Parameters
    ----------
    config : DataConfig
    seed : int
        Determines the splits that are drawn by fraction.
    base_directory : path
        Where relative paths start.

    Raises
    ------
    DataError, ConfigError
        Naming file, frame and key.
    """
    train, isolated = _read_apart(config.train, config, base_directory, need_keys=True)
    require(
        bool(train),
        DataError,
        f"{_shown(config.train)}: all structures are isolated atoms, nothing to train on",
    )
    n_read = len(train)
    train, test, isolated_test = _split_or_read(train, config.test, n_read, config, seed, base_directory)
    train, validation, isolated_more = _split_or_read(
        train, config.validation, n_read, config, seed + 1, base_directory
    )
    elements = elements_of(train)
    _refuse_new_elements({"validation": validation, "test": test}, elements)
    energies = find_reference_energies(config.reference_energies, train, isolated + isolated_more, elements)
    atoms_apart = isolated + isolated_more + isolated_test
    return DataSet(train, validation, test, atoms_apart, elements, energies, seed)


def elements_of(frames: Sequence[Frame]) -> list[str]:
    """Return the chemical symbols that occur, by atomic number."""
    symbols = {(z, s) for f in frames for z, s in zip(f.atoms.numbers, f.atoms.get_chemical_symbols(), strict=True)}
    return [symbol for _, symbol in sorted(symbols)]


def check_loss_labels(dataset: DataSet, weights: Mapping[str, float]) -> None:
    """Refuse a loss term without data.

    Parameters
    ----------
    weights : mapping of "energy", "forces", "stress" to float
        Terms with weight 0 need no labels.

    Raises
    ------
    DataError
        If a weighted label is missing in all training frames.
    """
    for label in LABELS:
        if weights.get(label, 0.0) > 0.0 and not any(f.has(label) for f in dataset.train):
            present = all_keys(dataset.train)
            raise DataError(
                f"the loss has weight {weights[label]} for {label}, but none of the {len(dataset.train)} "
                f"training frames has this label{did_you_mean(label, present)} (keys present: "
                f"{', '.join(present) or 'none'}). Name the key in data.keys.{label}, or set the weight of "
                f"{label} to 0"
            )


def _read_apart(
    paths: str | Sequence[str], config: DataConfig, base_directory: str | Path, need_keys: bool
) -> tuple[list[Frame], list[Frame]]:
    """Read files and set isolated atoms apart."""
    paths = [paths] if isinstance(paths, str) else paths
    frames = read_frames([Path(base_directory) / path for path in paths], config.keys, need_keys)
    for frame in frames:
        require(
            len(frame) == 1 or not is_marked_isolated(frame.config_type),
            DataError,
            f"{frame.source} (counted from 0): config_type={frame.config_type} marks one lone atom, found "
            f"{len(frame)} atoms: correct the config_type",
        )
    return [f for f in frames if not f.is_isolated_atom], [f for f in frames if f.is_isolated_atom]


def _split_or_read(
    frames: list[Frame], setting, n_read: int, config: DataConfig, seed: int, base_directory: str | Path
) -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Return the frames left, those of the other split, and isolated atoms of its own files."""
    if setting is None:
        return frames, [], []
    if isinstance(setting, float):
        # The fraction counts from all structures read, also for the second split drawn.
        kept, drawn = split_frames(frames, min(setting * n_read / len(frames), 1.0), seed)
        return [frames[k] for k in kept], [frames[k] for k in drawn], []
    other, isolated = _read_apart(setting, config, base_directory, need_keys=False)
    return frames, other, isolated


def _refuse_new_elements(splits: Mapping[str, Sequence[Frame]], elements: Sequence[str]) -> None:
    for name, frames in splits.items():
        for frame in frames:
            unknown = frame.unknown_elements(elements)
            require(
                not unknown,
                DataError,
                f"{frame.source} (counted from 0, {name} split) holds {', '.join(unknown)}, which no "
                f"training frame has ({', '.join(elements)}): remove the frame or train on that element too",
            )


def _shown(paths: str | Sequence[str]) -> str:
    return paths if isinstance(paths, str) else ", ".join(paths)


def _hash_frame(digest, frame: Frame) -> None:
    atoms = frame.atoms
    for array in (atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, frame.forces, frame.stress):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update(repr(frame.energy).encode())
