"""What every potential is: atomic energies from displacements; energy, forces and stress derived once for all.

A family implements one method, `atomic_energies`. Forces and stress follow from one gradient per directed pair,
g_ij = dE/dr_ij:

    F_i = sum_j g_ij - sum_j g_ji        stress = 1/V sum_ij r_ij (x) g_ij
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from panna_plus.errors import ConfigError, require
from panna_plus.graph import AtomicGraph, FrameStates, frame_states, sum_by_index
from panna_plus.remarks import remarks_on, require_known_states


class Inputs(Protocol):
    """What a potential is evaluated on: a graph, or what the family's `prepare` made of it."""

    @property
    def n_atoms(self) -> int: ...
    @property
    def n_frames(self) -> int: ...
    @property
    def species(self) -> Tensor: ...
    @property
    def frames(self) -> Tensor: ...
    @property
    def volumes(self) -> Tensor: ...
    def to(self, device: torch.device | str) -> "Inputs": ...
    @staticmethod
    def concatenate(parts: Sequence[Any]) -> "Inputs": ...


@dataclass(frozen=True)
class Prediction:
    """Results of a potential.

    Attributes
    ----------
    energies : (n_frames,) float64, eV
    atomic_energies : (n_atoms,) float64, eV
        Reference energies included; they sum to the energies.
    forces : (n_atoms, 3) float64, eV/Å
    stress : (n_frames, 3, 3) float64, eV/Å³
        Tension positive; NaN for a frame without a volume.
    details : mapping of name to (n_atoms,) tensor
        What else the family knows of atoms, such as charges or the parts of the energy.
    """

    energies: Tensor
    atomic_energies: Tensor
    forces: Tensor
    stress: Tensor
    details: Mapping[str, Tensor] = field(default_factory=dict)


class Potential(torch.nn.Module):
    """Base of all potentials.

    Parameters
    ----------
    elements : sequence of str
        Chemical symbols in species order.
    cutoff : float, Å
        Of the list of pairs that it takes, its longest.

    Attributes
    ----------
    reach : float, Å
        Distance over which an atomic energy depends on its surroundings.
    n_exchanges : int
        How often what was computed for atoms must be known of their neighbors before the energy follows.
    state_ranges : mapping of str to (float, float)
        Entries of `atoms.info` that the energy depends on, with the smallest and largest value of the training.
    info_keys : sequence of str
        The keys of `state_ranges`.
    detail_names : sequence of str
        Names of the details of a prediction.
    n_members : int
        Of a committee, whose energy is the mean of theirs; 1 for a potential alone.
    reference_energies : (n_elements,) float64, eV
        Energy of the isolated atom, part of the atomic energies.
    shortest_distances : (n_elements, n_elements) float64, Å
        Shortest distance of each pair of elements in the training data; 0 where it never occurred.
    """

    __jit_unused_properties__: ClassVar = ["n_parameters", "info_keys", "state_ranges", "detail_names"]
    # What may evaluate `predict`, the fastest first.
    backends: ClassVar[tuple[str, ...]] = ("torch",)
    family: str
    reference_energies: Tensor
    shortest_distances: Tensor

    def __init__(self, elements: Sequence[str], cutoff: float):
        super().__init__()
        self.elements = list(elements)
        self.cutoff = float(cutoff)
        self.backend = "torch"
        n = len(self.elements)
        self.register_buffer("reference_energies", torch.zeros(n, dtype=torch.float64))
        self.register_buffer("shortest_distances", torch.zeros(n, n, dtype=torch.float64))
        self.reach, self.n_exchanges = self.cutoff, 0
        self.n_members = 1

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @property
    def state_ranges(self) -> dict[str, tuple[float, float]]:
        return {}

    @property
    def info_keys(self) -> Sequence[str]:
        return tuple(self.state_ranges)

    @property
    def detail_names(self) -> Sequence[str]:
        return ()

    def use_backend(self, name: str, say: Callable[[str], None] = lambda _: None) -> None:
        """Choose what evaluates `predict` from now on; `forward` and exported files know PyTorch alone.

        Parameters
        ----------
        name : str
            One of `backends`: 'torch', the reference, or 'native', compiled operators where the family has them.
        say : callable (str)
            Receives a line if something has to be compiled first.

        Raises
        ------
        ConfigError
            If the family does not have it.
        PannaPlusError
            If it cannot be built or loaded here, or does not serve the device of the potential.
        """
        require(
            name in self.backends,
            ConfigError,
            f"the family {self.family} is evaluated by {' or '.join(self.backends)}, not by '{name}'",
        )
        self.backend = name

    def atomic_energies(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> Tensor:
        """Return the energies of all atoms, (n_atoms,) float64 eV, differentiable with respect to `displacements`.

        `states` says what belongs to whole frames; without it all atoms are one neutral frame of paired electrons.
        """
        return self.atomic_values(displacements, centers, neighbors, species, states)["energies"]

    def atomic_values(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> dict[str, Tensor]:
        """Return the atomic energies under "energies", and under other names what else a family knows of atoms."""
        raise RuntimeError(f"{type(self).__name__} does not define atomic_values")

    def forward(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        frames: Tensor | None = None,
        charges: Tensor | None = None,
        spins: Tensor | None = None,
        is_owned: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return atomic energies (n_atoms,) and dE/d(displacement) (n_pairs, 3); this is what an exported file runs.

        The last four arguments are those of `FrameStates`; without them all atoms are one neutral frame of paired
        electrons, and none is a copy. E is the sum over atoms that are owned; energies of copies mean nothing. The
        caller must not have switched automatic differentiation off.
        """
        displacements = displacements.detach().requires_grad_(True)
        states = frame_states(species, frames, charges, spins, is_owned)
        energies = self.atomic_energies(displacements, centers, neighbors, species, states)
        total = energies.sum() if is_owned is None else energies[is_owned].sum()
        gradient = torch.autograd.grad([total], [displacements], allow_unused=True)[0]
        # Without pairs nothing depends on the displacements.
        if gradient is None:
            gradient = torch.zeros_like(displacements)
        return energies.detach(), gradient.detach()

    def predict(self, inputs: Any, create_graph: bool = False) -> Prediction:
        """Evaluate a graph.

        Parameters
        ----------
        inputs : AtomicGraph
        create_graph : bool
            Keep what a training needs to differentiate the forces with respect to the parameters.
        """
        with torch.enable_grad():
            displacements = inputs.displacements.detach().requires_grad_(True)
            details = self.atomic_values(displacements, inputs.centers, inputs.neighbors, inputs.species, inputs.states)
            atomic = details.pop("energies")
            (gradient,) = torch.autograd.grad(
                atomic.sum(), displacements, create_graph=create_graph, allow_unused=True, materialize_grads=True
            )
        prediction = replace(from_pair_gradients(inputs, atomic, gradient), details=details)
        return prediction if create_graph else detached(prediction)

    def predict_members(self, graph: AtomicGraph) -> list[Prediction]:
        """Evaluate the members of a committee, whose mean is what `predict` returns."""
        return [self.predict(graph)]

    def extrapolation(self, graph: AtomicGraph) -> Tensor | None:
        """Return how far every atom is from the training data, (n_atoms,) float64; None where nothing is known."""
        return None

    def prepare(self, graph: AtomicGraph) -> Any:
        """Return what `predict` should be given again and again in a training: here the graph itself."""
        return graph

    def check(self, charges: Tensor, spins: Tensor) -> None:
        """Refuse frames that the potential was not made for, by `state_ranges`.

        Parameters
        ----------
        charges, spins : (n_frames,) float64
            Total charges in e and numbers of unpaired electrons.

        Raises
        ------
        DataError
            Naming the number that means nothing to the potential: where it counts, no whole number, or a spin that the
            training did not have.
        """
        require_known_states({"charge": charges.tolist(), "spin": spins.tolist()}, self.state_ranges)

    def remarks(self, graph: AtomicGraph, prediction: Prediction) -> dict[str, str]:
        """Return by kind what a user should know about a prediction; who shows them shows every kind once."""
        details = {name: value.detach().cpu().numpy() for name, value in prediction.details.items()}
        is_periodic = (~torch.isnan(graph.volumes)).tolist()
        species = graph.species.cpu().numpy()
        return remarks_on(graph.charges.tolist(), is_periodic, species, details, self.elements, self.state_ranges)

    def initialize(self, inputs: Sequence[Any]) -> None:
        """Set what depends on the statistics of the training inputs; the base class has nothing to set."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that a potential is made of, named by meaning."""
        return {
            "reference_energies": self.reference_energies.cpu().numpy(),
            "shortest_distances": self.shortest_distances.cpu().numpy(),
        }

    def derived_arrays(self) -> dict[str, np.ndarray]:
        """Return what a model file stores beside `arrays`: what the native engine would have to compute from them.

        Call it on a frozen potential in float64.
        """
        return {}

    def family_parameters(self) -> dict[str, Any]:
        """Return the part of the card that tells a reader how to use the arrays."""
        return {}

    def _load_common(self, arrays: dict[str, np.ndarray]) -> None:
        self.reference_energies.copy_(torch.as_tensor(arrays["reference_energies"]))
        self.shortest_distances.copy_(torch.as_tensor(arrays["shortest_distances"]))


def from_pair_gradients(graph: AtomicGraph, atomic_energies: Tensor, gradient: Tensor) -> Prediction:
    """Assemble energies, forces and stress from atomic energies and dE/d(displacement) of every directed pair."""
    outer = graph.displacements.unsqueeze(2) * gradient.unsqueeze(1)
    strain_gradient = sum_by_index(outer, graph.frames[graph.centers], graph.n_frames)
    return Prediction(
        energies=sum_by_index(atomic_energies, graph.frames, graph.n_frames),
        atomic_energies=atomic_energies,
        forces=forces_of(gradient, graph.centers, graph.neighbors, graph.n_atoms),
        # Symmetric by rotational invariance; averaged so that rounding does not show.
        stress=stress_of(0.5 * (strain_gradient + strain_gradient.transpose(1, 2)), graph.volumes),
    )


def forces_of(gradient: Tensor, centers: Tensor, neighbors: Tensor, n_atoms: int) -> Tensor:
    """Return forces (n_atoms, 3) from the gradient of the energy for each pair (n_pairs, 3), center to neighbor."""
    return sum_by_index(gradient, centers, n_atoms) - sum_by_index(gradient, neighbors, n_atoms)


def stress_of(strain_gradient: Tensor, volumes: Tensor) -> Tensor:
    """Divide dE/dstrain (n_frames, 3, 3) by the volumes (n_frames,); NaN where there is none.

    Dividing by NaN itself would put NaN into the gradients of the frames that do have a volume.
    """
    known = ~torch.isnan(volumes)[:, None, None]
    divisor = torch.where(known, volumes[:, None, None], torch.ones_like(volumes)[:, None, None])
    return torch.where(known, strain_gradient / divisor, torch.full_like(strain_gradient, torch.nan))


def detached(prediction: Prediction) -> Prediction:
    """Return the prediction cut off from automatic differentiation."""
    return Prediction(
        prediction.energies.detach(),
        prediction.atomic_energies.detach(),
        prediction.forces.detach(),
        prediction.stress.detach(),
        {name: value.detach() for name, value in prediction.details.items()},
    )
