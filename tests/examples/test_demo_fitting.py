import json

import fitting
import pytest
import yaml
from rich.console import Console

from panna_plus.commands.main import main
from panna_plus.config import load_yaml
from panna_plus.training.config import load_run_config


@pytest.fixture
def trained(tmp_path):
    """A folder as a training leaves it."""
    (tmp_path / "model.pt").write_bytes(b"weights")
    (tmp_path / "metrics.csv").write_text("epoch\n")
    made = fitting.fingerprint() | {"model": fitting.digest_of([tmp_path / "model.pt"])}
    (tmp_path / "made_from.json").write_text(json.dumps(made))
    return tmp_path


def is_skipped(folder) -> bool:
    return fitting.is_up_to_date(folder, folder / "made_from.json", fitting.fingerprint())


def test_training_is_skipped_for_the_same_inputs(trained, monkeypatch, capsys):
    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(fitting, "panna_plus_command", refuse)
    assert fitting.train(Console(), trained) is False
    assert "Training skipped" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["CONFIG", "TRAIN", "TEST"])
def test_another_input_trains_again(trained, tmp_path, monkeypatch, name):
    changed = tmp_path / "changed"
    changed.write_bytes(getattr(fitting, name).read_bytes() + b"\n")
    monkeypatch.setattr(fitting, name, changed)
    assert not is_skipped(trained)


def test_another_model_or_a_damaged_record_trains_again(trained):
    assert is_skipped(trained)
    record = (trained / "made_from.json").read_text()
    (trained / "made_from.json").write_text(record[:-5])
    assert not is_skipped(trained)
    (trained / "made_from.json").write_text(record)
    (trained / "model.pt").write_bytes(b"other weights")
    assert not is_skipped(trained)


def test_a_training_that_fails_leaves_no_record(trained, monkeypatch):
    (trained / "model.pt").write_bytes(b"other weights")

    def fail(*_):
        raise RuntimeError("panna-plus train ended with exit code 3")

    monkeypatch.setattr(fitting, "panna_plus_command", fail)
    with pytest.raises(RuntimeError, match="exit code 3"):
        fitting.train(Console(), trained)
    assert not (trained / "made_from.json").exists()


def test_config_is_what_init_makes(tmp_path):
    assert load_run_config(str(fitting.CONFIG), []).data.train == "data/train.xyz"
    made = tmp_path / "config.yaml"
    assert main(["init", str(fitting.TRAIN), "--test", str(fitting.TEST), "-o", str(made)]) == 0
    ours, theirs = load_yaml(fitting.CONFIG), load_yaml(made)
    for content in (ours, theirs):
        del content["data"]["train"], content["data"]["test"]
    assert yaml.safe_dump(ours) == yaml.safe_dump(theirs)
