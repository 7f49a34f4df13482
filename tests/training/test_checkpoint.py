"""Checkpoints: exact, whole or not used at all, and tied to their run."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from panna_plus.errors import ConfigError, DataError
from panna_plus.training import checkpoint as checkpoints
from panna_plus.training.checkpoint import check_identity, latest_checkpoint, restore, write_checkpoint
from panna_plus.training.run_directory import opened
from tests.training.small_runs import environment, prepared_run


def stopping_after(n_steps):
    return lambda trainer: trainer.position.step < n_steps


@pytest.fixture
def written(data, tmp_path):
    """Two checkpoints of one run in a folder, and the run."""
    run, prepared = prepared_run(data, epochs=6)
    for n_steps in (3, 6):
        prepared.trainer.fit(on_step=stopping_after(n_steps))
        write_checkpoint(tmp_path, prepared.trainer, run.identity)
    return run, prepared, tmp_path


@pytest.mark.parametrize("n_steps", [1, 4, 9, 15, 24])
def test_resumed_training_equals_uninterrupted_bit_for_bit(data, tmp_path, n_steps):
    """Stops lie at the first step, inside epochs, at ends of epochs with and without validation, and at the end."""
    run, whole = prepared_run(data, epochs=6)
    assert whole.trainer.n_steps == 24
    whole.trainer.fit()
    _, first = prepared_run(data, epochs=6)
    assert not first.trainer.fit(on_step=stopping_after(n_steps))
    write_checkpoint(tmp_path, first.trainer, run.identity)
    _, second = prepared_run(data, epochs=6)
    random.seed(1)
    torch.manual_seed(1)
    restore(second.trainer, latest_checkpoint(tmp_path))
    assert second.trainer.position.step == n_steps
    assert second.trainer.fit()
    for part in ("potential", "averaged"):
        expected, found = getattr(whole.trainer, part).state_dict(), getattr(second.trainer, part).state_dict()
        assert all(torch.equal(expected[n], found[n]) for n in expected)
    assert second.trainer.best.score == whole.trainer.best.score
    assert all(torch.equal(t, second.trainer.best.state[n]) for n, t in whole.trainer.best.state.items())
    times = ("minutes",)
    plain = [[{k: v for k, v in r.items() if k not in times} for r in t.trainer.history] for t in (whole, second)]
    assert plain[0] == plain[1]


def test_global_random_states_come_back(written):
    run, prepared, folder = written
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    write_checkpoint(folder, prepared.trainer, run.identity)
    expected = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]  # noqa: NPY002
    restore(prepared.trainer, latest_checkpoint(folder))
    found = torch.rand(3), np.random.rand(3), [random.random() for _ in range(3)]  # noqa: NPY002
    assert torch.equal(expected[0], found[0])
    assert np.array_equal(expected[1], found[1])
    assert expected[2] == found[2]


def test_only_the_last_two_are_kept(written):
    run, prepared, folder = written
    prepared.trainer.fit(on_step=stopping_after(9))
    write_checkpoint(folder, prepared.trainer, run.identity)
    assert sorted(p.name for p in folder.iterdir()) == [
        f"step-{n:010d}{suffix}" for n in (6, 9) for suffix in (".json", ".safetensors")
    ]


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(written, suffix):
    """Every one of many flipped bits and truncations is found, and the one before is taken."""
    _, _, folder = written
    path = folder / f"step-{6:010d}{suffix}"
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [content[: len(content) * k // 8] for k in range(8)]
    for _ in range(40):
        position, bit = rng.integers(len(content)), rng.integers(8)
        damaged.append(content[:position] + bytes([content[position] ^ (1 << bit)]) + content[position + 1 :])
    for bad in damaged:
        path.write_bytes(bad)
        with pytest.warns(UserWarning, match="damaged"):
            found = latest_checkpoint(folder)
        assert found.state["position"]["step"] == 3
    path.write_bytes(content)
    assert latest_checkpoint(folder).state["position"]["step"] == 6


def test_no_whole_checkpoint_is_an_error(written):
    _, _, folder = written
    for path in folder.glob("*.json"):
        path.write_bytes(b"{}")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(DataError, match="none of the 2 checkpoints"):
        latest_checkpoint(folder)


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None


def test_another_configuration_or_other_data_are_refused_with_what_changed(written, data):
    run, _, folder = written
    found = latest_checkpoint(folder)
    check_identity(found, run.identity)
    changed, _ = prepared_run(data, epochs=7, learning_rate=1e-3)
    with pytest.raises(ConfigError) as caught:
        check_identity(found, changed.identity)
    assert "training.epochs: was 6, is 7" in str(caught.value)
    assert "training.learning_rate: was 0.005, is 0.001" in str(caught.value)
    assert "--force-resume" in str(caught.value)
    moved = checkpoints.RunIdentity(run.identity.config, "another hash")
    with pytest.raises(ConfigError, match="structures or labels"):
        check_identity(found, moved)


def test_device_and_output_may_change(written, data):
    run, _, folder = written
    same, _ = prepared_run(data, epochs=6, device="cpu", checkpoint_minutes=9.0)
    check_identity(latest_checkpoint(folder), same.identity)
    assert same.identity != run.identity


def test_weights_of_another_shape_are_refused(written, data):
    _, _, folder = written
    found = latest_checkpoint(folder)
    found.tensors["weights/networks.0.0.weight"] = torch.zeros(3, 3)
    _, prepared = prepared_run(data, epochs=6)
    with pytest.raises(ConfigError, match="do not fit"):
        restore(prepared.trainer, found)


def test_a_full_disk_leaves_the_previous_checkpoint(written, monkeypatch):
    run, prepared, folder = written
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    prepared.trainer.fit(on_step=stopping_after(9))

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(folder, prepared.trainer, run.identity)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


WRITER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from panna_plus.training.checkpoint import write_checkpoint
from tests.training.small_runs import prepared_run

run, prepared = prepared_run(Path(sys.argv[1]), epochs=100000)
def on_step(trainer):
    write_checkpoint(Path(sys.argv[2]), trainer, run.identity)
    print(trainer.position.step, flush=True)
    return True
prepared.trainer.fit(on_step)
"""


@pytest.mark.parametrize("n_kills", [2, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_while_writing_leaves_a_whole_checkpoint(data, tmp_path, n_kills):
    """The child does little but write checkpoints, so that most kills fall into a write."""
    rng = np.random.default_rng(n_kills)
    for number in range(n_kills):
        folder = tmp_path / str(number)
        command = [sys.executable, "-c", WRITER, str(data), str(folder)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as child:
            for _ in range(3):
                last = int(child.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.05))
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split()
        last = int(rest[-1]) if rest else last
        _, prepared = prepared_run(data, epochs=100000)
        restore(prepared.trainer, latest_checkpoint(folder))
        assert last - 1 <= prepared.trainer.position.step <= last + 1
        write_checkpoint(folder, prepared.trainer, checkpoints.RunIdentity({}, ""))
        assert not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_manifest_is_plain_json_with_the_configuration(written):
    run, _, folder = written
    state = json.loads((folder / f"step-{6:010d}.json").read_text())["state"]
    assert state["config"]["training"]["epochs"] == 6
    assert state["data_hash"] == run.dataset.fingerprint()


def test_a_folder_in_use_is_refused(tmp_path):
    config = tmp_path / "config.yaml"
    with (
        opened(tmp_path / "run", config, is_restart=False, overwrite=False),
        pytest.raises(ConfigError, match=f"in use by another training .process {os.getpid()}"),
        opened(tmp_path / "run", config, is_restart=True, overwrite=False),
    ):
        pass


def test_a_folder_with_a_run_is_entered_only_on_request(tmp_path):
    config, folder = tmp_path / "config.yaml", tmp_path / "run"
    folder.mkdir()
    (folder / "model.pt").write_text("precious")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="already holds a run"), opened(folder, config, False, False):
        pass
    with opened(folder, config, True, False):
        assert (folder / "model.pt").read_text() == "precious"
    with opened(folder, config, False, True):
        assert not (folder / "model.pt").exists()
        assert (folder / "notes.txt").read_text() == "mine"


def test_the_users_own_configuration_is_never_overwritten(tmp_path):
    (tmp_path / "config.yaml").write_text("precious")
    with (
        pytest.raises(ConfigError, match="would be overwritten"),
        opened(tmp_path, tmp_path / "config.yaml", False, True),
    ):
        pass
