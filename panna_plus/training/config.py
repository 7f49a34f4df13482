"""Options of a training run: the whole configuration file and its `training` section."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, create_model, field_validator

from panna_plus.config import Config, load_yaml, parse
from panna_plus.data.config import DataConfig
from panna_plus.errors import ConfigError, require
from panna_plus.families import family_named

DEFAULT_FAMILY = "panna"


class LossWeights(Config):
    """Weights of the three mean squares that make the loss."""

    energy: NonNegativeFloat = Field(1.0, description="of the squared energy error per atom, (eV/atom)²")
    forces: NonNegativeFloat = Field(1.0, description="of the squared error per force component, (eV/Å)²")
    stress: NonNegativeFloat = Field(
        20.0, description="of the squared error per stress component, (eV/Å³)²; 0 leaves the stress out"
    )


class TrainingConfig(Config):
    """How the parameters are optimised."""

    epochs: PositiveInt = Field(300, description="passes through the training frames")
    max_minutes: PositiveFloat | None = Field(
        None, description="min; ends the training, its schedule included, after this time if the epochs are not done"
    )
    batch_size: PositiveInt = Field(2, description="frames per step")
    learning_rate: PositiveFloat = Field(2e-3, description="at its highest; a cosine takes it to zero")
    warmup: float = Field(0.01, ge=0, lt=1, description="fraction of the run in which the learning rate rises")
    weight_decay: NonNegativeFloat = Field(1e-5, description="decoupled, of AdamW")
    ema_decay: float = Field(
        0.995, ge=0, lt=1, description="per step, of the moving average of the weights that is validated and exported"
    )
    gradient_clip: PositiveFloat = Field(10.0, description="largest norm of the gradient")
    loss_weights: LossWeights = Field(LossWeights(), description="of energy, forces and stress")
    late_start: float = Field(0.6, ge=0, le=1, description="fraction of the run after which energies count more")
    late_energy_factor: PositiveFloat = Field(20.0, description="multiplies the energy weight from late_start on")
    validation_interval: PositiveInt = Field(5, description="epochs between two validations")
    checkpoint_minutes: PositiveFloat = Field(2.0, description="min; between two checkpoints")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N; auto takes a GPU where there is one")
    backend: Literal["auto", "native", "torch"] = Field(
        "auto",
        description="what evaluates the potential: native, compiled operators on the CPU or a GPU; torch, the PyTorch "
        "reference; auto takes native where the family has it and it can be built",
    )
    cache: bool = Field(
        True, description="keep in memory what no step changes: descriptor values, with backend torch their Jacobian"
    )
    threads: PositiveInt | None = Field(
        1, description="CPU threads; the same number repeats a run bit for bit, null leaves it to torch"
    )

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        kind, colon, number = value.partition(":")
        if value not in ("auto", "cpu", "cuda") and not (kind == "cuda" and colon and number.isdecimal()):
            raise ValueError("expected auto, cpu, cuda or cuda:N")
        return value


class RunConfig(Config):
    """A configuration file."""

    family: str = Field(DEFAULT_FAMILY, description="kind of potential")
    seed: int = Field(0, ge=0, description="of the splits, the initial weights and the order of the frames")
    output: str = Field("run", min_length=1, description="folder of the results, relative to this file's folder")
    data: DataConfig = Field(description="structures and their labels")
    model: Config = Field(description="options of the potential; they depend on the family")
    training: TrainingConfig = Field(TrainingConfig(), description="optimisation")


@cache
def run_config_class(family: str) -> type[RunConfig]:
    """Return the configuration class whose `model` section is that of a family."""
    section: Any = family_named(family).config
    field = Field(default_factory=section, description=RunConfig.model_fields["model"].description)
    return create_model(f"{family.capitalize()}RunConfig", __base__=RunConfig, model=(section, field))


def parse_run_config(content: Mapping[str, Any], source: str) -> RunConfig:
    """Build the configuration of a run.

    Raises
    ------
    ConfigError
        If the family is unknown, or listing every fault of the content with its path.
    """
    family = content.get("family", DEFAULT_FAMILY)
    require(isinstance(family, str), ConfigError, f"{source}: family must be a name, found {family!r:.60}")
    return parse(run_config_class(family), content, source)


def load_run_config(path: str, overrides: list[str]) -> RunConfig:
    """Read a configuration file and apply ``a.b=c`` overrides."""
    return parse_run_config(load_yaml(path, overrides), path)
