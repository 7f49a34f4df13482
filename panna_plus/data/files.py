"""From a path to ASE frames, whatever the format and compression."""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import ase.io
from ase import Atoms

from panna_plus.data.extended_xyz import read_extended_xyz
from panna_plus.errors import DataError, require

# Decompressed whole into memory: ASE seeks back for every frame, and each seek decompresses from the start
# again.
_DECOMPRESS = {".xz": lzma.decompress, ".gz": gzip.decompress, ".bz2": bz2.decompress}
_XYZ_SUFFIXES = (".xyz", ".extxyz")


def read_atoms(path: str | Path) -> Iterable[Atoms]:
    """Read all frames of one file, in order.

    Raises
    ------
    DataError
        If the file is missing, damaged, empty or in no format that ASE knows.
    """
    path = Path(path)
    require(
        path.is_file(),
        DataError,
        f"'{path}' is not a file: check the path (it is relative to '{Path.cwd()}')",
    )
    is_compressed = path.suffix in _DECOMPRESS
    inner_name = path.stem if is_compressed else path.name
    if Path(inner_name).suffix.lower() in _XYZ_SUFFIXES:
        frames = list(read_extended_xyz(_text(_content(path), path), str(path)))
    elif is_compressed:
        frames = _read_decompressed(path, inner_name)
    else:
        frames = _read_with_ase(path, str(path))
    require(bool(frames), DataError, f"'{path}' holds no structures")
    return frames


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error
    if path.suffix not in _DECOMPRESS:
        return raw
    try:
        return _DECOMPRESS[path.suffix](raw)
    except (EOFError, OSError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"'{path}' is not a complete {path.suffix} file: {error}") from error


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not UTF-8 text (byte {error.start}): is it really an XYZ file?") from error


def _read_decompressed(path: Path, inner_name: str) -> list[Atoms]:
    """Read another format through a decompressed copy: some of ASE's readers need a path."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / inner_name
        copy.write_bytes(_content(path))
        return _read_with_ase(copy, str(path))


def _read_with_ase(path: Path, shown_path: str) -> list[Atoms]:
    try:
        frames = ase.io.read(path, index=":")
    except Exception as error:  # each of ASE's readers has its own exceptions
        raise DataError(
            f"ASE cannot read '{shown_path}': {type(error).__name__}: {error}. Expected extended XYZ or "
            "another format that ase.io.read recognizes by name or content"
        ) from error
    return frames if isinstance(frames, list) else [frames]
