"""`panna-plus init`: from a file of structures to a configuration that training accepts."""

import argparse
import os

import pytest
import yaml

from panna_plus.commands import init
from panna_plus.commands.commented_yaml import commented_yaml
from panna_plus.config import Config, parse
from panna_plus.data import DataConfig, load_dataset
from panna_plus.errors import ConfigError, DataError
from panna_plus.training.config import load_run_config, parse_run_config
from tests.data.labelled_structures import NACL, WATER, isolated


def run_init(*arguments):
    parser = argparse.ArgumentParser()
    init.add_parser(parser.add_subparsers())
    args = parser.parse_args(["init", *map(str, arguments)])
    return args.run(args)


def variants(text, n):
    """Return `n` copies of a frame with one coordinate and the energy changed."""
    return "".join(
        text.replace("1.9 2.0", f"1.9{k} 2.0").replace("0.93 0", f"0.93{k} 0").replace("-6.2", f"-6.{k}")
        for k in range(n)
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "salt.xyz").write_text(variants(NACL, 8))
    (tmp_path / "water.xyz").write_text(variants(WATER, 8))
    return tmp_path


def test_configuration_is_accepted_and_says_what_was_found(folder, capsys):
    assert run_init("salt.xyz") == 0
    config = load_run_config("config.yaml", [])
    assert config.family == "panna"
    assert config.data.train == "salt.xyz"
    assert config.data.keys.energy == "REF_energy"
    assert config.data.keys.stress == "REF_stress"
    assert config.data.reference_energies == "least_squares"
    assert config.training.loss_weights.stress > 0
    output = capsys.readouterr().out
    assert "8 / 8" not in output
    assert "7 / 7" in output
    assert "Next: panna-plus train config.yaml" in output


def test_every_option_is_there_with_a_comment(folder):
    run_init("salt.xyz")
    lines = (folder / "config.yaml").read_text().splitlines()
    options = [k for k, line in enumerate(lines) if ":" in line and not line.strip().startswith("#")]
    uncommented = [lines[k].strip() for k in options if not lines[k - 1].strip().startswith("#")]
    # Sections of a section may stand without one.
    assert all(name.endswith(":") for name in uncommented)
    assert len(options) > 40
    assert "# Structures: 7 train, 1 validation, 0 test. Elements: Na, Cl." in lines
    assert max(map(len, lines)) <= 110


def test_molecules_get_no_stress_weight_and_early_centers(folder):
    run_init("water.xyz")
    config = load_run_config("config.yaml", [])
    assert config.training.loss_weights.stress == 0.0
    assert config.training.loss_weights.forces > 0.0
    assert config.model.descriptor.radial_start < 0.96 < config.model.descriptor.radial_cutoff
    assert config.model.descriptor.angular_start < 0.96


def test_isolated_atoms_are_chosen_where_all_are_there(folder):
    (folder / "water.xyz").write_text(variants(WATER, 8) + isolated("H", -13.5) + isolated("O", -430.0))
    run_init("water.xyz", "-o", "a.yaml")
    assert load_run_config("a.yaml", []).data.reference_energies == "isolated_atoms"
    assert "H -13.500000, O -430.000000" in (folder / "a.yaml").read_text()
    (folder / "water.xyz").write_text(variants(WATER, 8) + isolated("H", -13.5))
    run_init("water.xyz", "-o", "b.yaml")
    assert load_run_config("b.yaml", []).data.reference_energies == "auto"


def test_virial_key_is_written_down_as_a_virial(folder):
    (folder / "salt.xyz").write_text(variants(NACL, 8).replace("REF_stress", "virial"))
    run_init("salt.xyz")
    keys = load_run_config("config.yaml", []).data.keys
    assert (keys.stress, keys.virial) == ("auto", "virial")
    data = load_dataset(load_run_config("config.yaml", []).data, 0, folder)
    assert all(f.has("stress") for f in data.train)


def test_paths_start_at_the_folder_of_the_configuration(folder):
    (folder / "runs").mkdir()
    run_init("salt.xyz", "--test", folder / "salt.xyz", "--validation", "salt.xyz", "salt.xyz", "-o", "runs/a.yaml")
    data = load_run_config("runs/a.yaml", []).data
    assert data.train == os.path.join("..", "salt.xyz")
    assert data.test == str(folder / "salt.xyz")
    assert data.validation == [os.path.join("..", "salt.xyz")] * 2
    assert len(load_dataset(data, 0, folder / "runs").train) == 8


def test_existing_configuration_is_not_overwritten(folder):
    (folder / "config.yaml").write_text("mine: 1\n")
    with pytest.raises(ConfigError, match=r"'config\.yaml' exists: give --force"):
        run_init("salt.xyz")
    assert (folder / "config.yaml").read_text() == "mine: 1\n"
    assert run_init("salt.xyz", "--force") == 0
    assert "family: panna" in (folder / "config.yaml").read_text()


def test_nothing_is_written_when_the_data_are_bad(folder):
    (folder / "salt.xyz").write_text(NACL.replace("1.9 2.0", "nan 2.0") * 3)
    with pytest.raises(DataError, match=r"salt\.xyz frame 0 .*'positions' of atom 1"):
        run_init("salt.xyz")
    assert not (folder / "config.yaml").exists()


def test_missing_output_folder_and_unknown_family_are_named(folder):
    with pytest.raises(ConfigError, match="folder 'nowhere' does not exist"):
        run_init("salt.xyz", "-o", "nowhere/config.yaml")
    with pytest.raises(ConfigError, match="unknown family 'pana'"):
        run_init("salt.xyz", "--family", "pana")


@pytest.mark.parametrize(
    "train, test, stress_weight, sources",
    [
        ("rmd17/ethanol_train_01.xyz.xz", "rmd17/ethanol_test_01.xyz.xz", 0.0, "least_squares"),
        ("mlearn/Si_train.xyz.xz", "mlearn/Si_test.xyz.xz", None, "least_squares"),
        ("silicon_pbe/train.xyz", "silicon_pbe/test.xyz", None, "isolated_atoms"),
    ],
)
def test_real_data_go_through_without_an_edit(folder, data_folder, capsys, train, test, stress_weight, sources):
    assert run_init(data_folder / train, "--test", data_folder / test) == 0
    config = load_run_config("config.yaml", [])
    assert config.data.reference_energies == sources
    assert (config.training.loss_weights.stress == 0.0) == (stress_weight == 0.0)
    assert 5.0 <= config.model.descriptor.radial_cutoff <= 5.6
    output = capsys.readouterr().out
    assert ("determine only 1 of 3 fitted reference energies" in " ".join(output.split())) == ("ethanol" in train)


def test_commented_yaml_survives_awkward_values():
    class Inner(Config):
        text: str = "a: b # c"
        numbers: tuple[float, ...] = (1e-5, 2.0)

    class Outer(Config):
        inner: Inner = Inner()
        nothing: float | None = None
        path: str = "Å 'x' \"y\".xyz"
        table: dict[str, float]
        word: str = "yes"

    config = Outer(inner=Inner(text="- x\n- y"), table={"H": -13.6})
    text = commented_yaml(config, header="first\nsecond", remarks={"inner.text": "why " * 60})
    assert parse(Outer, yaml.safe_load(text), "x") == config
    assert text.startswith("# first\n# second\n")
    assert max(map(len, text.splitlines())) <= 100


def test_defaults_of_the_run_configuration_survive_being_written():
    config = parse_run_config({"data": DataConfig(train="a.xyz").model_dump()}, "x")
    assert parse_run_config(yaml.safe_load(commented_yaml(config)), "x") == config
