"""A small so3krates potential learns from a few frames, through the training that every family shares."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from panna_plus.commands.main import main
from panna_plus.families import load_potential
from panna_plus.graph import graph_from_atoms
from panna_plus.layers.terms import TermsConfig
from panna_plus.training.checkpoint import latest_checkpoint, restore, write_checkpoint
from panna_plus.training.config import load_run_config, parse_run_config
from panna_plus.training.evaluation import evaluate_frames
from panna_plus.training.metrics import error_table
from panna_plus.training.run import build_run, prepare, read_dataset
from tests.training.small_runs import content, lone_atoms, write_data

SMALL = {"cutoff": 4.0, "n_features": 16, "n_layers": 2, "n_heads": 2, "degrees": [1, 2], "n_radial": 8}
SMALL |= {"energy_hidden": 16}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_elements")
    write_data(folder)
    return folder


def options(folder, model=SMALL, **training):
    return content(folder, **training) | {"family": "so3krates", "model": model}


def prepared_run(folder, **training):
    config = parse_run_config(options(folder, **training), "test")
    run = build_run(config, read_dataset(config, folder))
    return run, prepare(run)


def errors(potential, run):
    return error_table(evaluate_frames(potential, run.dataset.train)).as_dict()["all"]


def test_errors_of_periodic_and_free_frames_fall(data):
    run, prepared = prepared_run(data, epochs=40, batch_size=2)
    before = errors(run.potential, run)
    assert prepared.trainer.fit()
    best = prepared.trainer.best_potential()
    after = errors(best, run)
    assert np.sqrt(np.mean(np.concatenate([f.forces.ravel() for f in run.dataset.train]) ** 2)) > 0.1
    for quantity in ("energy", "forces", "stress"):
        assert after[quantity]["rmse"] < 0.6 * before[quantity]["rmse"], quantity
    assert best.message_norms.tolist() == prepared.trainer.potential.message_norms.tolist() != [1.0, 1.0]
    for atoms in lone_atoms():
        energy = best.predict(graph_from_atoms(atoms, best.elements, best.cutoff)).energies.item()
        assert energy == atoms.info["REF_energy"]


def test_interrupted_training_goes_on_to_the_same_weights(data, tmp_path):
    run, whole = prepared_run(data, epochs=3)
    assert whole.trainer.fit()
    _, part = prepared_run(data, epochs=3)
    assert not part.trainer.fit(on_step=lambda trainer: trainer.position.step < 5)
    write_checkpoint(tmp_path, part.trainer, run.identity)
    _, resumed = prepared_run(data, epochs=3)
    restore(resumed.trainer, latest_checkpoint(tmp_path))
    assert resumed.trainer.position.step == 5
    assert resumed.trainer.fit()
    expected, found = (p.trainer.averaged.potential.state_dict() for p in (whole, resumed))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_long_range_terms_and_embeddings_learn(data):
    terms = {"electrostatics": True, "dispersion": True, "long_range_cutoff": 6.0}
    model = SMALL | {"charge_embedding": True, "spin_embedding": True, "terms": terms}
    config = parse_run_config(options(data, model, epochs=1), "test")
    run = build_run(config, read_dataset(config, data))
    before = {name: p.detach().clone() for name, p in run.potential.named_parameters()}
    prepared = prepare(run)
    assert prepared.trainer.fit()
    changed = {name for name, p in run.potential.named_parameters() if not torch.equal(before[name], p)}
    for name in ("terms.charges.outer.weight", "terms.ratios.outer.weight", "terms.repulsion.exponents"):
        assert name in changed


def test_init_chooses_what_suits_the_family(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", str(data / "train.xyz"), "--family", "so3krates"]) == 0
    config = load_run_config("config.yaml", [])
    assert config.family == "so3krates"
    assert (config.training.batch_size, config.training.learning_rate) == (5, 5e-3)
    assert config.training.loss_weights.forces == 10.0
    assert 4.0 <= config.model.cutoff <= 5.0
    assert "neighbors within it on average" in Path("config.yaml").read_text()


def test_command_line_trains_and_evaluates(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump(options(data, epochs=2)))
    assert main(["train", "config.yaml"]) == 0
    potential, card = load_potential("run/model.pt")
    assert (card["family"], card["reach"], card["n_exchanges"]) == ("so3krates", 8.0, 1)
    assert potential.config.terms == TermsConfig()
    assert main(["evaluate", "run/model.pt", str(data / "test.xyz"), "--errors", "errors.json", "--plot", "none"]) == 0
    assert json.loads(Path("errors.json").read_text())
