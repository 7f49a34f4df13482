"""The panna potential: E_i = E0 + N_X(G_i) - N_X(0), one perceptron N per element X on the descriptor values G.

A committee has several perceptrons per element on one descriptor; its energy is the mean of its members'. A potential
alone is a committee of one. To a potential alone a repulsion of nuclei may be added whose parameters are learned.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from panna_plus.families.panna.config import PannaConfig
from panna_plus.families.panna.descriptors import DESCRIPTORS, Descriptor, descriptor_from_config
from panna_plus.families.panna.jacobian import DescriptorInputs, descriptor_inputs
from panna_plus.families.panna.operators import DescribedGraph, described, pair_gradient, require_operators
from panna_plus.families.panna.repelled import (
    EnvelopedRepulsion,
    RepelledInputs,
    close_pairs,
    repulsion_prediction,
    with_repulsion,
)
from panna_plus.families.panna.statistics import FeatureStatistics, statistics_of
from panna_plus.families.panna.storage import (
    layer_arrays,
    member_folders,
    network_from_arrays,
    repulsion_arrays,
    statistics_arrays,
    statistics_from_arrays,
    stored_repulsion,
)
from panna_plus.graph import AtomicGraph, FrameStates, sum_by_index
from panna_plus.layers.perceptron import DenseLayer, random_perceptron
from panna_plus.layers.repulsion import Repulsion
from panna_plus.layers.terms import TermsConfig
from panna_plus.native.torch_libraries import load_ops
from panna_plus.potential import Potential, Prediction, detached, forces_of, from_pair_gradients, stress_of

LONE_ATOM = ("reference", "network")
REPULSION_ALONE = TermsConfig(repulsion=True)


class PannaPotential(Potential):
    """Local potential of a descriptor and one perceptron per element.

    Parameters
    ----------
    elements : sequence of str
    descriptor : Descriptor
    networks : sequence of torch.nn.Sequential
        One per element, n_features -> 1, of `DenseLayer`; of a committee those of the first member, then those of the
        second one, ...
    lone_atom : {'reference', 'network'}
        'reference': the perceptron's value at zero neighbors is subtracted, so that a lone atom has exactly its
        reference energy; 'network': it is kept, as in imported potentials.
    repulsion : Repulsion, optional
        Added to the perceptrons, not of a committee.

    Attributes
    ----------
    feature_mean, feature_scale : (n_networks, n_features) float64
        The input of a network is (G - mean) / scale.
    member_offsets : (n_members, n_elements) float64, eV
        Reference energies of the members less their mean, which is `reference_energies`.
    statistics : list of FeatureStatistics, or None
        What the training atoms of each element looked like, where it is known.
    """

    family = "panna"
    backends: ClassVar = ("native", "torch")
    feature_mean: Tensor
    feature_scale: Tensor
    member_offsets: Tensor

    def __init__(
        self,
        elements: Sequence[str],
        descriptor: Descriptor,
        networks: Sequence[torch.nn.Sequential],
        lone_atom: str = "reference",
        repulsion: Repulsion | None = None,
    ):
        super().__init__(elements, descriptor.cutoff)
        if lone_atom not in LONE_ATOM:
            raise ValueError(f"lone_atom must be one of {', '.join(LONE_ATOM)}, found '{lone_atom}'")
        for network in networks:
            require_sizes(network, descriptor.n_features)
        self.descriptor = descriptor
        self.networks = torch.nn.ModuleList(networks)
        self.subtract_lone_atom = lone_atom == "reference"
        shape = (len(networks), descriptor.n_features)
        self.register_buffer("feature_mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("feature_scale", torch.ones(shape, dtype=torch.float64))
        self.n_members = len(networks) // len(self.elements)
        if repulsion is not None and self.n_members > 1:
            raise ValueError("a committee has no repulsion: those of its members would differ")
        self.repulsion = None if repulsion is None else EnvelopedRepulsion(repulsion, self.cutoff)
        offsets = torch.zeros(self.n_members, len(self.elements), dtype=torch.float64)
        # Not part of a checkpoint: what is trained is one member, whose offsets are zero.
        self.register_buffer("member_offsets", offsets, persistent=False)
        self.statistics: list[FeatureStatistics] | None = None

    @property
    def detail_names(self) -> Sequence[str]:
        return () if self.repulsion is None else ("repulsion_energies",)

    def atomic_values(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> dict[str, Tensor]:
        features = self.descriptor(displacements, centers, neighbors, species)
        values = {"energies": self.energies_of_features(features, species)}
        if self.repulsion is not None:
            repelled = self.repulsion(displacements, centers, neighbors, species)
            values["repulsion_energies"] = repelled
            values["energies"] = values["energies"] + repelled
        return values

    def energies_of_features(self, features: Tensor, species: Tensor) -> Tensor:
        """Return atomic energies (n_atoms,) float64 of descriptor values (n_atoms, F) float64."""
        return self.member_energies(features, species).mean(dim=0)

    def member_energies(self, features: Tensor, species: Tensor) -> Tensor:
        """Return the atomic energies of every member, (n_members, n_atoms) float64."""
        n_elements = len(self.elements)
        energies = (self.reference_energies + self.member_offsets)[:, species].flatten()
        for n, network in enumerate(self.networks):
            s = n % n_elements
            atoms = torch.nonzero(species == s).flatten()
            # One more row, zero neighbors, gives the constant of the lone atom by the same arithmetic.
            rows = torch.cat([features[atoms], torch.zeros_like(self.feature_mean[n : n + 1])])
            scaled = (rows - self.feature_mean[n]) / self.feature_scale[n]
            first = network[0]  # type: ignore[index]
            output = network(scaled.to(first.weight.dtype)).flatten().to(torch.float64)
            value = output[:-1]
            if self.subtract_lone_atom:
                # Matrix products round equal rows of a large batch differently: where nothing is seen, 0 itself.
                is_lone = (rows[:-1] == 0.0).all(dim=1)
                value = torch.where(is_lone, torch.zeros_like(value), value - output[-1])
            energies = energies.index_add(0, n // n_elements * species.shape[0] + atoms, value)
        return energies.view(self.n_members, species.shape[0])

    def use_backend(self, name: str, say: Callable[[str], None] = lambda _: None) -> None:
        if name == "native":
            load_ops(say)
            require_operators(self.reference_energies.device)
        super().use_backend(name, say)

    def prepare(self, graph: AtomicGraph) -> DescriptorInputs | DescribedGraph | RepelledInputs:
        """Return the descriptor values and, for the PyTorch reference, their sparse Jacobian; also close pairs.

        None of them changes in a training. The native operators are faster than memory: they make the Jacobian anew.
        """
        inputs = (
            described(self.descriptor, graph) if self.backend == "native" else descriptor_inputs(self.descriptor, graph)
        )
        return inputs if self.repulsion is None else RepelledInputs(inputs, close_pairs(graph))

    def predict(self, inputs: Any, create_graph: bool = False) -> Prediction:
        if isinstance(inputs, AtomicGraph):
            # The Jacobian of the PyTorch reference is worth making only for many evaluations.
            if self.backend != "native":
                return super().predict(inputs, create_graph)
            inputs = self.prepare(inputs)
        with torch.enable_grad():
            prediction = self.predict_prepared(inputs, create_graph)
        return prediction if create_graph else detached(prediction)

    def predict_prepared(self, inputs: Any, create_graph: bool) -> Prediction:
        """Evaluate what `prepare` returned."""
        if self.repulsion is not None and isinstance(inputs, RepelledInputs):
            network = self.predict_prepared(inputs.described, create_graph)
            repulsion = repulsion_prediction(self.repulsion, inputs.close, create_graph)
            return with_repulsion(network, repulsion)
        features = inputs.features.detach().requires_grad_(True)
        atomic = self.energies_of_features(features, inputs.species)
        (gradient,) = torch.autograd.grad(atomic.sum(), features, create_graph=create_graph)
        return self.from_feature_gradient(inputs, atomic, gradient)

    def predict_members(self, graph: AtomicGraph) -> list[Prediction]:
        if self.n_members == 1:
            return super().predict_members(graph)
        with torch.enable_grad():
            displacements = graph.displacements.detach().requires_grad_(True)
            features = self.descriptor(displacements, graph.centers, graph.neighbors, graph.species)
            energies = self.member_energies(features, graph.species)
            gradients = [
                torch.autograd.grad(
                    own.sum(), displacements, retain_graph=True, allow_unused=True, materialize_grads=True
                )[0]
                for own in energies
            ]
        pairs = zip(energies, gradients, strict=True)
        return [detached(from_pair_gradients(graph, own, gradient)) for own, gradient in pairs]

    def extrapolation(self, graph: AtomicGraph) -> Tensor | None:
        if self.statistics is None:
            return None
        features, species = self.features_of(graph).cpu().numpy(), graph.species.cpu().numpy()
        values = np.zeros(len(species))
        for s, statistics in enumerate(self.statistics):
            values[species == s] = statistics.extrapolation(features[species == s])
        return torch.from_numpy(values)

    def from_feature_gradient(
        self, inputs: DescriptorInputs | DescribedGraph, atomic_energies: Tensor, gradient: Tensor
    ) -> Prediction:
        """Assemble a prediction from dE/dG, (n_atoms, F)."""
        if isinstance(inputs, DescriptorInputs):
            return from_jacobian(inputs, atomic_energies, gradient.to(inputs.jacobian.dtype))
        pairs = pair_gradient(self.descriptor, inputs, gradient, self.jacobian_precision())
        return from_pair_gradients(inputs.graph, atomic_energies, pairs)

    def jacobian_precision(self) -> str:
        """Return the arithmetic of the native operators' forces: on a GPU that of the weights, else 'double'."""
        weight = next(self.networks.parameters())
        return "mixed" if weight.device.type != "cpu" and weight.dtype == torch.float32 else "double"

    def initialize(self, inputs: Sequence[Any]) -> None:
        """Standardise each element's features by their mean and deviation over the training atoms.

        Their statistics are kept: what a file says of how far an atom is from the training data.
        """
        features = torch.cat([self.features_of(i) for i in inputs])
        species = torch.cat([i.species for i in inputs])
        self.statistics = []
        for s in range(len(self.elements)):
            rows = features[species == s]
            self.statistics.append(statistics_of(rows.cpu().numpy()))
            if len(rows):
                deviation = rows.std(dim=0, unbiased=False)
                # A feature that never varies carries nothing; scaling it up would amplify what training never saw.
                floor = 1e-3 * deviation.max().clamp(min=1e-12)
                self.feature_mean[s] = rows.mean(dim=0)
                self.feature_scale[s] = deviation.clamp(min=float(floor))

    def features_of(self, inputs: Any) -> Tensor:
        """Return the descriptor values, (n_atoms, F) float64, of a graph or of what `prepare` made of it."""
        if isinstance(inputs, RepelledInputs):
            return inputs.described.features
        if not isinstance(inputs, AtomicGraph):
            return inputs.features
        if self.backend == "native":
            return described(self.descriptor, inputs).features
        with torch.no_grad():
            return self.descriptor(inputs.displacements, inputs.centers, inputs.neighbors, inputs.species)

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = super().arrays()
        for name, value in self.descriptor.parameter_arrays().items():
            arrays["descriptor/" + name.replace("_", "/", 1)] = value.cpu().numpy()
        for member, folder in enumerate(member_folders(self.n_members)):
            if self.n_members > 1:
                energies = self.reference_energies + self.member_offsets[member]
                arrays[folder + "reference_energies"] = energies.cpu().numpy()
            for s, element in enumerate(self.elements):
                arrays |= {f"{folder}element/{element}/{n}": a for n, a in self.network_arrays(member, s).items()}
        if self.statistics is not None:
            arrays |= statistics_arrays(self.elements, self.statistics)
        if self.repulsion is not None:
            arrays |= repulsion_arrays(self.repulsion.of_pairs)
        return arrays

    def network_arrays(self, member: int, species: int) -> dict[str, np.ndarray]:
        """Return what a model file stores of one network, by name."""
        n = member * len(self.elements) + species
        arrays = {name: getattr(self, name)[n].cpu().numpy() for name in ("feature_mean", "feature_scale")}
        return arrays | layer_arrays(self.layers(member)[species])

    def layers(self, member: int = 0) -> list[list[DenseLayer]]:
        """Return the layers of each element's perceptron in a member."""
        n = len(self.elements)
        networks = list(self.networks)[member * n : (member + 1) * n]
        return [[layer for layer in network.children() if isinstance(layer, DenseLayer)] for network in networks]

    def activations(self, member: int) -> dict[str, list[str]]:
        """Return the activations of a member's layers by element."""
        layers = zip(self.elements, self.layers(member), strict=True)
        return {element: [layer.activation for layer in network] for element, network in layers}

    def family_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "descriptor": {"type": self.descriptor.kind},
            "activations": self.activations(0),
            "lone_atom": "reference" if self.subtract_lone_atom else "network",
        }
        if self.n_members > 1:
            parameters["members"] = [{"activations": self.activations(member)} for member in range(self.n_members)]
        if self.repulsion is not None:
            parameters["terms"] = REPULSION_ALONE.model_dump(mode="json")
        return parameters


def require_sizes(network: torch.nn.Sequential, n_features: int) -> None:
    """Raise ValueError unless the layers fit each other, the descriptor and one energy."""
    n_in = n_features
    for k, layer in enumerate(network):
        parameters = dict(layer.named_parameters())
        found, n_out = tuple(parameters["weight"].shape), parameters["bias"].numel()
        if found != (n_out, n_in):
            raise ValueError(f"layer {k} must have weights of shape {(n_out, n_in)}, found {found}")
        n_in = n_out
    if n_in != 1:
        raise ValueError(f"the last layer must have one output, found {n_in}")


def from_jacobian(inputs: DescriptorInputs, atomic_energies: Tensor, gradient: Tensor) -> Prediction:
    """Assemble a prediction from dE/dG (n_atoms, F) and the cached Jacobian: two matrix products."""
    n_features = gradient.shape[1]
    touched = inputs.touched[inputs.species[inputs.neighbors]]
    seen = gradient.flatten()[inputs.centers.unsqueeze(1) * n_features + touched]
    pair_gradient = torch.bmm(seen.unsqueeze(1), inputs.jacobian).squeeze(1).to(torch.float64)
    of_atoms = torch.bmm(gradient[inputs.strained].unsqueeze(1), inputs.strain_jacobian).squeeze(1).to(torch.float64)
    strain_gradient = sum_by_index(of_atoms, inputs.frames[inputs.strained], inputs.n_frames)
    full = strain_gradient[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]].view(-1, 3, 3)
    return Prediction(
        energies=sum_by_index(atomic_energies, inputs.frames, inputs.n_frames),
        atomic_energies=atomic_energies,
        forces=forces_of(pair_gradient, inputs.centers, inputs.neighbors, inputs.n_atoms),
        stress=stress_of(full, inputs.volumes),
    )


def from_config(config: PannaConfig, elements: Sequence[str], seed: int) -> PannaPotential:
    """Build an untrained potential with random weights drawn from `seed`."""
    descriptor = descriptor_from_config(config.descriptor, len(elements))
    generator = torch.Generator().manual_seed(seed)
    sizes = (descriptor.n_features, *config.network.hidden, 1)
    dtype = getattr(torch, config.dtype)
    networks = [random_perceptron(sizes, config.network.activation, generator, dtype) for _ in elements]
    repulsion = Repulsion(list(elements), dtype) if config.terms.repulsion else None
    return PannaPotential(elements, descriptor, networks, repulsion=repulsion)


def from_arrays(elements: Sequence[str], parameters: dict[str, Any], arrays: dict[str, np.ndarray]) -> PannaPotential:
    """Build the potential of a model file; the weights keep the precision that they are stored in."""
    prefix = "descriptor/"
    buffers = {n[len(prefix) :].replace("/", "_"): torch.tensor(a) for n, a in arrays.items() if n.startswith(prefix)}
    descriptor = DESCRIPTORS[parameters["descriptor"]["type"]](len(elements), buffers)
    members = parameters.get("members", [parameters])
    folders = member_folders(len(members))
    places = [
        (f"{folder}element/{element}/", member["activations"][element])
        for folder, member in zip(folders, members, strict=True)
        for element in elements
    ]
    networks = [network_from_arrays(place, activations, arrays) for place, activations in places]
    repulsion = stored_repulsion(elements, arrays) if "terms" in parameters else None
    potential = PannaPotential(elements, descriptor, networks, parameters["lone_atom"], repulsion)
    for n, (place, _) in enumerate(places):
        potential.feature_mean[n] = torch.tensor(arrays[place + "feature_mean"])
        potential.feature_scale[n] = torch.tensor(arrays[place + "feature_scale"])
    potential._load_common(arrays)
    for member, folder in enumerate(folders):
        energies = torch.tensor(arrays[folder + "reference_energies"])
        potential.member_offsets[member] = energies - potential.reference_energies
    potential.statistics = statistics_from_arrays(elements, arrays)
    return potential
