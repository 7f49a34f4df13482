"""The panna potential: E_i = E0 + N_X(G_i) - N_X(0), one perceptron N per element X on the descriptor values G.

A repulsion of nuclei whose parameters are learned may be added.
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
from panna_plus.graph import AtomicGraph, FrameStates, sum_by_index
from panna_plus.layers.perceptron import DenseLayer, random_perceptron
from panna_plus.layers.repulsion import Repulsion
from panna_plus.layers.terms import TermsConfig
from panna_plus.native.torch_libraries import load_ops
from panna_plus.potential import Potential, Prediction, detached, forces_of, from_pair_gradients, stress_of

LONE_ATOM = ("reference", "network")
REPULSION_ALONE = TermsConfig(repulsion=True)
REPULSION_FOLDER = "terms/repulsion/"


class PannaPotential(Potential):
    """Local potential of a descriptor and one perceptron per element.

    Parameters
    ----------
    elements : sequence of str
    descriptor : Descriptor
    networks : sequence of torch.nn.Sequential
        One per element, n_features -> 1, of `DenseLayer`.
    lone_atom : {'reference', 'network'}
        'reference': the perceptron's value at zero neighbors is subtracted, so that a lone atom has exactly its
        reference energy; 'network': it is kept, as in imported potentials.
    repulsion : Repulsion, optional
        Added to the perceptrons.
    """

    family = "panna"
    backends: ClassVar = ("native", "torch")
    feature_mean: Tensor
    feature_scale: Tensor

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
        shape = (len(self.elements), descriptor.n_features)
        self.register_buffer("feature_mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("feature_scale", torch.ones(shape, dtype=torch.float64))
        self.repulsion = None if repulsion is None else EnvelopedRepulsion(repulsion, self.cutoff)

    @property
    def detail_names(self) -> Sequence[str]:
        return () if self.repulsion is None else ("repulsion_energies",)

    def atomic_energies(
        self,
        displacements: Tensor,
        centers: Tensor,
        neighbors: Tensor,
        species: Tensor,
        states: FrameStates | None = None,
    ) -> Tensor:
        return self.atomic_values(displacements, centers, neighbors, species, states)["energies"]

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
        energies = self.reference_energies[species]
        for s, network in enumerate(self.networks):
            atoms = torch.nonzero(species == s).flatten()
            # One more row, zero neighbors, gives the constant of the lone atom by the same arithmetic.
            rows = torch.cat([features[atoms], torch.zeros_like(self.feature_mean[s : s + 1])])
            scaled = (rows - self.feature_mean[s]) / self.feature_scale[s]
            first = network[0]  # type: ignore[index]
            output = network(scaled.to(first.weight.dtype)).flatten().to(torch.float64)
            value = output[:-1]
            if self.subtract_lone_atom:
                # Matrix products round equal rows of a large batch differently: where nothing is seen, 0 itself.
                is_lone = (rows[:-1] == 0.0).all(dim=1)
                value = torch.where(is_lone, torch.zeros_like(value), value - output[-1])
            energies = energies.index_add(0, atoms, value)
        return energies

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
        """Standardise each element's features by their mean and deviation over the training atoms."""
        features = torch.cat([self.features_of(i) for i in inputs])
        species = torch.cat([i.species for i in inputs])
        for s in range(len(self.elements)):
            rows = features[species == s]
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
        for s, (element, layers) in enumerate(zip(self.elements, self.layers(), strict=True)):
            arrays[f"element/{element}/feature_mean"] = self.feature_mean[s].cpu().numpy()
            arrays[f"element/{element}/feature_scale"] = self.feature_scale[s].cpu().numpy()
            for k, layer in enumerate(layers):
                arrays[f"element/{element}/layer/{k}/weight"] = layer.weight.detach().cpu().numpy()
                arrays[f"element/{element}/layer/{k}/bias"] = layer.bias.detach().cpu().numpy()
        if self.repulsion is not None:
            for name, value in self.repulsion.of_pairs.state_dict().items():
                arrays[REPULSION_FOLDER + name] = value.cpu().numpy()
        return arrays

    def layers(self) -> list[list[DenseLayer]]:
        """Return the layers of each element's perceptron."""
        return [[layer for layer in network.children() if isinstance(layer, DenseLayer)] for network in self.networks]

    def family_parameters(self) -> dict[str, Any]:
        terms = {} if self.repulsion is None else {"terms": REPULSION_ALONE.model_dump(mode="json")}
        return terms | {
            "descriptor": {"type": self.descriptor.kind},
            "activations": {
                e: [layer.activation for layer in layers]
                for e, layers in zip(self.elements, self.layers(), strict=True)
            },
            "lone_atom": "reference" if self.subtract_lone_atom else "network",
        }


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
    networks = []
    for element in elements:
        layers = []
        for k, activation in enumerate(parameters["activations"][element]):
            weight, bias = (torch.tensor(arrays[f"element/{element}/layer/{k}/{part}"]) for part in ("weight", "bias"))
            layers.append(DenseLayer(weight, bias, activation))
        networks.append(torch.nn.Sequential(*layers))
    repulsion = stored_repulsion(elements, arrays) if "terms" in parameters else None
    potential = PannaPotential(elements, descriptor, networks, parameters["lone_atom"], repulsion)
    for s, element in enumerate(elements):
        potential.feature_mean[s] = torch.tensor(arrays[f"element/{element}/feature_mean"])
        potential.feature_scale[s] = torch.tensor(arrays[f"element/{element}/feature_scale"])
    potential._load_common(arrays)
    return potential


def stored_repulsion(elements: Sequence[str], arrays: dict[str, np.ndarray]) -> Repulsion:
    """Build the repulsion of a model file."""
    repulsion = Repulsion(list(elements), torch.float64)
    stored = {name: torch.tensor(arrays[REPULSION_FOLDER + name]) for name in repulsion.state_dict()}
    repulsion.load_state_dict(stored, assign=True)
    return repulsion
