"""`panna-plus train` as users run it: in a process of its own, with its exit codes, messages and files."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import panna_plus as package
from panna_plus.commands.main import main
from panna_plus.families import load_potential
from panna_plus.graph import graph_from_atoms
from panna_plus.model_file import read_model
from tests.training.small_runs import (
    command,
    environment,
    frames,
    lone_atoms,
    panna_plus,
    write_config,
    write_data,
    write_xyz,
)


@dataclass(frozen=True)
class Outcome:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def train(capsys):
    """Call `panna-plus train` in this process, which saves seconds of imports."""

    def call(*arguments):
        capsys.readouterr()
        code = main(["train", *map(str, arguments)])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a finished training, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    write_data(folder)
    config = write_config(folder, epochs=10)
    result = panna_plus("train", config)
    assert result.returncode == 0, result.stderr
    return folder, config, result.stdout


def test_training_leaves_every_result(trained):
    folder, _, _ = trained
    names = {p.name for p in (folder / "run").iterdir()} - {".lock"}
    assert names == {
        *("model.pt", "config.yaml", "splits.json", "metrics.csv", "errors.json", "errors.md"),
        *("learning_curve.png", "parity.png", "checkpoints"),
    }


def test_output_shows_data_progress_errors_and_next_steps(trained):
    _, _, output = trained
    for text in ("Reference energies", "isolated atom", "epoch     2/10", "Errors, test", "meV/atom", "element Cu"):
        assert text in output, text
    assert re.search(r"panna-plus evaluate .*run/model.pt", output)
    assert re.search(r"pair_coeff \* \* .*run/model.pt Cu Au", output)
    assert "\x1b" not in output


def test_card_tells_errors_and_provenance(trained):
    folder, _, _ = trained
    card = read_model(folder / "run" / "model.pt").card
    errors = json.loads((folder / "run" / "errors.json").read_text())
    assert card["errors"]["test"]["forces"] == errors["splits"]["test"]["all"]["forces"]
    provenance = card["provenance"]
    assert provenance["n_training_frames"] == 16
    assert provenance["label_counts"]["train"]["energy"] == 16
    assert provenance["is_complete"] is True
    assert {"package", "torch", "date", "data_sha256", "config_sha256", "seed", "best_epoch"} <= set(provenance)
    assert set(card["shortest_distances"]) == {"Cu-Cu", "Cu-Au", "Au-Au"}


def test_splits_name_file_and_frame(trained):
    folder, _, _ = trained
    splits = json.loads((folder / "run" / "splits.json").read_text())
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [16, 4, 6]
    assert not set(splits["train"]) & set(splits["validation"])
    assert splits["test"][0].endswith("test.xyz frame 0")


def test_an_existing_run_is_not_touched_without_a_word(trained, train):
    folder, config, _ = trained
    before = (folder / "run" / "model.pt").read_bytes()
    result = train(config)
    assert result.returncode == 2
    assert "--restart auto" in result.stderr and "--overwrite" in result.stderr
    assert "Traceback" not in result.stderr
    assert (folder / "run" / "model.pt").read_bytes() == before


def test_restart_of_a_changed_run_is_refused_and_can_be_forced(trained, train):
    _, config, _ = trained
    change = ("--set", "training.epochs=12")
    refused = train(config, "--restart", "auto", *change)
    assert refused.returncode == 2
    assert "training.epochs: was 10, is 12" in refused.stderr
    forced = train(config, "--force-resume", *change)
    assert forced.returncode == 0, forced.stderr
    assert "going on from" in forced.stdout
    assert "12/12" in forced.stdout


def test_dry_run_writes_nothing(tmp_path, train):
    write_data(tmp_path)
    config = write_config(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    result = train(config, "--dry-run")
    assert result.returncode == 0, result.stderr
    for text in ("Reference energies", "parameters", "steps of", "MiB", "training about", "Nothing was written"):
        assert text in result.stdout, text
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "training.batchsize=2"], "did you mean 'batch_size'?"),
        (["--set", "training.epochs"], "--set expects"),
        (["--device", "cuda:77"], "torch sees"),
        (["--overwrite", "--restart", "auto"], "give one of them"),
        (["--set", "output=."], "would be overwritten"),
    ],
)
def test_wrong_options_exit_with_2(tmp_path, train, arguments, message):
    write_data(tmp_path, n=8)
    result = train(write_config(tmp_path), *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_data_exit_with_3_and_debug_shows_the_traceback(tmp_path, train):
    write_xyz(tmp_path / "train.xyz", frames(4))
    write_xyz(tmp_path / "test.xyz", frames(2))
    with (tmp_path / "train.xyz").open("a") as stream:
        stream.write("7\nleft unfinished\n")
    result = train(write_config(tmp_path), "--debug")
    assert result.returncode == 3
    assert "train.xyz frame 4" in result.stderr
    assert "Traceback" in result.stderr


def start(config, *arguments):
    """Start a training that would take hours and wait for its second validation."""
    child = subprocess.Popen(
        command("train", config, *arguments),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = ""
    while "energy" not in (line := child.stdout.readline()) or not line.startswith("epoch"):
        seen += line
        assert child.poll() is None, seen + child.stderr.read()
    return child


def stopped(config, number, train, *arguments):
    """Start a training, let another one try the same folder, send a signal; return exit code and output."""
    with start(config, *arguments) as child:
        second = train(config, "--restart", "auto")
        sent = time.monotonic()
        child.send_signal(number)
        output, errors = child.communicate(timeout=60)
    assert time.monotonic() - sent < 20.0, "a queueing system waits no longer"
    assert second.returncode == 2
    assert f"in use by another training (process {child.pid}" in second.stderr
    return child.returncode, output, errors


def test_an_interrupt_leaves_a_usable_model_and_a_way_on(tmp_path, train):
    write_data(tmp_path, n=12)
    config = write_config(tmp_path, epochs=1_000_000, learning_rate=1e-3)
    exit_code, output, errors = stopped(config, signal.SIGINT, train)
    assert exit_code == 130, errors
    assert "--restart auto" in output
    potential, card = load_potential(tmp_path / "run" / "model.pt")
    assert card["provenance"]["is_complete"] is False
    graph = graph_from_atoms(frames(1)[0], potential.elements, potential.cutoff)
    assert torch.isfinite(potential.predict(graph).forces).all()
    exit_code, output, errors = stopped(config, signal.SIGTERM, train, "--restart", "auto")
    assert exit_code == 143, errors
    after = read_model(tmp_path / "run" / "model.pt").card["provenance"]
    assert after["epochs"] > card["provenance"]["epochs"]


SCRIPT_READER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("panna_plus", "ase", "vesin"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
import warnings
warnings.simplefilter("ignore")
import numpy, torch
module = torch.jit.load(sys.argv[1])
case = numpy.load(sys.argv[2])
arguments = [torch.from_numpy(case[n]) for n in ("displacements", "centers", "neighbors", "species")]
for _ in range(4):
    energies, gradients = module(*arguments)
assert "panna_plus" not in sys.modules
numpy.savez(sys.argv[3], energies=energies.numpy(), gradients=gradients.numpy())
"""


def test_torchscript_part_gives_the_same_numbers_without_the_package(trained, tmp_path):
    folder, _, _ = trained
    model = folder / "run" / "model.pt"
    potential, _ = load_potential(model)
    graph = graph_from_atoms(frames(4)[3], potential.elements, potential.cutoff)
    flat = {name: getattr(graph, name) for name in ("displacements", "centers", "neighbors", "species")}
    np.savez(tmp_path / "case.npz", **{n: t.numpy() for n, t in flat.items()})
    script = tmp_path / "read.py"
    script.write_text(SCRIPT_READER)
    paths = [str(p) for p in (model, tmp_path / "case.npz", tmp_path / "found.npz")]
    subprocess.run([sys.executable, "-I", str(script), *paths], check=True, capture_output=True, timeout=120)
    energies, gradients = potential(**flat)
    found = np.load(tmp_path / "found.npz")
    assert np.abs(gradients.numpy()).max() > 0.1
    assert np.abs(found["energies"] - energies.numpy()).max() < 1e-10
    assert np.abs(found["gradients"] - gradients.numpy()).max() < 1e-10


def test_lone_atoms_have_exactly_their_energy_in_the_exported_file(trained):
    folder, _, _ = trained
    potential, card = load_potential(folder / "run" / "model.pt")
    for atoms in lone_atoms():
        energy = potential.predict(graph_from_atoms(atoms, potential.elements, potential.cutoff)).energies.item()
        assert energy == atoms.info["REF_energy"] == card["reference_energies"][atoms.get_chemical_symbols()[0]]


def test_a_diverging_run_names_frames_and_keeps_what_was_good(tmp_path, train):
    write_data(tmp_path)
    config = write_config(tmp_path, epochs=200, learning_rate=1e30, gradient_clip=1e30, warmup=0.9)
    result = train(config)
    assert result.returncode == 5, result.stdout[-500:] + result.stderr
    assert "not finite" in result.stderr and "train.xyz frame" in result.stderr
    model = tmp_path / "run" / "model.pt"
    if model.exists():
        assert all(np.isfinite(a).all() for a in read_model(model).arrays.values())


def test_help_loads_neither_torch_nor_ase():
    code = "import sys; from panna_plus.commands.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'ase', 'numpy', 'pydantic') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60)
    assert result.stdout.splitlines()[-1] == "[]"
    for name in ("init", "train", "evaluate", "info", "import"):
        assert f"\n    {name}" in result.stdout


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"panna-plus {package.__version__}"
