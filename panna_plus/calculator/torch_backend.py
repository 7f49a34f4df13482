"""Evaluation by the PyTorch reference, rebuilt from card and weights; TorchScript is never executed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from ase import Atoms

from panna_plus.calculator.backend import Backend, Results, add_details, free_positions, require_finite
from panna_plus.calculator.guard import ClosestPair, Guard, closest_pair
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.calculator.uncertainty import uncertainty_results
from panna_plus.conventions import voigt_from_matrix
from panna_plus.errors import ConfigError, require
from panna_plus.families import load_potential, potential_from_model
from panna_plus.graph import AtomicGraph
from panna_plus.mean_potential import MeanPotential, mean_of
from panna_plus.neighbors import species_of, total_charge, unpaired_electrons, volume_of
from panna_plus.potential import Potential, Prediction

DTYPES = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True)
class Prepared:
    """The graph of one frame, its closest pair, and its positions (n_atoms, 3) in Å where nothing is periodic."""

    graph: AtomicGraph
    closest: ClosestPair | None
    positions: np.ndarray | None


class TorchBackend(Backend):
    """A potential in PyTorch.

    Parameters
    ----------
    model : list of paths of `model.pt`, or Potential
        Several files are one model, the mean of theirs. A potential in memory is copied.
    dtype : 'float64' or 'float32'
        Precision of the perceptrons.
    device : str
        'auto', 'cpu', 'cuda' or 'cuda:N'.
    """

    name = "torch"

    def __init__(self, model: Sequence[str | PathLike] | Potential, dtype: str, device: str):
        super().__init__()
        self.dtype, self.device = dtype, device
        target = torch_device(device)
        if isinstance(model, Potential):
            self._take(rebuilt(described(model), dtype, target))
        else:
            parts = [load_potential(str(path), DTYPES[dtype], target)[0] for path in model]
            self._take(mean_of(parts, [str(path) for path in model]).to(target))

    def _take(self, potential: Potential) -> None:
        self.potential = potential
        self.elements, self.cutoff = list(potential.elements), potential.cutoff
        self.state_ranges, self.detail_names = potential.state_ranges, list(potential.detail_names)
        self._shortest = potential.shortest_distances.cpu().numpy()

    def __getstate__(self) -> dict[str, Any]:
        # Arrays instead of a module: a copy made in another process chooses its device there, and shares no memory.
        return {"dtype": self.dtype, "device": self.device, "described": described(self.potential)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__init__()
        self.dtype, self.device = state["dtype"], state["device"]
        self._take(rebuilt(state["described"], self.dtype, torch_device(self.device)))

    def prepare(self, atoms: Atoms, pairs: BufferedPairs) -> Prepared:
        species = species_of(atoms, self.elements)
        pairs.update(atoms)
        graph = graph_of(atoms, pairs, species, self.cutoff)
        self.potential.check(graph.charges, graph.spins)
        i, j = graph.centers.numpy(), graph.neighbors.numpy()
        shortest = self._shortest[species[i], species[j]]
        symbols = np.array(atoms.get_chemical_symbols())
        closest = closest_pair(graph.displacements.numpy(), i, j, symbols, shortest)
        return Prepared(graph, closest, free_positions(atoms))

    def predict(self, prepared: Sequence[Prepared], labels: Sequence[str], guard: Guard) -> list[Results]:
        for frame, label in zip(prepared, labels, strict=True):
            guard.check(frame.closest, label)
        graph = AtomicGraph.concatenate([frame.graph for frame in prepared])
        graph = graph.to(self.potential.reference_energies.device)
        prediction = self.potential.predict(graph)
        results = list(results_of_frames(graph, prediction, [frame.positions for frame in prepared]))
        for result, label in zip(results, labels, strict=True):
            require_finite(result, label)
        self.say_once(self.potential.remarks(graph, prediction))
        return results

    def uncertainty(self, prepared: Prepared) -> Results:
        graph = prepared.graph.to(self.potential.reference_energies.device)
        energies = forces = None
        if self.potential.n_members > 1:
            members = self.potential.predict_members(graph)
            energies = np.array([float(p.energies[0]) for p in members])
            forces = np.array([p.forces.cpu().numpy() for p in members])
        extrapolation = self.potential.extrapolation(graph)
        return uncertainty_results(energies, forces, None if extrapolation is None else extrapolation.cpu().numpy())


def graph_of(atoms: Atoms, pairs: BufferedPairs, species: np.ndarray, cutoff: float) -> AtomicGraph:
    """Return the graph of the pairs below the cutoff."""
    displacements = pairs.displacements(atoms)
    near = np.flatnonzero((displacements**2).sum(axis=1) < cutoff**2)
    return AtomicGraph(
        species=torch.from_numpy(species),
        centers=torch.from_numpy(pairs.i[near]),
        neighbors=torch.from_numpy(pairs.j[near]),
        displacements=torch.from_numpy(displacements[near]),
        frames=torch.zeros(len(atoms), dtype=torch.int64),
        n_frames=1,
        volumes=torch.tensor([volume_of(atoms)], dtype=torch.float64),
        charges=torch.tensor([total_charge(atoms)], dtype=torch.float64),
        spins=torch.tensor([unpaired_electrons(atoms)], dtype=torch.float64),
    )


def results_of_frames(
    graph: AtomicGraph, prediction: Prediction, positions: Sequence[np.ndarray | None]
) -> Iterator[Results]:
    """Yield the results of each frame under ASE's names; arrays own their memory.

    `positions` are those of each frame, None where something is periodic.
    """
    ends = np.cumsum(np.bincount(graph.frames.cpu().numpy(), minlength=graph.n_frames))
    energies, forces = (t.cpu().numpy() for t in (prediction.atomic_energies, prediction.forces))
    stress = voigt_from_matrix(prediction.stress.cpu().numpy())
    details = {name: value.cpu().numpy() for name, value in prediction.details.items()}
    for n, end in enumerate(ends):
        atoms = slice(ends[n - 1] if n else 0, end)
        energy = float(prediction.energies[n])
        result: Results = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies[atoms].copy(),
            "forces": forces[atoms].copy(),
        }
        add_details(result, {name: value[atoms].copy() for name, value in details.items()}, positions[n])
        if not torch.isnan(graph.volumes[n]):
            result["stress"] = stress[n].copy()
        yield result


Described = list[tuple[dict[str, Any], dict[str, np.ndarray]]]


def described(potential: Potential) -> Described:
    """Return what a potential is made of, for each of its parts: what of a card describes it, and its arrays."""
    parts = potential.parts if isinstance(potential, MeanPotential) else [potential]
    return [
        (
            {
                "family": part.family,
                "elements": list(part.elements),
                "family_parameters": part.family_parameters(),
            },
            {name: array.copy() for name, array in part.arrays().items()},
        )
        for part in parts
    ]


def rebuilt(parts: Described, dtype: str, device: torch.device) -> Potential:
    """Build a potential for evaluation from what `described` returned."""
    potential = mean_of([potential_from_model(*part) for part in parts], [card["family"] for card, _ in parts])
    for parameter in potential.parameters():
        parameter.data = parameter.data.to(DTYPES[dtype])
    return potential.requires_grad_(False).eval().to(device)


def torch_device(name: str) -> torch.device:
    """Return the device of a name, 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises
    ------
    ConfigError
        If the device is absent: nothing falls back to the CPU unasked.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        require(
            (device.index or 0) < count,
            ConfigError,
            f"device '{name}' was asked for and PyTorch sees {count} CUDA devices: use 'cpu' or 'auto', or install a "
            "PyTorch build for this GPU",
        )
    return device
