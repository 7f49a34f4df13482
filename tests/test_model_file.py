"""Reading, writing and refusing model files."""

import io
import json
import os
import stat
import struct
import zipfile

import numpy as np
import pytest

from panna_plus.errors import ModelFileError
from panna_plus.model_file import archive_bytes, read_model, write_atomically

CARD = {
    "format_version": 1,
    "family": "panna",
    "elements": ["H", "O"],
    "cutoff": 4.5,
    "family_parameters": {"a": [1, 2]},
    "note": "Å",
}
ARRAYS = {
    "b/weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([1.0, -1e-300]),
    "empty": np.zeros((0, 3)),
}


def script_bytes():
    """Return an archive like that of TorchScript, with a member that must not be kept."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", b"pickle" * 9)
        archive.writestr("model/code/m.py", b"code", zipfile.ZIP_DEFLATED)
        archive.writestr("model/code/m.py.debug_pkl", b"/home/somebody/secret")
        archive.writestr("model/version", b"3\n")
    return buffer.getvalue()


@pytest.fixture
def content():
    return archive_bytes(script_bytes(), CARD, ARRAYS)


@pytest.fixture
def path(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    return tmp_path / "model.pt"


def test_everything_comes_back(path):
    model = read_model(path)
    assert {k: model.card[k] for k in CARD} == CARD
    assert model.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert model.arrays[name].dtype == array.dtype
        assert (model.arrays[name] == array).all()
        assert model.arrays[name].shape == array.shape
    assert model.path == str(path)
    assert model.card["arrays"]["b/weight"] == {"shape": [2, 3], "dtype": "F32"}


def test_writing_is_reproducible_and_keeps_no_paths(content):
    reordered = dict(reversed(list(ARRAYS.items())))
    assert archive_bytes(script_bytes(), CARD, reordered) == content
    assert b"secret" not in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.read("model/data.pkl") == b"pickle" * 9
        assert archive.read("model/code/m.py") == b"code"


def test_stored_members_start_at_multiples_of_64_bytes(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        stored = [i for i in archive.infolist() if i.compress_type == zipfile.ZIP_STORED]
    assert len(stored) == 4
    for info in stored:
        name_length, extra_length = struct.unpack_from("<HH", content, info.header_offset + 26)
        assert (info.header_offset + 30 + name_length + extra_length) % 64 == 0


def test_absent_file_and_folder_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="there is no model file"):
        read_model(tmp_path / "absent.pt")
    with pytest.raises(ModelFileError, match="cannot read"):
        read_model(tmp_path)


def test_truncation_is_refused(path, content):
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.pt"):
            read_model(path)


def member_ranges(content):
    """Return the byte ranges of card and weights."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if "/extra/" in info.filename:
                name_length, extra_length = struct.unpack_from("<HH", content, info.header_offset + 26)
                start = info.header_offset + 30 + name_length + extra_length
                yield start, start + info.file_size


def test_every_flipped_bit_of_card_and_weights_is_noticed(path, content):
    generator = np.random.default_rng(0)
    n_flips = 0
    for start, end in member_ranges(content):
        for position in generator.integers(start, end, 100):
            damaged = bytearray(content)
            damaged[position] ^= 1 << generator.integers(8)
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError):
                read_model(path)
            n_flips += 1
    assert n_flips == 200


def test_random_damage_never_crashes(path, content):
    generator = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(content)
        for position in generator.integers(0, len(content), 4):
            damaged[position] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            model = read_model(path)
        except ModelFileError:
            continue
        assert (model.arrays["a"] == ARRAYS["a"]).all()


def rewritten(content, change):
    """Return the archive with its members passed through `change(name, data) -> list of (name, data, compression)`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        for info in source.infolist():
            for name, data, compression in change(info.filename, source.read(info)):
                target.writestr(name, data, compression)
    return buffer.getvalue()


def card_changed(content, change):
    def edit(name, data):
        if name.endswith("card.json"):
            card = json.loads(data)
            data = json.dumps(change(card)).encode()
        return [(name, data, zipfile.ZIP_STORED)]

    return rewritten(content, edit)


def without(card, key):
    return {k: v for k, v in card.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: without(c, "elements"), "card key 'elements' is missing"),
        (lambda c: c | {"cutoff": "4"}, "card key 'cutoff' is missing or wrong: '4'"),
        (lambda c: c | {"format_version": 2}, "has format 2, this version reads 1: upgrade"),
        (lambda c: c | {"weights_sha256": "0" * 64}, "weights do not match the card"),
        (lambda c: c | {"arrays": {}}, "arrays of the file differ"),
        (lambda c: [1], "must be a JSON object"),
    ],
)
def test_card_that_does_not_fit_is_refused(path, content, change, message):
    path.write_bytes(card_changed(content, change))
    with pytest.raises(ModelFileError, match=message):
        read_model(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "a key occurs twice"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b" " * 16_000_001, "too many"),
        (b"1" * 5000, "not valid JSON"),
    ],
)
def test_card_that_is_no_card_is_refused(path, content, text, message):
    path.write_bytes(rewritten(content, lambda n, d: [(n, text if n.endswith("card.json") else d, zipfile.ZIP_STORED)]))
    with pytest.raises(ModelFileError, match=message):
        read_model(path)


def test_missing_compressed_and_doubled_members_are_refused(path, content):
    def missing(name, data):
        return [] if name.endswith("safetensors") else [(name, data, zipfile.ZIP_STORED)]

    def compressed(name, data):
        return [(name, data, zipfile.ZIP_DEFLATED)]

    def second_root(name, data):
        again = [("other/extra/card.json", data, zipfile.ZIP_STORED)] if name.endswith("card.json") else []
        return [(name, data, zipfile.ZIP_STORED), *again]

    for change, message in (
        (missing, "holds no 'weights.safetensors'"),
        (compressed, "is compressed, expected it stored"),
        (second_root, "holds no 'card.json'"),
    ):
        path.write_bytes(rewritten(content, change))
        with pytest.raises(ModelFileError, match=message):
            read_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_doubled_names_are_refused(path, content):
    path.write_bytes(rewritten(content, lambda n, d: [(n, d, zipfile.ZIP_STORED)] * 2))
    with pytest.raises(ModelFileError, match="holds a member name twice"):
        read_model(path)


def test_too_many_members_are_refused(path, content):
    with zipfile.ZipFile(path, "a") as archive:
        for k in range(10_001):
            archive.writestr(f"model/{k}", b"")
    with pytest.raises(ModelFileError, match="at most 10000"):
        read_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(path, value):
    path.write_bytes(archive_bytes(script_bytes(), CARD, ARRAYS | {"a": np.array([1.0, value])}))
    with pytest.raises(ModelFileError, match="array 'a' holds NaN or infinity"):
        read_model(path)


def test_a_plain_torchscript_file_is_refused(path):
    path.write_bytes(script_bytes())
    with pytest.raises(ModelFileError, match="not a panna_plus model"):
        read_model(path)


def test_atomic_writing_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644

    def fail(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
