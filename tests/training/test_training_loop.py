"""The loop: it learns, masks, averages, stops at what is not finite, and makes no tensor on a fixed device."""

import numpy as np
import pytest
import torch

from panna_plus.data.frame import Frame
from panna_plus.errors import ConfigError, DataError, NumericalError
from panna_plus.export import export_model
from panna_plus.graph import graph_from_atoms
from panna_plus.training.evaluation import evaluate_examples, evaluate_frames
from panna_plus.training.metrics import error_table
from panna_plus.training.run import build_run, read_dataset, resolved_device, write_results
from panna_plus.training.run_directory import RunDirectory
from tests.training.small_runs import frames, lone_atoms, prepared_run, small_run, write_xyz


def test_error_of_periodic_and_free_frames_falls_below_bounds(data):
    run, prepared = prepared_run(data, epochs=150)
    before = error_table(evaluate_frames(run.potential, run.dataset.test)).as_dict()
    assert prepared.trainer.fit()
    best = prepared.trainer.best_potential()
    after = error_table(evaluate_frames(best, run.dataset.test)).as_dict()
    forces = np.concatenate([f.forces.ravel() for f in run.dataset.test])
    assert np.sqrt(np.mean(forces**2)) > 0.1
    assert before["all"]["forces"]["mae"] > 500.0
    assert after["all"]["forces"]["mae"] < 250.0
    assert after["all"]["energy"]["mae"] < 60.0
    assert after["all"]["stress"]["mae"] < 3.0
    assert set(after["config_types"]) == {"crystal", "cluster"}
    assert set(after["elements"]) == {"Cu", "Au"}


def test_prepared_and_plain_evaluation_agree(data):
    run, prepared = prepared_run(data, epochs=2)
    prepared.trainer.fit()
    best = prepared.trainer.best_potential()
    some = run.dataset.validation
    examples = prepared.examples["validation"]
    pairs = zip(evaluate_examples(best, some, examples), evaluate_frames(best, some), strict=True)
    for cached, plain in pairs:
        assert cached.energy == pytest.approx(plain.energy, abs=1e-5)
        assert np.abs(cached.forces - plain.forces).max() < 1e-5 * max(1.0, np.abs(plain.forces).max())


def test_a_lone_atom_has_exactly_its_reference_energy(data):
    _, prepared = prepared_run(data, epochs=2)
    prepared.trainer.fit()
    best = prepared.trainer.best_potential()
    for atoms in lone_atoms():
        energy = best.predict(graph_from_atoms(atoms, best.elements, best.cutoff)).energies.item()
        assert energy == atoms.info["REF_energy"]


def test_frames_without_labels_train_beside_others(tmp_path):
    structures = frames(12)
    for number, atoms in enumerate(structures):
        for key in [("REF_energy",), ("REF_stress",), ()][number % 3]:
            atoms.info.pop(key, None)
        if number % 4 == 0:
            del atoms.arrays["REF_forces"]
    write_xyz(tmp_path / "train.xyz", lone_atoms() + structures)
    write_xyz(tmp_path / "test.xyz", frames(2, seed=1))
    run, prepared = prepared_run(tmp_path, epochs=4)
    counts = run.dataset.label_counts()["train"]
    assert 0 < counts["energy"] < len(run.dataset.train)
    assert 0 < counts["stress"] < counts["energy"]
    assert prepared.trainer.fit()
    state = prepared.trainer.best_potential().state_dict()
    assert all(torch.isfinite(t).all() for t in state.values())


def test_a_weighted_label_that_no_frame_has_is_refused(tmp_path):
    structures = [a for a in frames(12) if not a.pbc.any()]
    write_xyz(tmp_path / "train.xyz", lone_atoms() + structures)
    write_xyz(tmp_path / "test.xyz", structures[:1])
    with pytest.raises(DataError, match="stress"):
        small_run(tmp_path)
    small_run(tmp_path, loss_weights={"stress": 0.0})


def test_a_nan_label_is_refused_when_it_is_read(tmp_path):
    structures = frames(6)
    structures[3].arrays["REF_forces"][1, 2] = np.nan
    write_xyz(tmp_path / "train.xyz", structures)
    write_xyz(tmp_path / "test.xyz", structures[:1])
    with pytest.raises(DataError, match=r"frame 3 .*REF_forces"):
        small_run(tmp_path)


def test_nan_in_a_step_names_the_frames_and_spares_the_weights(data):
    _, prepared = prepared_run(data, epochs=50)
    trainer = prepared.trainer
    trainer.train[2].labels.forces[0, 0] = torch.nan
    before = {}

    def remember(trainer):
        before.update({n: t.clone() for n, t in trainer.potential.state_dict().items()})
        return True

    remember(trainer)
    with pytest.raises(NumericalError, match="not finite") as caught:
        trainer.fit(on_step=remember)
    assert trainer.names[2] in str(caught.value)
    assert caught.value.exit_code == 5
    after = trainer.potential.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before)


def test_nan_in_the_gradient_stops_as_well(data):
    _, prepared = prepared_run(data, epochs=50)
    trainer = prepared.trainer
    next(trainer.potential.parameters()).register_hook(lambda g: g * torch.nan if trainer.position.step == 3 else g)
    with pytest.raises(NumericalError, match="step 3 "):
        trainer.fit()
    assert all(torch.isfinite(p).all() for p in trainer.potential.parameters())


def test_two_runs_are_the_same_bit_for_bit_and_the_seed_counts(data):
    def weights(**changes):
        _, prepared = prepared_run(data, epochs=3, **changes)
        prepared.trainer.fit()
        return prepared.trainer.best_potential().state_dict()

    first, second, other = weights(), weights(), weights(learning_rate=1e-3)
    assert all(torch.equal(first[n], second[n]) for n in first)
    assert not all(torch.equal(first[n], other[n]) for n in first)


def test_best_weights_are_those_of_the_lowest_score(data):
    _, prepared = prepared_run(data, epochs=12)
    trainer = prepared.trainer
    trainer.fit()
    scores = {r["epoch"]: r["score"] for r in trainer.history}
    assert list(scores) == [2, 4, 6, 8, 10, 12]
    assert trainer.best.score == min(scores.values())
    trainer.averaged.potential.load_state_dict(trainer.best.state)
    assert trainer.validation_errors()[1] == pytest.approx(trainer.best.score, rel=1e-12)


def test_validation_is_of_the_averaged_weights(data):
    _, prepared = prepared_run(data, epochs=2, ema_decay=0.99)
    trainer = prepared.trainer
    trainer.fit()
    live, averaged = trainer.potential.state_dict(), trainer.averaged.potential.state_dict()
    assert not all(torch.equal(live[n], averaged[n]) for n in live)


def test_time_limit_ends_the_run_with_its_schedule(data):
    _, prepared = prepared_run(data, epochs=100000, max_minutes=0.01)
    trainer = prepared.trainer
    assert trainer.fit()
    assert trainer.position.seconds < 6.0
    assert trainer.history[-1]["learning_rate"] < 1e-4 * trainer.config.learning_rate
    assert trainer.best is not None


def test_no_tensor_is_made_on_the_default_device(data):
    """With 'meta' as the default device, a tensor made without saying where cannot meet those of the data."""
    _, prepared = prepared_run(data, epochs=1)
    with torch.device("meta"):
        prepared.trainer.fit()
    assert prepared.trainer.best is not None
    assert all(p.device.type == "cpu" for p in prepared.trainer.best_potential().parameters())


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="torch sees"):
        resolved_device("cuda:99")
    assert resolved_device("auto").type in ("cpu", "cuda")


def test_frames_know_their_volume_only_with_a_stress_label(data):
    run, prepared = prepared_run(data, epochs=1)
    for frame, example in zip(run.dataset.train, prepared.examples["train"], strict=True):
        assert torch.isnan(example.inputs.volumes).item() == (frame.stress is None)


def test_results_are_written_with_provenance(data, tmp_path):
    run, prepared = prepared_run(data, epochs=4)
    prepared.trainer.fit()
    directory = RunDirectory(tmp_path)
    tables = write_results(run, prepared, directory)
    assert set(tables) == {"train", "validation", "test"}
    for path in (directory.model, directory.errors_json, directory.errors_markdown, directory.metrics):
        assert path.stat().st_size > 100
    for figure in (directory.parity, directory.learning_curve):
        assert figure.read_bytes().startswith(b"\x89PNG")
    assert len(directory.metrics.read_text().splitlines()) == 1 + len(prepared.trainer.history)


def test_export_refuses_a_model_that_its_file_does_not_reproduce(data, tmp_path, monkeypatch):
    from panna_plus import export
    from panna_plus.errors import ModelFileError

    run, _ = prepared_run(data, epochs=1)
    honest = export.load_potential

    def tampered(path):
        potential, card = honest(path)
        potential.reference_energies[0] += 1e-6
        return potential, card

    monkeypatch.setattr(export, "load_potential", tampered)
    graph = graph_from_atoms(run.dataset.test[0].atoms, run.potential.elements, run.potential.cutoff)
    path = tmp_path / "model.pt"
    with pytest.raises(ModelFileError, match="differs from the trained model"):
        export_model(run.potential, path, [graph])
    assert list(tmp_path.iterdir()) == []


def test_shortest_distances_are_those_of_the_training_frames(data):
    run = small_run(data)
    atoms: list[Frame] = run.dataset.train
    expected = min(
        f.atoms.get_all_distances(mic=f.atoms.pbc.any())[i, j]
        for f in atoms
        for i, a in enumerate(f.atoms.symbols)
        for j, b in enumerate(f.atoms.symbols)
        if i != j and a == b == "Cu"
    )
    cu = run.potential.elements.index("Cu")
    assert run.potential.shortest_distances[cu, cu].item() == pytest.approx(expected, abs=1e-10)


def test_reference_energies_reach_the_potential(data):
    run = small_run(data)
    energies = {a.get_chemical_symbols()[0]: a.info["REF_energy"] for a in lone_atoms()}
    assert run.potential.reference_energies.tolist() == [energies[e] for e in run.potential.elements]
    assert build_run(run.config, read_dataset(run.config, data)).identity == run.identity
