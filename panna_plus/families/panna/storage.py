"""Parts of a panna potential as the arrays of a model file, and back."""

from collections.abc import Sequence

import numpy as np
import torch

from panna_plus.families.panna.statistics import NAMES, FeatureStatistics
from panna_plus.layers.perceptron import DenseLayer
from panna_plus.layers.repulsion import Repulsion

REPULSION_FOLDER = "terms/repulsion/"


def member_folders(n_members: int) -> list[str]:
    """Return what the names of the members' arrays begin with; a model alone needs nothing."""
    return [f"member/{member}/" for member in range(n_members)] if n_members > 1 else [""]


def layer_arrays(layers: Sequence[DenseLayer]) -> dict[str, np.ndarray]:
    """Return the weights of a perceptron by name."""
    arrays: dict[str, np.ndarray] = {}
    for k, layer in enumerate(layers):
        arrays[f"layer/{k}/weight"] = layer.weight.detach().cpu().numpy()
        arrays[f"layer/{k}/bias"] = layer.bias.detach().cpu().numpy()
    return arrays


def network_from_arrays(place: str, activations: Sequence[str], arrays: dict[str, np.ndarray]) -> torch.nn.Sequential:
    """Build the perceptron whose arrays have names that begin with `place`."""
    layers = []
    for k, activation in enumerate(activations):
        weight, bias = (torch.tensor(arrays[f"{place}layer/{k}/{part}"]) for part in ("weight", "bias"))
        layers.append(DenseLayer(weight, bias, activation))
    return torch.nn.Sequential(*layers)


def statistics_arrays(elements: Sequence[str], statistics: Sequence[FeatureStatistics]) -> dict[str, np.ndarray]:
    """Return the statistics of the training atoms by name."""
    arrays: dict[str, np.ndarray] = {}
    for element, of_element in zip(elements, statistics, strict=True):
        arrays |= {f"element/{element}/training/{name}": a for name, a in of_element.arrays().items()}
    return arrays


def statistics_from_arrays(elements: Sequence[str], arrays: dict[str, np.ndarray]) -> list[FeatureStatistics] | None:
    """Return the statistics of the training atoms, None where a file has none."""
    if f"element/{elements[0]}/training/mean" not in arrays:
        return None
    return [FeatureStatistics(**{name: arrays[f"element/{e}/training/{name}"] for name in NAMES}) for e in elements]


def repulsion_arrays(repulsion: Repulsion) -> dict[str, np.ndarray]:
    """Return the parameters of a repulsion by name."""
    return {REPULSION_FOLDER + name: value.cpu().numpy() for name, value in repulsion.state_dict().items()}


def stored_repulsion(elements: Sequence[str], arrays: dict[str, np.ndarray]) -> Repulsion:
    """Build the repulsion of a model file."""
    repulsion = Repulsion(list(elements), torch.float64)
    stored = {name: torch.tensor(arrays[REPULSION_FOLDER + name]) for name in repulsion.state_dict()}
    repulsion.load_state_dict(stored, assign=True)
    return repulsion
