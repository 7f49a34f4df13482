"""`panna-plus info`: the card on one screen."""

import json
import os
import subprocess
import sys

import pytest

from panna_plus.commands import info
from panna_plus.commands.main import main
from panna_plus.model_file import read_model
from panna_plus.training.run import write_results
from panna_plus.training.run_directory import RunDirectory
from tests.training.small_runs import environment, prepared_run


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    run, prepared = prepared_run(data, epochs=2)
    prepared.trainer.fit()
    write_results(run, prepared, RunDirectory(folder))
    return folder / "model.pt"


def test_card_fits_one_screen_and_names_what_matters(model, capsys):
    assert main(["info", str(model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    assert len(lines) < 40
    card = read_model(model).card
    for expected in ("Cu Au", "4.4 Å", f"{card['n_parameters']} (float32)", "Au-Au", "MAE test", "meV/atom", "seed"):
        assert expected in text, expected
    assert f"Cu {card['reference_energies']['Cu']:.6f} eV" in text


def test_whole_card_as_json(model, capsys):
    assert main(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_model(model).card


def test_a_damaged_file_is_refused(model, tmp_path, capsys):
    content = bytearray(model.read_bytes())
    start = content.index(b"weights.safetensors") + 4000
    content[start] ^= 1
    (tmp_path / "bad.pt").write_bytes(content)
    assert main(["info", str(tmp_path / "bad.pt")]) == 4
    assert capsys.readouterr().err.startswith("panna-plus: error: ")


def test_info_does_not_load_torch(model):
    code = "import sys; from panna_plus.commands.main import main; main(['info', sys.argv[1]]); "
    code += "print('torch' in sys.modules)"
    arguments = [sys.executable, "-c", code, str(model)]
    result = subprocess.run(arguments, capture_output=True, text=True, env=environment(), timeout=60)
    assert result.stdout.splitlines()[-1] == "False"


def test_a_failure_of_the_operating_system_exits_with_6(model, monkeypatch, capsys):
    def full(_args):
        raise OSError(28, "No space left on device", "run/model.pt")

    monkeypatch.setattr(info, "run", full)
    assert main(["info", str(model)]) == 6
    assert "No space left on device: 'run/model.pt'" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(model):
    """As in `panna-plus info model.pt | head -1`, with a reader that never reads."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "panna_plus.commands.main", "info", str(model), "--json"]
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, env=environment())
    assert done.returncode == 141
    assert done.stderr == ""
