"""The registry of potentials: what a configuration or a model file names becomes a model here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from panna_plus.config import Config
from panna_plus.errors import ConfigError, ModelFileError, require
from panna_plus.families.panna import model as panna_model
from panna_plus.families.panna.config import PannaConfig
from panna_plus.families.so3krates import model as so3krates_model
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.model_file import read_model
from panna_plus.potential import Potential


@dataclass(frozen=True)
class Family:
    """How one family is configured, built, and restored."""

    config: type[Config]
    from_config: Callable[[Any, Sequence[str], int], Potential]
    from_arrays: Callable[[Sequence[str], dict[str, Any], dict[str, Any]], Potential]


FAMILIES: Mapping[str, Family] = {
    "panna": Family(PannaConfig, panna_model.from_config, panna_model.from_arrays),
    "so3krates": Family(So3kratesConfig, so3krates_model.from_config, so3krates_model.from_arrays),
}


def family_named(name: str, error: type[Exception] = ConfigError) -> Family:
    """Return a family; an unknown name raises `error` listing the known ones."""
    if name not in FAMILIES:
        raise error(f"unknown family '{name}'; this version knows {', '.join(FAMILIES)}")
    return FAMILIES[name]


def build_potential(family: str, config: Config, elements: Sequence[str], seed: int) -> Potential:
    """Build an untrained potential from the `model` section of a configuration."""
    return family_named(family).from_config(config, elements, seed)


def potential_from_model(card: dict[str, Any], arrays: dict[str, Any]) -> Potential:
    """Build the potential that a card and its arrays describe."""
    family = family_named(card["family"], ModelFileError)
    try:
        return family.from_arrays(card["elements"], card["family_parameters"], arrays)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ModelFileError(f"the arrays do not fit the card of family '{card['family']}': {error!r}") from error


def load_potential(
    path: str | Path, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
) -> tuple[Potential, dict[str, Any]]:
    """Read a model file and build its potential; nothing in the file is executed.

    Parameters
    ----------
    path : path of `model.pt`
    dtype : torch.float64 or torch.float32
        Precision that the perceptrons compute in. Geometry and sums are always float64.

    Returns
    -------
    potential : Potential
        In evaluation mode, its parameters frozen.
    card : dict
    """
    model = read_model(path)
    try:
        potential = potential_from_model(model.card, model.arrays)
    except ModelFileError as error:
        raise ModelFileError(f"'{path}': {error}") from error
    for parameter in potential.parameters():
        parameter.data = parameter.data.to(dtype)
    require(dtype in (torch.float32, torch.float64), ConfigError, f"dtype must be float32 or float64, found {dtype}")
    return potential.requires_grad_(False).eval().to(device), model.card
