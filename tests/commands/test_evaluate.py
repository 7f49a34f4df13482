"""`panna-plus evaluate`: tables, plot, and frames written back with nothing lost."""

import json

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from panna_plus.commands.main import main
from panna_plus.conventions import voigt_from_matrix
from panna_plus.export import export_model
from panna_plus.graph import graph_from_atoms
from tests.training.small_runs import frames, lone_atoms, prepared_run, write_xyz


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """A briefly trained model file and its potential in float64."""
    run, prepared = prepared_run(data, epochs=5)
    prepared.trainer.fit()
    potential = prepared.trainer.best_potential()
    path = tmp_path_factory.mktemp("model") / "model.pt"
    graph = graph_from_atoms(run.dataset.test[0].atoms, potential.elements, potential.cutoff)
    export_model(potential, path, [graph])
    return path, potential.double()


def run(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_predictions_are_written_beside_everything_the_frames_had(model, tmp_path, monkeypatch, capsys):
    path, potential = model
    monkeypatch.chdir(tmp_path)
    structures = frames(5, seed=3)
    for k, atoms in enumerate(structures):
        atoms.info["name"] = f"frame {k}"
        atoms.arrays["site_value"] = np.arange(len(atoms)) * 0.5
    write_xyz(tmp_path / "in.xyz", structures)
    assert run(path, "in.xyz", "-o", "out.xyz") == 0
    written = ase.io.read("out.xyz", ":")
    for before, after in zip(structures, written, strict=True):
        assert after.info["REF_energy"] == pytest.approx(before.info["REF_energy"], abs=1e-12)
        assert np.abs(after.arrays["REF_forces"] - before.arrays["REF_forces"]).max() < 1e-8
        assert after.info["name"] == before.info["name"]
        assert np.array_equal(after.arrays["site_value"], before.arrays["site_value"])
        assert after.info["config_type"] == before.info["config_type"]
        expected = potential.predict(graph_from_atoms(before, potential.elements, potential.cutoff))
        assert after.info["MODEL_energy"] == pytest.approx(expected.energies.item(), abs=1e-6)
        assert np.abs(after.arrays["MODEL_forces"] - expected.forces.numpy()).max() < 1e-6
        assert ("MODEL_stress" in after.info) == before.pbc.all()
        if before.pbc.all():
            found = voigt_from_matrix(np.reshape(after.info["MODEL_stress"], (3, 3)))
            assert np.abs(found - voigt_from_matrix(expected.stress[0].numpy())).max() < 1e-7
    output = capsys.readouterr().out
    assert "Errors, in" in output and "cluster" in output and "element Au" in output
    assert (tmp_path / "in_parity.png").read_bytes().startswith(b"\x89PNG")


def test_labels_that_ase_keeps_in_a_calculator_stay(model, tmp_path):
    path, _ = model
    atoms = frames(1)[0]
    labels = {"energy": atoms.info.pop("REF_energy"), "forces": atoms.arrays.pop("REF_forces")}
    atoms.calc = SinglePointCalculator(atoms, **labels, free_energy=labels["energy"] - 0.25)
    write_xyz(tmp_path / "in.xyz", [atoms])
    out = tmp_path / "out.xyz"
    errors = tmp_path / "errors.json"
    assert run(path, tmp_path / "in.xyz", "-o", out, "--plot", "none", "--errors", errors) == 0
    written = ase.io.read(out)
    assert written.get_potential_energy() == pytest.approx(labels["energy"], abs=1e-8)
    assert written.calc.results["free_energy"] == pytest.approx(labels["energy"] - 0.25, abs=1e-8)
    assert np.abs(written.get_forces() - labels["forces"]).max() < 1e-7
    table = json.loads(errors.read_text())["splits"]["in"]["all"]
    difference = 1e3 * abs(written.info["MODEL_energy"] - labels["energy"]) / len(atoms)
    assert table["energy"]["mae"] == pytest.approx(difference, rel=1e-4)


def test_structures_without_labels_are_computed_too(model, tmp_path, capsys):
    path, _ = model
    structures = frames(2)
    for atoms in structures:
        atoms.info.clear()
        del atoms.arrays["REF_forces"]
    write_xyz(tmp_path / "bare.xyz", structures)
    assert run(path, tmp_path / "bare.xyz", "-o", tmp_path / "out.xyz") == 0
    assert "none with a label" in capsys.readouterr().out
    assert all("MODEL_energy" in a.info for a in ase.io.read(tmp_path / "out.xyz", ":"))


def test_lone_atoms_are_computed_but_do_not_count(model, tmp_path, capsys):
    path, _ = model
    write_xyz(tmp_path / "all.xyz", lone_atoms() + frames(2))
    errors = tmp_path / "errors.json"
    arguments = ("--plot", "none", "--errors", errors, "-o", tmp_path / "out.xyz")
    assert run(path, tmp_path / "all.xyz", *arguments) == 0
    assert json.loads(errors.read_text())["splits"]["all"]["n_frames"] == 2
    lone = ase.io.read(tmp_path / "out.xyz", 0)
    assert lone.info["MODEL_energy"] == lone.info["REF_energy"]
    assert "2 isolated atom(s)" in capsys.readouterr().out


def test_a_label_can_be_named(model, tmp_path):
    path, _ = model
    structures = frames(2)
    for atoms in structures:
        atoms.info["other"] = atoms.info["REF_energy"] + len(atoms)
    write_xyz(tmp_path / "in.xyz", structures)
    tables = []
    for extra in ((), ("--key", "energy=other")):
        errors = tmp_path / "errors.json"
        assert run(path, tmp_path / "in.xyz", "--plot", "none", "--errors", errors, *extra) == 0
        tables.append(json.loads(errors.read_text())["splits"]["in"]["all"]["energy"])
    assert abs(tables[1]["max"] - tables[0]["max"]) > 500.0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["in.xyz", "-o", "in.xyz"], 2, "one of the inputs"),
        (["in.xyz", "-o", "old.xyz"], 2, "--overwrite"),
        (["in.xyz", "-o", "nowhere/out.xyz"], 2, "does not exist"),
        (["in.xyz", "--key", "energy"], 2, "LABEL=KEY"),
        (["in.xyz", "--key", "enregy=x"], 2, "did you mean 'energy'"),
        (["in.xyz", "--batch-atoms", "0"], 2, "must be positive"),
        (["missing.xyz"], 3, "is not a file"),
        (["silver.xyz"], 3, "silver.xyz frame 1"),
    ],
)
def test_what_cannot_be_is_refused(model, tmp_path, monkeypatch, capsys, arguments, exit_code, message):
    monkeypatch.chdir(tmp_path)
    write_xyz(tmp_path / "in.xyz", frames(1))
    (tmp_path / "old.xyz").write_text("precious")
    silver = frames(2)
    silver[1].symbols[0] = "Ag"
    write_xyz(tmp_path / "silver.xyz", silver)
    assert run(model[0], *arguments) == exit_code
    assert message in capsys.readouterr().err
    assert (tmp_path / "old.xyz").read_text() == "precious"


def test_a_file_that_is_no_model_is_refused(tmp_path, capsys):
    write_xyz(tmp_path / "in.xyz", frames(1))
    (tmp_path / "model.pt").write_bytes(b"not a model")
    assert run(tmp_path / "model.pt", tmp_path / "in.xyz") == 4
    assert "not a complete model file" in capsys.readouterr().err
