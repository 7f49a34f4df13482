"""Frames as a training takes them: inputs that the potential prepared once, beside their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from panna_plus.data.frame import Frame
from panna_plus.graph import AtomicGraph, graph_from_atoms
from panna_plus.potential import Potential
from panna_plus.training.loss import Labels, labels_of

Progress = Callable[[int, int], None]
# Of an evaluation. Larger batches are not faster on a CPU and cost memory; small ones leave a GPU idle.
ATOMS_ON_CPU, ATOMS_ON_GPU = 128, 1024


@dataclass(frozen=True)
class Example:
    """One or several frames, ready for a step."""

    inputs: Any
    labels: Labels

    @staticmethod
    def concatenate(parts: Sequence["Example"]) -> "Example":
        """Join examples into one with all their frames, in order."""
        if len(parts) == 1:
            return parts[0]
        inputs = parts[0].inputs.concatenate([p.inputs for p in parts])
        return Example(inputs, Labels.concatenate([p.labels for p in parts]))


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""


def prepare_examples(
    potential: Potential,
    frames: Sequence[Frame],
    device: torch.device,
    on_progress: Progress = no_progress,
    use_cache: bool = True,
) -> list[Example]:
    """Read every frame once into what steps take.

    Parameters
    ----------
    potential : Potential
        On `device`.
    on_progress : callable (frames done, frames in total)
    use_cache : bool
        Keep what the potential can compute beforehand; else the graph alone.
    """
    examples = []
    for number, frame in enumerate(frames):
        on_progress(number, len(frames))
        graph = training_graph(potential, frame).to(device)
        inputs = potential.prepare(graph) if use_cache else graph
        examples.append(Example(inputs, labels_of(frame).to(device)))
    on_progress(len(frames), len(frames))
    return examples


def training_graph(potential: Potential, frame: Frame) -> AtomicGraph:
    """Return the graph of a frame; without a stress label its volume is hidden, which spares all work on stress."""
    graph = graph_from_atoms(frame.atoms, potential.elements, potential.cutoff)
    if frame.stress is None:
        graph = replace(graph, volumes=torch.full_like(graph.volumes, torch.nan))
    return graph


def atoms_per_batch(device: torch.device | str) -> int:
    """Return how many atoms are evaluated together where no gradient of the weights is wanted."""
    return ATOMS_ON_CPU if torch.device(device).type == "cpu" else ATOMS_ON_GPU


def batches_by_atoms(examples: Sequence[Example], limit: int) -> list[Example]:
    """Join neighbors in the list into batches of at most `limit` atoms; a larger frame stands alone."""
    groups: list[list[Example]] = []
    n_atoms = limit
    for example in examples:
        if n_atoms + example.inputs.n_atoms > limit:
            groups.append([])
            n_atoms = 0
        groups[-1].append(example)
        n_atoms += example.inputs.n_atoms
    return [Example.concatenate(group) for group in groups]
