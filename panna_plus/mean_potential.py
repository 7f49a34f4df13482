"""Several potentials as one: a committee whose members have neither descriptor nor family in common."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from panna_plus.errors import ModelFileError, require
from panna_plus.graph import AtomicGraph, FrameStates
from panna_plus.potential import Potential, Prediction
from panna_plus.remarks import common_ranges


class MeanPotential(Potential):
    """The mean of potentials, each counted as often as it has members: as if all were merged into one file.

    Of details it has those that all of them have, as means. Elements and their order are those of the first.

    Parameters
    ----------
    parts : sequence of Potential
        With the same elements, in any order.
    """

    def __init__(self, parts: Sequence[Potential]):
        super().__init__(parts[0].elements, max(part.cutoff for part in parts))
        self.family = ", ".join(dict.fromkeys(part.family for part in parts))
        self.parts: Sequence[Potential] = torch.nn.ModuleList(parts)  # type: ignore[assignment]
        self.reach = max(part.reach for part in parts)
        self.n_exchanges = sum(part.n_exchanges for part in parts)
        self.n_members = sum(part.n_members for part in parts)
        for k, part in enumerate(parts):
            order = torch.tensor([part.elements.index(element) for element in self.elements])
            self.register_buffer(f"species_of_part_{k}", order)
            own = part.shortest_distances[order][:, order]
            self.shortest_distances.copy_(torch.maximum(self.shortest_distances, own))
            self.reference_energies += part.n_members / self.n_members * part.reference_energies[order]

    @property
    def state_ranges(self) -> dict[str, tuple[float, float]]:
        return common_ranges([part.state_ranges for part in self.parts])

    @property
    def detail_names(self) -> Sequence[str]:
        first, *others = (part.detail_names for part in self.parts)
        return [name for name in first if all(name in names for names in others)]

    def atomic_values(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> dict[str, Tensor]:
        distances = torch.linalg.vector_norm(displacements.detach(), dim=1)
        total = {name: torch.zeros_like(species, dtype=torch.float64) for name in ("energies", *self.detail_names)}
        for k, part in enumerate(self.parts):
            near = distances < part.cutoff
            pairs = displacements[near], centers[near], neighbors[near]
            values = part.atomic_values(*pairs, self._species_of_part(k)[species], states)
            share = part.n_members / self.n_members
            total = {name: value + share * values[name] for name, value in total.items()}
        return total

    def predict_members(self, graph: AtomicGraph) -> list[Prediction]:
        found = [part.predict_members(self._graph_of(k, graph)) for k, part in enumerate(self.parts)]
        return [member for members in found for member in members]

    def extrapolation(self, graph: AtomicGraph) -> Tensor | None:
        """Return the largest of the parts: an atom is known only if all of them know it."""
        found = [part.extrapolation(self._graph_of(k, graph)) for k, part in enumerate(self.parts)]
        known = [each for each in found if each is not None]
        return torch.stack(known).amax(dim=0) if len(known) == len(found) else None

    def _species_of_part(self, part: int) -> Tensor:
        return getattr(self, f"species_of_part_{part}")

    def _graph_of(self, part: int, graph: AtomicGraph) -> AtomicGraph:
        """Return the graph as a part counts elements, with the pairs within its cutoff."""
        near = torch.linalg.vector_norm(graph.displacements, dim=1) < self.parts[part].cutoff
        return replace(
            graph,
            species=self._species_of_part(part)[graph.species],
            centers=graph.centers[near],
            neighbors=graph.neighbors[near],
            displacements=graph.displacements[near],
        )


def mean_of(potentials: Sequence[Potential], names: Sequence[str]) -> Potential:
    """Return the mean of potentials, or the only one as it is.

    Parameters
    ----------
    potentials : sequence of Potential
    names : sequence of str
        Of the potentials, for errors.

    Raises
    ------
    ModelFileError
        Naming two that do not know the same elements, or if there are none.
    """
    require(len(potentials) > 0, ModelFileError, "a potential needs at least one model file")
    first = potentials[0]
    for other, name in zip(potentials[1:], names[1:], strict=True):
        require(
            sorted(first.elements) == sorted(other.elements),
            ModelFileError,
            f"several model files are one potential only if all know the same elements: '{names[0]}' knows "
            f"{' '.join(first.elements)}, '{name}' knows {' '.join(other.elements)}: leave one of them out, or train "
            "them with the same elements",
        )
    return first if len(potentials) == 1 else MeanPotential(potentials)
