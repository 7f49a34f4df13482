"""Inputs of a panna potential with a repulsion beside its perceptrons, and what the two parts predict together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from panna_plus.families.panna.jacobian import DescriptorInputs
from panna_plus.families.panna.operators import DescribedGraph
from panna_plus.graph import AtomicGraph, moved_to
from panna_plus.layers.cutoff import quintic_cutoff
from panna_plus.layers.pairs import Pairs, safe_distances
from panna_plus.layers.repulsion import END, Repulsion
from panna_plus.potential import Prediction, from_pair_gradients


class EnvelopedRepulsion(torch.nn.Module):
    """The repulsion of nuclei under the quintic function of the model's cutoff.

    That one has two continuous derivatives; the cosine of the descriptors has one.

    Parameters
    ----------
    of_pairs : Repulsion
    cutoff : float, Å
    """

    cutoff: Tensor

    def __init__(self, of_pairs: Repulsion, cutoff: float):
        super().__init__()
        self.of_pairs = of_pairs
        self.register_buffer("cutoff", torch.tensor([cutoff], dtype=torch.float64), persistent=False)

    def forward(self, displacements: Tensor, centers: Tensor, neighbors: Tensor, species: Tensor) -> Tensor:
        """Return atomic energies (n_atoms,) float64 in eV."""
        distances = safe_distances(displacements)
        envelope = quintic_cutoff(distances, self.cutoff)
        return self.of_pairs(Pairs(distances, centers, neighbors), envelope, species)


@dataclass(frozen=True)
class RepelledInputs:
    """What the perceptrons take of some frames, and what the repulsion does.

    Attributes
    ----------
    described : DescriptorInputs or DescribedGraph
    close : AtomicGraph
        The same atoms with the pairs that repel each other.
    """

    described: DescriptorInputs | DescribedGraph
    close: AtomicGraph

    @property
    def n_atoms(self) -> int:
        return self.close.n_atoms

    @property
    def n_frames(self) -> int:
        return self.close.n_frames

    @property
    def species(self) -> Tensor:
        return self.close.species

    @property
    def frames(self) -> Tensor:
        return self.close.frames

    @property
    def volumes(self) -> Tensor:
        return self.close.volumes

    def to(self, device: torch.device | str) -> "RepelledInputs":
        """Return the inputs with every tensor on `device`."""
        return moved_to(self, device)

    @staticmethod
    def concatenate(parts: Sequence["RepelledInputs"]) -> "RepelledInputs":
        """Join inputs into one with all their frames, in order."""
        described = [p.described for p in parts]
        return RepelledInputs(
            described=type(described[0]).concatenate(described),  # type: ignore[arg-type]
            close=AtomicGraph.concatenate([p.close for p in parts]),
        )


def close_pairs(graph: AtomicGraph) -> AtomicGraph:
    """Return the graph with no other pairs than those that repel each other."""
    near = torch.nonzero(safe_distances(graph.displacements) < END).flatten()
    return AtomicGraph(
        species=graph.species,
        centers=graph.centers[near],
        neighbors=graph.neighbors[near],
        displacements=graph.displacements[near],
        frames=graph.frames,
        n_frames=graph.n_frames,
        volumes=graph.volumes,
        charges=graph.charges,
        spins=graph.spins,
    )


def repulsion_prediction(repulsion: EnvelopedRepulsion, close: AtomicGraph, create_graph: bool) -> Prediction:
    """Evaluate the repulsion alone."""
    displacements = close.displacements.detach().requires_grad_(True)
    atomic = repulsion(displacements, close.centers, close.neighbors, close.species)
    (gradient,) = torch.autograd.grad(
        atomic.sum(), displacements, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return from_pair_gradients(close, atomic, gradient)


def with_repulsion(network: Prediction, repulsion: Prediction) -> Prediction:
    """Add two parts of a prediction."""
    return Prediction(
        energies=network.energies + repulsion.energies,
        atomic_energies=network.atomic_energies + repulsion.atomic_energies,
        forces=network.forces + repulsion.forces,
        stress=network.stress + repulsion.stress,
        details={"repulsion_energies": repulsion.atomic_energies},
    )
