"""The so3krates potential: E_i = E0 + N(x_i) - N(x of a lone atom) + terms, x from layers of equivariant attention."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import Tensor

from panna_plus.families.so3krates.attention import Edges, Layer
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.families.so3krates.embedding import Embedding
from panna_plus.families.so3krates.tables import radial_tables
from panna_plus.graph import AtomicGraph, FrameStates, frame_states, sum_by_index
from panna_plus.layers.cutoff import cosine_cutoff, exponential_cutoff, quintic_cutoff
from panna_plus.layers.element_table import ElementTable
from panna_plus.layers.initialization import linear
from panna_plus.layers.pairs import Pairs, safe_distances, unit_vectors
from panna_plus.layers.radial_basis import radial_basis
from panna_plus.layers.spherical_harmonics import SphericalHarmonics
from panna_plus.layers.terms import EnergyTerms
from panna_plus.potential import Potential
from panna_plus.remarks import require_whole_numbers

LONE_ATOM = ("reference", "network")


class EnergyHead(torch.nn.Module):
    """``e_i = scale_Z (w2 . act(W1 x_i + b1) + b2) + shift_Z``, in eV."""

    def __init__(self, config: So3kratesConfig, n_elements: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.inner = linear(config.n_features, config.energy_hidden, generator, dtype)
        self.outer = linear(config.energy_hidden, 1, generator, dtype)
        self.scale = ElementTable(torch.ones(n_elements, 1, dtype=dtype))
        self.shift = ElementTable(torch.zeros(n_elements, 1, dtype=dtype))
        self.is_linear = config.energy_activation == "linear"

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Return (N,) float64 of features (N, F)."""
        hidden = self.inner(x)
        if not self.is_linear:
            hidden = torch.nn.functional.silu(hidden)
        energies = self.scale(species) * self.outer(hidden) + self.shift(species)
        return energies.flatten().to(torch.float64)


class So3kratesPotential(Potential):
    """Equivariant attention between neighbors, plus energy terms of known form.

    Parameters
    ----------
    elements : sequence of str
    config : So3kratesConfig
    generator : torch.Generator
        Of the initial weights.
    lone_atom : {'reference', 'network'}
        'reference': the network's value for a neutral lone atom is subtracted, so that such an atom has exactly its
        reference energy; 'network': it is kept, as in imported potentials.

    Attributes
    ----------
    short_cutoff : (1,) float64, Å
        Of the layers. `cutoff`, that of the list of pairs, is the larger one of this and of the long-range terms:
        one list serves both, since every short pair is also a long one, and gradients come out per listed pair.
    message_norms : (2,) float64
        What messages of features and of Euclidean variables are divided by.
    charge_range, spin_range : (2,) float64
        Smallest and largest total charge and number of unpaired electrons of the training frames.
    """

    __jit_unused_properties__: ClassVar = ["n_parameters", "info_keys", "state_ranges", "detail_names"]
    family = "so3krates"
    short_cutoff: Tensor
    message_norms: Tensor
    charge_range: Tensor
    spin_range: Tensor

    def __init__(
        self,
        elements: Sequence[str],
        config: So3kratesConfig,
        generator: torch.Generator,
        lone_atom: str = "reference",
    ):
        super().__init__(elements, cutoff_of_pairs(config))
        if lone_atom not in LONE_ATOM:
            raise ValueError(f"lone_atom must be one of {', '.join(LONE_ATOM)}, found '{lone_atom}'")
        dtype, n = getattr(torch, config.dtype), len(self.elements)
        self.subtract_lone_atom = lone_atom == "reference"
        self.element_rows = "species"
        self.has_states = config.charge_embedding or config.spin_embedding
        self.cutoff_function = config.cutoff_function
        self.config = config
        self.reach, self.n_exchanges = reach_of(config), exchanges_of(config)
        self.embedding = Embedding(config, n, generator, dtype)
        self.harmonics = SphericalHarmonics(config.degrees)
        self.basis = radial_basis(config.radial_basis, config.n_radial, config.cutoff)
        self.layers = torch.nn.ModuleList([Layer(config, generator, dtype) for _ in range(config.n_layers)])
        self.energy = EnergyHead(config, n, generator, dtype)
        self.terms = EnergyTerms(config.terms, self.elements, config.n_features, config.energy_hidden, generator, dtype)
        self.register_buffer("short_cutoff", torch.tensor([config.cutoff], dtype=torch.float64))
        self.register_buffer("message_norms", torch.tensor(message_norms(config), dtype=torch.float64))
        self.register_buffer("charge_range", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("spin_range", torch.zeros(2, dtype=torch.float64))

    @property
    def state_ranges(self) -> dict[str, tuple[float, float]]:
        found: dict[str, tuple[float, float]] = {}
        if self.config.charge_embedding or self.config.terms.electrostatics:
            found["charge"] = limits_of(self.charge_range)
        if self.config.spin_embedding:
            found["spin"] = limits_of(self.spin_range)
        return found

    @property
    def detail_names(self) -> Sequence[str]:
        return ["network_energies", *self.terms.names]

    def atomic_values(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> dict[str, Tensor]:
        """Return (n_atoms,) float64 by name: 'energies', their parts, and what the terms give beside them.

        'network_energies' includes the reference energies; 'energies' is the sum of all parts.
        """
        if states is None:
            states = frame_states(species)
        # Geometry in float64: rounding a displacement would round its cancellations too.
        pairs = Pairs(safe_distances(displacements), centers, neighbors)
        near = torch.nonzero(pairs.distances < self.short_cutoff).flatten()
        short = Pairs(pairs.distances[near], centers[near], neighbors[near])
        envelope = self.envelope(short.distances)
        edges = self.edges(short, displacements[near], envelope)
        x = self.features(species, states, edges)
        network = self.network_energies(x, species, states, edges)
        values = self.terms(pairs, short, envelope, x[: species.shape[0]], species, states)
        total = network
        for name in ("repulsion_energies", "electrostatic_energies", "dispersion_energies"):
            if name in values:
                total = total + values[name]
        values["network_energies"] = network
        values["energies"] = total
        return values

    def envelope(self, distances: Tensor) -> Tensor:
        """Return the cutoff function (E,) float64."""
        if self.cutoff_function == "cosine":
            return cosine_cutoff(distances, self.short_cutoff)
        if self.cutoff_function == "exponential":
            return exponential_cutoff(distances, self.short_cutoff)
        return quintic_cutoff(distances, self.short_cutoff)

    def edges(self, pairs: Pairs, displacements: Tensor, envelope: Tensor) -> Edges:
        """Return what the layers take of the pairs within the short cutoff, in the precision of the weights."""
        dtype = self.energy.inner.weight.dtype
        units = unit_vectors(displacements, pairs.distances)
        return Edges(
            centers=pairs.centers,
            neighbors=pairs.neighbors,
            radial=self.basis(pairs.distances).to(dtype),
            harmonics=self.harmonics(units).to(dtype),
            envelopes=(envelope.unsqueeze(1) / self.message_norms).to(dtype),
        )

    def features(self, species: Tensor, states: FrameStates, edges: Edges) -> Tensor:
        """Return the features after the last layer.

        Where the energy of lone atoms is subtracted, one neutral atom of every element without neighbors follows the
        others, in a frame of their own: the same arithmetic gives the constants.
        """
        if self.subtract_lone_atom:
            species, states = with_lone_atoms(species, states, len(self.elements))
        x = self.embedding(species, states)
        v = torch.zeros([x.shape[0], edges.harmonics.shape[1]], dtype=x.dtype, device=x.device)
        for layer in self.layers:
            x, v = layer(x, v, edges)
        return x

    def network_energies(self, x: Tensor, species: Tensor, states: FrameStates, edges: Edges) -> Tensor:
        """Return reference plus network energies (n_atoms,) float64 of features (n_atoms + lone atoms, F)."""
        reference = self.reference_energies[species]
        if not self.subtract_lone_atom:
            return reference + self.energy(x, species)
        n_atoms, n_elements = species.shape[0], len(self.elements)
        lone = torch.arange(n_elements, device=species.device)
        values = self.energy(x, torch.cat([species, lone]))
        interaction = values[:n_atoms] - values[n_atoms:][species]
        # Matrix products round equal rows of a large batch differently: where nothing is seen, 0 itself.
        ones = torch.ones_like(edges.centers, dtype=torch.float64)
        is_lone = sum_by_index(ones, edges.centers, n_atoms) == 0.0
        if self.has_states:
            is_plain = (states.charges == 0.0) & (states.spins == 0.0)
            is_lone = is_lone & is_plain[states.of_atoms]
        return reference + torch.where(is_lone, torch.zeros_like(interaction), interaction)

    def prepare(self, graph: AtomicGraph) -> AtomicGraph:
        states = {"charge": graph.charges.tolist(), "spin": graph.spins.tolist()}
        require_whole_numbers(states, self.state_ranges)
        return graph

    def initialize(self, inputs: Sequence[AtomicGraph]) -> None:
        """Take the mean number of neighbors and the ranges of charge and spin from the training frames."""
        n_atoms = sum(g.n_atoms for g in inputs)
        n_pairs = sum(int((safe_distances(g.displacements) < self.short_cutoff).sum()) for g in inputs)
        if self.config.message_normalization == "neighbors":
            self.message_norms.fill_(max(n_pairs / max(n_atoms, 1), 1.0))
        for key, limits in (("charges", self.charge_range), ("spins", self.spin_range)):
            values = torch.cat([getattr(g, key) for g in inputs])
            limits.copy_(torch.stack([values.min(), values.max()]))

    def arrays(self) -> dict[str, np.ndarray]:
        own = {n: t for n, t in self.state_dict().items() if t.is_floating_point()}
        return {name.replace(".", "/"): t.cpu().numpy() for name, t in own.items()}

    def derived_arrays(self) -> dict[str, np.ndarray]:
        return radial_tables(self.basis, self.layers, self.config.cutoff).arrays()

    def family_parameters(self) -> dict[str, Any]:
        return {
            **self.config.model_dump(mode="json"),
            "lone_atom": "reference" if self.subtract_lone_atom else "network",
            "element_rows": self.element_rows,
        }

    def index_tables_by_atomic_number(self, n_rows: dict[str, int]) -> None:
        """Give every table of elements as many rows as `n_rows` says, row Z for atomic number Z."""
        self.element_rows = "atomic_numbers"
        numbers = [atomic_numbers[e] for e in self.elements]
        for name, module in self.named_modules():
            if isinstance(module, ElementTable):
                module.index_by(numbers, n_rows[name])


def limits_of(span: Tensor) -> tuple[float, float]:
    """Return a tensor of two numbers as such."""
    low, high = span.tolist()
    return low, high


def cutoff_of_pairs(config: So3kratesConfig) -> float:
    """Return the cutoff (Å) of the one list of pairs that layers and long-range terms share."""
    return max(config.cutoff, config.terms.long_range_cutoff) if config.terms.is_long_ranged else config.cutoff


def reach_of(config: So3kratesConfig) -> float:
    """Return how far (Å) an atom's energy depends on others, the neutralization of charges left aside."""
    return config.n_layers * config.cutoff + config.terms.is_long_ranged * config.terms.long_range_cutoff


def exchanges_of(config: So3kratesConfig) -> int:
    """Return how often neighbors must learn what atoms became: between layers, and before long-range terms."""
    return config.n_layers - 1 + config.terms.is_long_ranged


def message_norms(config: So3kratesConfig) -> tuple[float, float]:
    """Return what messages are divided by before any statistics: of features and of Euclidean variables."""
    if config.message_normalization == "features":
        n_features = config.n_features
        return math.sqrt(n_features / config.n_heads), math.sqrt(n_features / len(config.degrees))
    return 1.0, 1.0


def with_lone_atoms(species: Tensor, states: FrameStates, n_elements: int) -> tuple[Tensor, FrameStates]:
    """Append one atom of every element, in a further frame without charge and unpaired electrons."""
    n_frames = states.charges.shape[0]
    lone = torch.arange(n_elements, device=species.device)
    nothing = torch.zeros(1, dtype=torch.float64, device=species.device)
    return torch.cat([species, lone]), FrameStates(
        torch.cat([states.of_atoms, torch.full_like(lone, n_frames)]),
        torch.cat([states.charges, nothing]),
        torch.cat([states.spins, nothing]),
        torch.cat([states.is_owned, torch.ones_like(lone, dtype=torch.bool)]),
    )


def from_config(config: So3kratesConfig, elements: Sequence[str], seed: int) -> So3kratesPotential:
    """Build an untrained potential with random weights drawn from `seed`."""
    return So3kratesPotential(elements, config, torch.Generator().manual_seed(seed))


def from_arrays(
    elements: Sequence[str], parameters: dict[str, Any], arrays: dict[str, np.ndarray]
) -> So3kratesPotential:
    """Build the potential of a model file; the weights keep the precision that they are stored in."""
    options = {n: v for n, v in parameters.items() if n not in ("lone_atom", "element_rows")}
    potential = So3kratesPotential(
        elements, So3kratesConfig(**options), torch.Generator().manual_seed(0), parameters["lone_atom"]
    )
    if parameters["element_rows"] == "atomic_numbers":
        tables = [n for n, m in potential.named_modules() if isinstance(m, ElementTable)]
        potential.index_tables_by_atomic_number({n: len(arrays[n.replace(".", "/") + "/weight"]) for n in tables})
    for name, expected in potential.arrays().items():
        if arrays[name].shape != expected.shape:
            raise ValueError(f"array '{name}' must have shape {expected.shape}, found {arrays[name].shape}")
    stored = {name: a for name, a in arrays.items() if not name.startswith("tables/")}
    tensors = {name.replace("/", "."): torch.tensor(a) for name, a in stored.items()}
    potential.load_state_dict(tensors, assign=True)
    return potential
