"""The configuration of a run: every wrong key or value is refused with its path."""

import pytest

from panna_plus.config import dump_yaml
from panna_plus.errors import ConfigError
from panna_plus.training.config import RunConfig, load_run_config, parse_run_config

MINIMAL = {"data": {"train": "a.xyz"}}


def parsed(**sections):
    return parse_run_config({**MINIMAL, **sections}, "config.yaml")


def test_a_minimal_configuration_is_complete():
    config = parsed()
    assert config.family == "panna"
    assert config.model.descriptor.type == "mbp"
    assert config.training.loss_weights.forces == 1.0


def test_the_resolved_configuration_reads_back_as_itself(tmp_path):
    config = parsed(seed=3, training={"epochs": 7}, model={"descriptor": {"type": "bp"}})
    path = tmp_path / "config.yaml"
    path.write_text(dump_yaml(config))
    assert load_run_config(str(path), []) == config


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"training": {"batchsize": 2}}, "training.batchsize: unknown option, did you mean 'batch_size'?"),
        ({"traning": {}}, "traning: unknown option, did you mean 'training'?"),
        ({"model": {"network": {"hiden": [3]}}}, "did you mean 'hidden'?"),
        ({"model": {"descriptor": {"type": "mbp", "n_radail": 3}}}, "did you mean 'n_radial'?"),
        ({"training": {"loss_weights": {"force": 1}}}, "did you mean 'forces'?"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"training": {"epochs": "many"}}, "training.epochs"),
        ({"training": {"learning_rate": float("nan")}}, "training.learning_rate"),
        ({"training": {"late_start": 1.5}}, "training.late_start"),
        ({"training": {"device": "gpu"}}, "expected auto, cpu, cuda or cuda:N"),
        ({"family": "schnet"}, "unknown family 'schnet'"),
        ({"family": 3}, "family must be a name"),
        ({"data": {}}, "data.train: this option is required and missing"),
    ],
)
def test_a_wrong_option_is_named(section, message):
    with pytest.raises(ConfigError) as caught:
        parsed(**section)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_option_of_the_training_refuses_a_misspelling():
    for name in RunConfig.model_fields["training"].annotation.model_fields:
        with pytest.raises(ConfigError, match=f"did you mean '{name}'"):
            parsed(training={name + "x": 1})


def test_overrides_reach_nested_options(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {train: a.xyz}\n")
    config = load_run_config(str(path), ["training.loss_weights.stress=0", "model.network.hidden=[4]"])
    assert config.training.loss_weights.stress == 0.0
    assert config.model.network.hidden == (4,)
