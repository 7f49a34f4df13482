"""A potential on frames, labelled or not, as plain arrays."""

from collections.abc import Iterator, Sequence

import torch

from panna_plus.data.frame import Frame
from panna_plus.graph import graph_from_atoms
from panna_plus.potential import Potential, Prediction
from panna_plus.training.examples import Example, Progress, atoms_per_batch, no_progress
from panna_plus.training.metrics import FrameResult


def evaluate_frames(
    potential: Potential,
    frames: Sequence[Frame],
    device: torch.device | str = "cpu",
    batch_atoms: int | None = None,
    on_progress: Progress = no_progress,
) -> list[FrameResult]:
    """Evaluate frames from their geometry.

    Parameters
    ----------
    potential : Potential
        On `device`.
    batch_atoms : int
        Frames are joined up to this number of atoms; a larger frame is evaluated alone. Without it what suits the
        device.
    on_progress : callable (frames done, frames in total)
    """
    results: list[FrameResult] = []
    for group in groups_by_atoms(frames, batch_atoms or atoms_per_batch(device)):
        on_progress(len(results), len(frames))
        graphs = [graph_from_atoms(f.atoms, potential.elements, potential.cutoff).to(device) for f in group]
        results += frame_results(potential.predict(graphs[0].concatenate(graphs)), group)
    on_progress(len(frames), len(frames))
    return results


def evaluate_examples(
    potential: Potential, frames: Sequence[Frame], examples: Sequence[Example]
) -> Iterator[FrameResult]:
    """Evaluate frames from what a training prepared of them."""
    for frame, example in zip(frames, examples, strict=True):
        yield from frame_results(potential.predict(example.inputs), [frame])


def groups_by_atoms(frames: Sequence[Frame], limit: int) -> Iterator[list[Frame]]:
    """Cut a list of frames into runs of at most `limit` atoms; a larger frame stands alone."""
    group: list[Frame] = []
    for frame in frames:
        if group and sum(map(len, group)) + len(frame) > limit:
            yield group
            group = []
        group.append(frame)
    if group:
        yield group


def frame_results(prediction: Prediction, frames: Sequence[Frame]) -> list[FrameResult]:
    """Cut the prediction for several frames into one result each."""
    energies = prediction.energies.tolist()
    forces = prediction.forces.cpu().numpy()
    stresses = prediction.stress.cpu().numpy()
    results, start = [], 0
    for frame, energy, stress in zip(frames, energies, stresses, strict=True):
        end = start + len(frame)
        known = None if stress[0, 0] != stress[0, 0] else stress
        results.append(FrameResult(frame, energy, forces[start:end], known))
        start = end
    return results
