"""Damaged and foreign model files: the engine names the file, what it expected and what it found."""

import json
import struct
import zipfile
from io import BytesIO

import numpy as np
import pytest

from panna_plus.errors import ModelFileError
from panna_plus.export import export_model
from panna_plus.model_file import read_model
from panna_plus.native import Engine
from tests.native.model_files import (
    archive_bytes,
    bp_arrays,
    complete_card,
    described,
    mbp_arrays,
    random_model,
    safetensors_bytes,
)
from tests.native.systems import evaluate, rms
from tests.small_model import small_potential, write_unchecked


@pytest.fixture
def parts():
    card, arrays = random_model(["Si", "O"], mbp_arrays(), hidden=(3,))
    return card, arrays


def refusal(tmp_path, content: bytes) -> str:
    """Return the message with which the engine refuses a file."""
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as error:
        Engine(path)
    message = str(error.value)
    assert "broken.pt" in message
    return message


def packed(card, arrays, changes=None) -> bytes:
    weights = safetensors_bytes(arrays)
    return archive_bytes({**complete_card(card, arrays, weights), **(changes or {})}, weights)


def test_an_exported_model_is_read(tmp_path):
    from tests.geometries import crystal, graph_of, predict

    potential = small_potential()
    atoms = crystal(potential.elements)
    export_model(potential, tmp_path / "model.pt", [graph_of(potential, atoms)])
    expected = predict(potential.double(), atoms)
    assert rms(expected.forces.numpy()) > 0.1
    found = evaluate(Engine(tmp_path / "model.pt"), atoms)
    assert found.forces == pytest.approx(expected.forces.numpy(), abs=1e-10)
    assert found.energies == pytest.approx(expected.atomic_energies.numpy(), abs=1e-11 + 1e-15 * 1500)


def test_any_root_directory_and_weights_only(tmp_path, parts):
    weights = safetensors_bytes(parts[1])
    path = tmp_path / "model.pt"
    path.write_bytes(archive_bytes(complete_card(*parts, weights), weights, root="whatever"))
    assert Engine(path).elements == ["Si", "O"]


def test_absent_and_foreign_files(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere.pt' cannot be opened: No such file"):
        Engine(tmp_path / "nowhere.pt")
    with pytest.raises(ModelFileError, match="cannot be read"):
        Engine(tmp_path)
    assert "expected a zip archive" in refusal(tmp_path, b"")
    assert "expected a zip archive" in refusal(tmp_path, b"not a model" * 100)


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.9, 0.999])
def test_truncated(tmp_path, parts, fraction):
    content = packed(*parts)
    assert "no end-of-directory record" in refusal(tmp_path, content[: int(fraction * len(content))])


def test_altered_weights(tmp_path, parts):
    content = bytearray(packed(*parts))
    place = bytes(content).index(b"data_offsets") + 2000
    content[place] ^= 1
    assert "wrong CRC-32" in refusal(tmp_path, bytes(content))


CARD = b"archive/extra/card.json"


def patched(content: bytes, at: int, field: str, value: int) -> bytes:
    """Write one number of a record of the zip format over that which is there; `at` < 0 counts from the end."""
    at += len(content) if at < 0 else 0
    size = struct.calcsize("<" + field)
    return content[:at] + struct.pack("<" + field, value) + content[at + size :]


def entry_of_card(content: bytes) -> int:
    """Where the central directory describes the card: 46 bytes before its name, which comes last there."""
    return content.rindex(CARD) - 46


def zip64_elsewhere(content: bytes) -> bytes:
    """Put a zip64 locator that points nowhere before a record that asks for one."""
    end = content[:-22] + struct.pack("<IIQI", 0x07064B50, 0, 2**40, 1) + content[-22:]
    return patched(end, -22 + 10, "H", 0xFFFF)


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes, int]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content, method in members:
            archive.writestr(name, content, method)
    return buffer.getvalue()


def with_extra(extra: bytes) -> bytes:
    info = zipfile.ZipInfo(CARD.decode())
    info.extra = extra
    return zipped((info, b"{}", zipfile.ZIP_STORED))


def short_zip64_field(_: bytes) -> bytes:
    content = with_extra(struct.pack("<HHI", 1, 4, 0))
    return patched(content, entry_of_card(content) + 24, "I", 0xFFFFFFFF)


def members_with_names(*names: str) -> bytes:
    return zipped(*((name, b"{}", zipfile.ZIP_STORED) for name in names))


ZIP_CASES = {
    "directory elsewhere": (lambda c: patched(c, -22 + 16, "I", 2**31), "the central directory lies outside the file"),
    "too many members": (
        lambda c: patched(c, -22 + 10, "H", 999),
        "the central directory is too short for its entries",
    ),
    "no zip64 locator": (lambda c: patched(c, -22 + 10, "H", 0xFFFF), "the zip64 locator is missing"),
    "zip64 elsewhere": (zip64_elsewhere, "the zip64 end-of-directory record is not where its locator says"),
    "broken entry": (lambda c: patched(c, entry_of_card(c), "I", 0), "a broken entry in the central directory at byte"),
    "long name": (
        lambda c: patched(c, entry_of_card(c) + 28, "H", 60000),
        "an entry of the central directory runs past its end",
    ),
    "name twice": (
        lambda c: members_with_names("a/b", "a/c").replace(b"a/c", b"a/b"),
        "the member 'a/b' appears twice",
    ),
    "two cards": (
        lambda c: members_with_names("a/extra/card.json", "b/extra/card.json"),
        "has two members named .../extra/card.json; export it again",
    ),
    "foreign archive": (
        lambda c: members_with_names("a/data.pkl"),
        "has no member .../extra/card.json: it is not a panna_plus model file (a TorchScript file of another program?)",
    ),
    "broken extra field": (
        lambda c: with_extra(struct.pack("<HH", 7, 100)),
        "a broken extra field of the member 'archive/extra/card.json'",
    ),
    "short zip64 field": (short_zip64_field, "a zip64 field of the member 'archive/extra/card.json' is too short"),
    "compressed card": (
        lambda c: zipped(
            (CARD.decode(), b"{}" * 99, zipfile.ZIP_DEFLATED),
            ("archive/extra/weights.safetensors", b"", zipfile.ZIP_STORED),
        ),
        "must be stored uncompressed and unencrypted, found method 8",
    ),
    "no local header": (
        lambda c: patched(c, entry_of_card(c) + 42, "I", 7),
        "the member 'archive/extra/card.json' has no local header at byte 7",
    ),
    "long member": (
        lambda c: patched(patched(c, entry_of_card(c) + 20, "I", 10**7), entry_of_card(c) + 24, "I", 10**7),
        "the member 'archive/extra/card.json' runs past the end of the data",
    ),
}


@pytest.mark.parametrize("case", ZIP_CASES)
def test_damaged_archives(tmp_path, parts, case):
    damage, message = ZIP_CASES[case]
    assert message in refusal(tmp_path, damage(packed(*parts)))


NO_WEIGHTS = {"dtype": "F64", "shape": [2]}
CARD_CASES = [
    ({"format_version": 2}, "format version 2, this version of panna_plus reads 1 to 1: upgrade"),
    ({"format_version": "1"}, "'format_version': expected a positive integer, found \"1\""),
    ({"family": "gap"}, 'a family that the native engine evaluates (panna, so3krates), found "gap"'),
    ({"elements": ["Si", "Si"]}, "'elements': expected distinct chemical symbols"),
    ({"elements": []}, "'elements': expected a list of symbols"),
    ({"cutoff": 4.7}, "the larger of the two descriptor cutoffs, 4.5999999999999996, found 4.7"),
    ({"cutoff": -1}, "'cutoff': expected a positive number, found -1"),
    ({"n_exchanges": 1}, "expected 0 (the family is local), found 1"),
    ({"units": {"length": "bohr", "energy": "eV"}}, "expected angstrom and eV, found bohr and eV"),
    ({"weights_sha256": "0" * 64}, "SHA-256 of weights.safetensors"),
    ({"arrays": {}}, "an entry in the card key 'arrays', found none"),
    ({"family_parameters": {}}, "'family_parameters.descriptor': expected a value, found nothing"),
    ({"family": 3}, "card key 'family': expected a string, found 3"),
    ({"n_exchanges": -1}, "card key 'n_exchanges': expected a count, found -1"),
    ({"arrays": []}, "card key 'arrays': expected an object, found a list of 0"),
    ({"elements": [f"X{n}" for n in range(1001)]}, "card key 'elements': expected at most 1000, found 1001"),
]


@pytest.mark.parametrize(("change", "message"), CARD_CASES, ids=[next(iter(change)) for change, _ in CARD_CASES])
def test_wrong_cards(tmp_path, parts, change, message):
    assert message in refusal(tmp_path, packed(*parts, change))


def test_cards_that_are_too_long_or_list_other_arrays(tmp_path, parts):
    card, arrays = parts
    weights = safetensors_bytes(arrays)
    text = json.dumps(complete_card(card, arrays, weights)).encode() + b" " * (16 << 20)
    assert "card.json: expected at most 16 MiB, found 16" in refusal(tmp_path, archive_bytes(text, weights))
    listed = {name: described(array) for name, array in arrays.items()}
    for changes, message in (
        ({"more": NO_WEIGHTS}, "array 'more' of the card: expected in weights.safetensors, found nothing"),
        ({"reference_energies": {**NO_WEIGHTS, "dtype": "F32"}}, "expected shape and dtype of the card, found (2) F64"),
    ):
        assert message in refusal(tmp_path, packed(card, arrays, {"arrays": {**listed, **changes}}))


ARRAY_CASES = [
    ("element/Si/layer/0/weight", lambda a: a[:, :-1], "expected shape (-1, 64)"),
    ("element/O/layer/0/bias", lambda a: a[:-1], "expected shape (3) (-1: any), found (2)"),
    ("element/O/feature_scale", lambda a: 0 * a, "'element/O/feature_scale': expected positive values, found 0"),
    ("element/Si/layer/1/weight", lambda a: np.nan * a, "value 0: expected a finite number, found nan"),
    ("reference_energies", lambda a: a[:1], "expected shape (2)"),
    ("shortest_distances", lambda a: a - 9, "expected distances of at least 0"),
    ("descriptor/angular/zeta", lambda a: a * 0.1, "expected exponents from 1 to 10000"),
    ("descriptor/angular/theta", lambda a: a + 3, "expected angles from 0 to pi"),
    ("descriptor/radial/cutoff", lambda a: a * np.inf, "expected a finite number, found inf"),
    ("descriptor/radial/eta", lambda a: -a, "expected values of at least 0"),
    ("element/Si/layer/1/weight", lambda a: np.vstack([a, a]), "expected shape (2)"),
    ("element/Si/layer/0/weight", lambda a: a[:0], "expected 1 to 1000000 rows, found 0"),
    ("descriptor/radial/eta", lambda a: a[None], "'descriptor/radial/eta': expected one dimension, found (1, 8)"),
    ("descriptor/radial/cutoff", lambda a: 0 * a, "expected a positive distance, found 0"),
]


@pytest.mark.parametrize(("name", "change", "message"), ARRAY_CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_arrays(tmp_path, parts, name, change, message):
    card, arrays = parts
    assert message in refusal(tmp_path, packed(card, {**arrays, name: np.ascontiguousarray(change(arrays[name]))}))


def test_arrays_that_fit_each_other_and_nothing_else(tmp_path, parts):
    card, arrays = parts
    last = {
        f"element/Si/layer/1/{name}": np.repeat(arrays[f"element/Si/layer/1/{name}"], 2, 0)
        for name in ("weight", "bias")
    }
    message = "last layer of element Si: expected 1 output, found 2"
    assert message in refusal(tmp_path, packed(card, {**arrays, **last}))
    empty = {name: np.zeros(0) for name in arrays if name.startswith("descriptor/") and arrays[name].size > 1}
    message = "number of descriptor functions: expected 1 to 10000000, found 0"
    assert message in refusal(tmp_path, packed(card, {**arrays, **empty}))
    card, arrays = random_model(["Si"], bp_arrays(), hidden=(3,))
    steep = {"descriptor/angular/lambda": 3 * arrays["descriptor/angular/lambda"]}
    assert "'descriptor/angular/lambda': expected values from -1 to 1" in refusal(
        tmp_path, packed(card, arrays | steep)
    )


STATISTICS = [
    ("deviation", "expected positive values, found 0"),
    ("variances", "expected values of at least 0, found -1"),
    ("ridge", "expected a positive value, found 0"),
]


@pytest.mark.parametrize(("name", "message"), STATISTICS)
def test_wrong_statistics(tmp_path, name, message):
    potential = small_potential()
    file = read_model(write_unchecked(potential, tmp_path / "model.pt"))
    array = f"element/{potential.elements[0]}/training/{name}"
    wrong = np.full_like(file.arrays[array], -1.0 if name == "variances" else 0.0)
    found = refusal(tmp_path, packed(file.card, {**file.arrays, array: wrong}))
    assert f"array '{array}': {message}" in found


def test_missing_array_and_unknown_names(tmp_path, parts):
    card, arrays = parts
    fewer = {n: a for n, a in arrays.items() if n != "element/O/layer/1/bias"}
    assert "array 'element/O/layer/1/bias': expected present, found nothing" in refusal(tmp_path, packed(card, fewer))
    for key, value, message in (
        ("activations", {"Si": ["swish", "linear"], "O": ["silu", "linear"]}, 'linear, found "swish"'),
        ("activations", {"Si": ["silu"], "O": ["silu", "linear"]}, "expected an activation of its own"),
        (
            "activations",
            {"Si": ["silu", "linear"]},
            "'family_parameters.activations.O': expected a value, found nothing",
        ),
        ("activations", {"Si": "silu", "O": []}, 'activations.Si\': expected a list of names, found "silu"'),
        ("members", [{}], "'family_parameters.members': expected a list of 2 to 1000, found a list of 1"),
        ("lone_atom", "maybe", '"reference" or "network", found "maybe"'),
        ("descriptor", {"type": "soap"}, '"mbp" or "bp", found "soap"'),
    ):
        changed = {**card, "family_parameters": {**card["family_parameters"], key: value}}
        assert message in refusal(tmp_path, packed(changed, arrays))


def test_card_that_is_not_json(tmp_path, parts):
    weights = safetensors_bytes(parts[1])
    text = json.dumps(complete_card(*parts, weights))
    for broken, message in (
        (text.replace('"family"', '"cutoff"', 1), 'the key "cutoff" appears twice'),
        (text.replace("4.6", "NaN", 1), "expected a JSON value"),
        ("[" * 100, "nested deeper than 64 levels"),
        ("[]", "expected an object, found a list of 0"),
        (text[:-1], "expected '}', the text ends there"),
    ):
        message_found = refusal(tmp_path, archive_bytes(broken.encode(), weights))
        assert message in message_found and "card.json" in message_found
