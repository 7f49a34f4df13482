"""Files to labelled frames."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ase import Atoms

from panna_plus.data.config import AUTO, NONE, LabelKeys
from panna_plus.data.files import read_atoms
from panna_plus.data.frame import Frame
from panna_plus.data.geometry_checks import check_geometry
from panna_plus.data.label_search import keys_present
from panna_plus.data.labels import read_labels
from panna_plus.errors import DataError


def read_frames(
    paths: str | Path | Sequence[str | Path], keys: LabelKeys | None = None, need_keys: bool = True
) -> list[Frame]:
    """Read labelled structures from one or several files.

    Parameters
    ----------
    paths : path or sequence of paths
        Extended XYZ and everything `ase.io.read` knows; .xz, .gz and .bz2 are decompressed first.
    keys : LabelKeys, optional
        Where the labels are; by default the usual names are tried.
    need_keys : bool
        Whether a key that `keys` names must exist in at least one frame.

    Raises
    ------
    DataError
        Naming file, frame and key of whatever is malformed, not finite or contradictory.
    """
    keys = keys or LabelKeys()
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    frames = [frame for path in paths for frame in _frames_of(path, keys)]
    if need_keys:
        _check_named_keys(keys, frames, ", ".join(str(p) for p in paths))
    return frames


def _frames_of(path: str | Path, keys: LabelKeys) -> Iterable[Frame]:
    for number, atoms in enumerate(read_atoms(path)):
        yield frame_from_atoms(atoms, keys, f"{path} frame {number}")


def frame_from_atoms(atoms: Atoms, keys: LabelKeys, source: str) -> Frame:
    """Build a frame; labels are read before the calculator that carries some of them is taken off."""
    where = f"{source} (counted from 0)"
    check_geometry(atoms, where)
    labels, present = read_labels(atoms, keys, where), keys_present(atoms)
    bare = atoms.copy()
    bare.calc = None
    return Frame(
        atoms=bare,
        energy=labels.energy,
        forces=labels.forces,
        stress=labels.stress,
        source=source,
        config_type=str(atoms.info.get("config_type", "")),
        label_keys=labels.keys,
        keys_present=present,
        notes=labels.notes,
    )


def all_keys(frames: Iterable[Frame]) -> list[str]:
    """Return every key that occurs in some frame, sorted."""
    return sorted({key for frame in frames for key in frame.keys_present})


def did_you_mean(key: str, present: Sequence[str]) -> str:
    """Return ", did you mean 'x'?" for the nearest key present, or nothing."""
    near = difflib.get_close_matches(key, present, n=1, cutoff=0.6)
    return f", did you mean '{near[0]}'?" if near else ""


def _check_named_keys(keys: LabelKeys, frames: Sequence[Frame], files: str) -> None:
    present = all_keys(frames)
    for label in ("energy", "forces", "stress", "virial"):
        key = getattr(keys, label)
        if key not in (AUTO, NONE) and key not in present:
            raise DataError(
                f"data.keys.{label}: no frame of {files} has the key '{key}'{did_you_mean(key, present)} "
                f"(keys present: {', '.join(present) or 'none'})"
            )
