"""The descriptors by the compiled operators of csrc/torch: same values as the PyTorch reference, many times faster.

A described graph keeps G of every atom. Training needs two more operators, each with the loops of the first: from
g = dE/dG to the gradient of every pair, and, for the gradient of the loss, its adjoint, a Jacobian-vector product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from panna_plus.errors import PannaPlusError, require
from panna_plus.families.panna.descriptors import Descriptor
from panna_plus.graph import AtomicGraph, moved_to, offsets

# Devices of torch, beside the CPU, that the operators serve.
DEVICE_TYPES = ["cuda"]
# Parameters of descriptors that live on a device: to fetch them in every step would make the host wait for the device.
HOST_PARAMETERS: WeakKeyDictionary[Descriptor, list[Tensor]] = WeakKeyDictionary()


def require_operators(device: torch.device) -> None:
    """Make sure that the operators, which must be loaded, run on a device.

    Raises
    ------
    PannaPlusError
        If they do not; the message says why.
    """
    if device.type == "cpu":
        return
    names = f"the CPU and {' and '.join(DEVICE_TYPES)}"
    require(
        device.type in DEVICE_TYPES,
        PannaPlusError,
        f"the native operators run on {names}, the potential is on {device}: use backend torch, or device cpu",
    )
    n_devices, reason = torch.ops.panna_plus.cuda_devices()
    found = reason or f"the engine sees {n_devices} CUDA devices, the potential is on {device}"
    require((device.index or 0) < n_devices, PannaPlusError, found)


@dataclass(frozen=True)
class DescribedGraph:
    """A graph with the descriptor values of its atoms.

    Attributes
    ----------
    graph : AtomicGraph
    features : (n_atoms, F) float64
    row_start : (n_atoms + 1,) int64
        Pairs of atom i are row_start[i] to row_start[i + 1].
    neighbor_species : (n_pairs,) int64
    """

    graph: AtomicGraph
    features: Tensor
    row_start: Tensor
    neighbor_species: Tensor

    @property
    def n_atoms(self) -> int:
        return self.graph.n_atoms

    @property
    def n_frames(self) -> int:
        return self.graph.n_frames

    @property
    def species(self) -> Tensor:
        return self.graph.species

    @property
    def frames(self) -> Tensor:
        return self.graph.frames

    @property
    def volumes(self) -> Tensor:
        return self.graph.volumes

    def to(self, device: torch.device | str) -> "DescribedGraph":
        """Return the inputs with every tensor on `device`."""
        return moved_to(self, device)

    @staticmethod
    def concatenate(parts: Sequence["DescribedGraph"]) -> "DescribedGraph":
        """Join inputs into one with all their frames, in order."""
        first_pair = offsets([p.neighbor_species.shape[0] for p in parts])
        starts = [p.row_start[:-1] + first for p, first in zip(parts, first_pair, strict=True)]
        return DescribedGraph(
            graph=AtomicGraph.concatenate([p.graph for p in parts]),
            features=torch.cat([p.features for p in parts]),
            row_start=torch.cat([*starts, parts[-1].row_start[-1:] + first_pair[-1]]),
            neighbor_species=torch.cat([p.neighbor_species for p in parts]),
        )


def described(descriptor: Descriptor, graph: AtomicGraph) -> DescribedGraph:
    """Evaluate the descriptor for one graph."""
    atoms = torch.arange(graph.n_atoms + 1, device=graph.centers.device)
    row_start = torch.searchsorted(graph.centers, atoms)
    neighbor_species = graph.species[graph.neighbors]
    values = torch.ops.panna_plus.descriptor(graph.displacements, row_start, neighbor_species, *definition(descriptor))
    return DescribedGraph(graph, values, row_start, neighbor_species)


def pair_gradient(
    descriptor: Descriptor, inputs: DescribedGraph, gradient: Tensor, precision: str = "double"
) -> Tensor:
    """Return dE/d(displacement) of every pair, (n_pairs, 3), from g = dE/dG, (n_atoms, F); linear in g.

    `precision` is that of the arithmetic: 'double', or 'mixed' for float32.
    """
    pairs = inputs.graph.displacements, inputs.row_start, inputs.neighbor_species
    return torch.ops.panna_plus.descriptor_backward(gradient, *pairs, *definition(descriptor, precision))


def definition(descriptor: Descriptor, precision: str = "double") -> tuple[Any, ...]:
    """Return the arguments that describe a descriptor to the operators."""
    return host_parameters(descriptor), descriptor.kind, descriptor.n_elements, precision


def host_parameters(descriptor: Descriptor) -> list[Tensor]:
    """Return the parameters on the CPU; they never change."""
    parameters = list(descriptor.parameter_arrays().values())
    if parameters[0].device.type == "cpu":
        return parameters
    if descriptor not in HOST_PARAMETERS:
        HOST_PARAMETERS[descriptor] = [p.cpu() for p in parameters]
    return HOST_PARAMETERS[descriptor]
