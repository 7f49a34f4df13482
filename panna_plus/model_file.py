"""Reading and writing `model.pt`: one TorchScript archive with a JSON card and raw weights inside.

The format is described in docs/reference/model_file.md. Reading executes nothing: the archive is opened as a zip file
and only the card and the weights are taken from it.
"""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from panna_plus.errors import ModelFileError, require

FORMAT_VERSION = 1
CARD_MEMBER = "card.json"
WEIGHTS_MEMBER = "weights.safetensors"
MAX_MEMBERS = 10_000
MAX_CARD_BYTES = 16_000_000
REQUIRED_KEYS: dict[str, type | tuple[type, ...]] = {
    "format_version": int,
    "family": str,
    "elements": list,
    "cutoff": (int, float),
    "family_parameters": dict,
    "arrays": dict,
    "weights_sha256": str,
}
_DTYPE_NAMES = {"float32": "F32", "float64": "F64"}


@dataclass(frozen=True)
class ModelFile:
    """Content of a model file: the card and the arrays by name."""

    card: dict[str, Any]
    arrays: dict[str, np.ndarray]
    path: str


def read_model(path: str | Path) -> ModelFile:
    """Read card and weights of a model file.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, of a newer format, or not a panna_plus model.
    """
    members = read_members(path)
    card = parse_card(members[CARD_MEMBER], path)
    weights = members[WEIGHTS_MEMBER]
    found = hashlib.sha256(weights).hexdigest()
    require(
        found == card["weights_sha256"],
        ModelFileError,
        f"'{path}': the weights do not match the card (SHA-256 {found[:12]}..., expected "
        f"{card['weights_sha256'][:12]}...): the file is damaged, export or copy it again",
    )
    return ModelFile(card, parse_weights(weights, card, path), str(path))


def read_members(path: str | Path) -> dict[str, bytes]:
    """Return the bytes of the card and of the weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _member(archive, name, path) for name in (CARD_MEMBER, WEIGHTS_MEMBER)}
    except FileNotFoundError as error:
        raise ModelFileError(f"there is no model file '{path}'") from error
    except OSError as error:
        raise ModelFileError(f"cannot read the model file '{path}': {error}") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(
            f"'{path}' is not a complete model file ({error}): expected the model.pt of an export, copy it again"
        ) from error


def _member(archive: zipfile.ZipFile, name: str, path: str | Path) -> bytes:
    """Read `<root>/extra/<name>`: present once, stored uncompressed, with the right CRC-32."""
    infos = archive.infolist()
    names = [i.filename for i in infos]
    require(len(infos) <= MAX_MEMBERS, ModelFileError, f"'{path}' has {len(infos)} members, at most {MAX_MEMBERS}")
    require(len(set(names)) == len(names), ModelFileError, f"'{path}' holds a member name twice: it was tampered with")
    found = [i for i in infos if i.filename.split("/")[1:] == ["extra", name]]
    require(
        len(found) == 1,
        ModelFileError,
        f"'{path}' holds no '{name}': it is not a panna_plus model (a plain TorchScript file, or one of another code)",
    )
    require(
        found[0].compress_type == zipfile.ZIP_STORED,
        ModelFileError,
        f"'{path}': member '{name}' is compressed, expected it stored: export the model again",
    )
    return archive.read(found[0])


def parse_card(content: bytes, path: str | Path) -> dict[str, Any]:
    """Return the card, its keys and types checked."""
    require(len(content) <= MAX_CARD_BYTES, ModelFileError, f"'{path}': the card has {len(content)} bytes, too many")
    try:
        card = json.loads(content.decode("utf-8"), object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"'{path}': the card is not valid JSON: {error}") from error
    require(isinstance(card, dict), ModelFileError, f"'{path}': the card must be a JSON object")
    for key, kind in REQUIRED_KEYS.items():
        found = card.get(key)
        require(isinstance(found, kind), ModelFileError, f"'{path}': card key '{key}' is missing or wrong: {found!r}")
    require(
        card["format_version"] == FORMAT_VERSION,
        ModelFileError,
        f"'{path}' has format {card['format_version']}, this version reads {FORMAT_VERSION}: upgrade panna_plus",
    )
    return card


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key occurs twice: {sorted(k for k in set(keys) if keys.count(k) > 1)}")
    return dict(pairs)


def parse_weights(content: bytes, card: dict[str, Any], path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays; names, shapes, types and finiteness are checked against the card."""
    try:
        arrays = load_safetensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(f"'{path}': the weights are not in safetensors layout: {error}") from error
    require(
        describe_arrays(arrays) == card["arrays"],
        ModelFileError,
        f"'{path}': the arrays of the file differ from those the card lists: the file was put together from two models",
    )
    for name, array in arrays.items():
        require(bool(np.isfinite(array).all()), ModelFileError, f"'{path}': array '{name}' holds NaN or infinity")
    return arrays


def describe_arrays(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the card's table of arrays: name -> shape and dtype."""
    return {
        name: {"shape": list(a.shape), "dtype": _DTYPE_NAMES.get(a.dtype.name, a.dtype.name)}
        for name, a in sorted(arrays.items())
    }


def archive_bytes(script: bytes, card: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Return a complete model file.

    Parameters
    ----------
    script : bytes
        A TorchScript archive, as `torch.jit.save` writes it into a buffer.
    card : dict
        Without `arrays` and `weights_sha256`, which are added here.
    arrays : dict of float32 or float64 arrays
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in sorted(arrays.items())}
    weights = save_safetensors(arrays)
    card = {**card, "arrays": describe_arrays(arrays), "weights_sha256": hashlib.sha256(weights).hexdigest()}
    text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8")
    extra = {CARD_MEMBER: text, WEIGHTS_MEMBER: weights}
    return _repacked(script, extra)


def _repacked(script: bytes, extra: dict[str, bytes]) -> bytes:
    """Add the extra members to a TorchScript archive, byte for byte reproducible.

    The debug members are dropped: they hold source paths of the exporting machine.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(script)) as source, zipfile.ZipFile(buffer, "w") as target:
        root = source.namelist()[0].split("/")[0]
        for name, content in extra.items():
            _add(target, f"{root}/extra/{name}", content, zipfile.ZIP_STORED)
        for info in source.infolist():
            if not info.filename.endswith(".debug_pkl"):
                _add(target, info.filename, source.read(info), info.compress_type)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes, compression: int) -> None:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = compression
    # Data on 64-byte boundaries, as torch writes it, so that tensors can be mapped: the extra field fills the gap.
    if compression == zipfile.ZIP_STORED and archive.fp is not None:
        start = archive.fp.tell() + 30 + len(name.encode()) + 4
        padding = -start % 64
        info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    archive.writestr(info, content)


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write a file so that `path` holds either its old content or all of the new one, even after a crash."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
