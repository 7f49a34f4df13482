"""Damaged and foreign model files: the engine names the file, what it expected and what it found."""

import json

import numpy as np
import pytest

from panna_plus.errors import ModelFileError
from panna_plus.export import export_model
from panna_plus.native import Engine
from tests.native.model_files import archive_bytes, complete_card, mbp_arrays, random_model, safetensors_bytes
from tests.native.systems import evaluate, rms
from tests.small_model import small_potential


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
]


@pytest.mark.parametrize(("change", "message"), CARD_CASES, ids=[next(iter(change)) for change, _ in CARD_CASES])
def test_wrong_cards(tmp_path, parts, change, message):
    assert message in refusal(tmp_path, packed(*parts, change))


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
]


@pytest.mark.parametrize(("name", "change", "message"), ARRAY_CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_wrong_arrays(tmp_path, parts, name, change, message):
    card, arrays = parts
    assert message in refusal(tmp_path, packed(card, {**arrays, name: np.ascontiguousarray(change(arrays[name]))}))


def test_missing_array_and_unknown_names(tmp_path, parts):
    card, arrays = parts
    fewer = {n: a for n, a in arrays.items() if n != "element/O/layer/1/bias"}
    assert "array 'element/O/layer/1/bias': expected present, found nothing" in refusal(tmp_path, packed(card, fewer))
    for key, value, message in (
        ("activations", {"Si": ["swish", "linear"], "O": ["silu", "linear"]}, 'linear, found "swish"'),
        ("activations", {"Si": ["silu"], "O": ["silu", "linear"]}, "expected an activation of its own"),
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
