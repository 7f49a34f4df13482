"""Descriptors and lists of displacements for the tests of the operators, and the reference's answer to them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panna_plus.families.panna.config import MbpConfig
from panna_plus.families.panna.descriptors import BpDescriptor, Descriptor, MbpDescriptor, mbp_parameters
from tests.native.model_files import bp_arrays


@dataclass
class Lists:
    """Directed pairs sorted by center, as the operators take them."""

    displacements: Tensor
    row_start: Tensor
    neighbor_species: Tensor

    @property
    def n_centers(self) -> int:
        return len(self.row_start) - 1

    @property
    def centers(self) -> Tensor:
        return torch.repeat_interleave(torch.arange(self.n_centers), self.row_start.diff())


def random_lists(counts: list[int], n_elements: int = 1, longest: float = 6.0, seed: int = 0) -> Lists:
    """Give every center its number of neighbors, 0.9 to `longest` Å away; three of five or more are collinear."""
    rng = np.random.default_rng(seed)
    n = sum(counts)
    directions = rng.normal(size=(n, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    r = directions * rng.uniform(0.9, longest, (n, 1))
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    for first, count in zip(starts, counts, strict=False):
        if count >= 5:
            r[first + 1] = -1.25 * r[first] / np.linalg.norm(r[first])
            r[first + 2] = 1.5 * r[first] / np.linalg.norm(r[first])
    return Lists(torch.tensor(r), torch.tensor(starts), torch.tensor(rng.integers(0, n_elements, n)))


def uneven_mbp() -> dict[str, Tensor]:
    """Return functions of which no two share a width, some with real exponents."""
    arrays = {
        "radial_cutoff": [4.6],
        "radial_eta": [1.0, 8.0, 4.0, 0.5, 16.0],
        "radial_centers": [0.5, 2.2, 1.1, 3.0, 2.9],
        "angular_cutoff": [3.9],
        "angular_eta": [2.0, 0.3, 6.0],
        "angular_centers": [1.0, 2.0, 2.5],
        "angular_theta": [0.2, 1.1, 1.6, 2.0, 2.5, 3.1, 0.9],
        "angular_zeta": [1.0, 32.0, 2.5, 50.0, 7.0, 16.5, 3.0],
        "angular_epsilon": [1e-2],
    }
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}


def without(block: str, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the functions of one block, 'radial' or 'angular'."""
    empty = (f"{block}_eta", f"{block}_centers")
    return {name: value[:0] if name in empty else value for name, value in parameters.items()}


def longer_angles() -> dict[str, Tensor]:
    config = MbpConfig(n_radial=4, n_angular=4, n_theta=3, radial_cutoff=3.1, angular_cutoff=4.6, zeta=9.5)
    return mbp_parameters(config)


MBP_PARAMETERS = {
    "mbp": mbp_parameters(MbpConfig(n_radial=16, n_angular=6, n_theta=8)),
    "mbp_uneven": uneven_mbp(),
    "mbp_longer_angles": longer_angles(),
    "mbp_radial": without("angular", uneven_mbp()),
    "mbp_angular": without("radial", uneven_mbp()),
}
KINDS = [*MBP_PARAMETERS, "bp"]


def descriptor(name: str, n_elements: int) -> Descriptor:
    if name != "bp":
        return MbpDescriptor(n_elements, MBP_PARAMETERS[name])
    arrays = bp_arrays().items()
    parameters = {name.removeprefix("descriptor/").replace("/", "_"): torch.tensor(value) for name, value in arrays}
    return BpDescriptor(n_elements, parameters)


def arguments(functions: Descriptor, lists: Lists, precision: str = "double") -> tuple[Any, ...]:
    """Return what follows the input of an operator."""
    definition = (list(functions.parameter_arrays().values()), functions.kind, functions.n_elements, precision)
    return lists.displacements, lists.row_start, lists.neighbor_species, *definition


def by_reference(functions: Descriptor, lists: Lists) -> Tensor:
    """Return the PyTorch reference's features of the centers, a neighbor being an atom of its own."""
    centers = torch.zeros(lists.n_centers, dtype=torch.int64)
    species = torch.cat([centers, lists.neighbor_species])
    neighbors = lists.n_centers + torch.arange(len(lists.neighbor_species))
    return functions(lists.displacements, lists.centers, neighbors, species)[: lists.n_centers]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference in units of the largest number; 0 where there are none."""
    assert found.shape == expected.shape
    if expected.numel() == 0:
        return 0.0
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
