from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from panna_plus.config import Config, apply_override, dump_yaml, load_yaml, parse
from panna_plus.errors import ConfigError


class Circle(Config):
    type: Literal["circle"] = "circle"
    radius: float = Field(1.0, gt=0)


class Square(Config):
    type: Literal["square"] = "square"
    side_length: float = 1.0


class Train(Config):
    batch_size: int = 2
    shape: Annotated[Circle | Square, Field(discriminator="type")] = Circle()
    fallback: Circle | None = None


class Run(Config):
    name: str
    train: Train = Train()


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_and_overrides_make_a_mapping(tmp_path):
    path = write(tmp_path, "name: Å\ntrain:\n  batch_size: 3\n")
    content = load_yaml(
        path, ["train.batch_size=5", "train.shape.radius=1e-3", "extra=[1, 2]", "flag=off", "none=null"]
    )
    expected = {"batch_size": 5, "shape": {"radius": "1e-3"}}
    assert content == {"name": "Å", "train": expected, "extra": [1, 2], "flag": False, "none": None}


def test_numbers_in_scientific_notation_are_numbers():
    content = {"name": "x", "train": {"shape": {"type": "circle"}}}
    apply_override(content, "train.shape.radius=1e-3")
    assert parse(Run, content, "test").train.shape.radius == 1e-3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must hold 'key: value' lines"),
        ("", "must hold"),
        ("a: [1", "not valid YAML"),
        ("a: b: c", "YAML"),
    ],
)
def test_files_that_are_no_mapping_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_yaml(write(tmp_path, text))


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_yaml(tmp_path / "absent.yaml")


def test_yaml_executes_nothing(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_yaml(write(tmp_path, "a: !!python/object/apply:os.getcwd []"))


@pytest.mark.parametrize("override", ["", "a", "=3", ".a=3", "a..b=3"])
def test_malformed_overrides_are_refused(override):
    with pytest.raises(ConfigError, match="--set expects"):
        apply_override({}, override)


def test_override_below_a_value_is_refused():
    with pytest.raises(ConfigError, match="'a' is a value, not a section"):
        apply_override({"a": 3}, "a.b=4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"name": "x", "train": {"batchsize": 3}}, "train.batchsize: unknown option, did you mean 'batch_size'"),
        ({"name": "x", "zzz": 3}, "zzz: unknown option; known here: name, train"),
        (
            {"name": "x", "train": {"shape": {"type": "square", "side_len": 3}}},
            r"train\.shape\.side_len: unknown option, did you mean 'side_length'",
        ),
        ({"name": "x", "train": {"shape": {"type": "square", "radius": 3}}}, "known here: side_length, type"),
        (
            {"name": "x", "train": {"shape": {"radius": 3}}},
            "shape: this section needs 'type', one of 'circle', 'square'",
        ),
        ({"name": "x", "train": {"shape": {"type": "oval"}}}, r"train.shape: .*'oval'.*'circle', 'square'"),
        ({"name": "x", "train": {"fallback": {"radios": 3}}}, "train.fallback.radios: .* did you mean 'radius'"),
        ({}, "name: this option is required and missing"),
        ({"name": "x", "train": {"batch_size": "many"}}, "train.batch_size: .* found 'many'"),
        (
            {"name": "x", "train": {"shape": {"type": "circle", "radius": -1}}},
            r"train\.shape\.radius: .* greater than 0, found -1",
        ),
        ({"name": "x", "train": {"shape": {"type": "circle", "radius": float("nan")}}}, "radius: .* finite"),
    ],
)
def test_faults_are_named_with_their_path(content, message):
    with pytest.raises(ConfigError, match=message):
        parse(Run, content, "config.yaml")


def test_all_faults_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        parse(Run, {"train": {"batch_size": "x", "other": 1}}, "config.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "config.yaml:"
    assert len(lines) == 4


def test_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Circle().radius = 2.0


def test_written_configuration_reads_back(tmp_path):
    run = Run(name="Å", train=Train(shape=Square(side_length=1e-7)))
    assert parse(Run, load_yaml(write(tmp_path, dump_yaml(run))), "again") == run
    assert list(Run.model_fields) == ["name", "train"]
    assert dump_yaml(run).index("name") < dump_yaml(run).index("train")
