"""The loss and the errors it is made of; labels that are missing do not count.

The loss is w_E <((E - E_ref) / n_atoms)²> + w_F <(F - F_ref)²> + w_S <(s - s_ref)²>, with means over the labelled
frames, force components and stress components of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panna_plus.data.frame import Frame
from panna_plus.potential import Prediction
from panna_plus.training.config import LossWeights


@dataclass(frozen=True)
class Labels:
    """Reference values of one or several frames; rows without a label hold zeros and are not listed.

    Attributes
    ----------
    energies : (n_frames,) float64, eV
    forces : (n_atoms, 3) float64, eV/Å
    stress : (n_frames, 3, 3) float64, eV/Å³
    sizes : (n_frames,) float64
        Number of atoms of each frame.
    with_energy, with_stress : (n_frames,) bool
    with_forces : (n_atoms,) bool
    n_energies, n_forces, n_stresses : int
        Numbers of labelled frames, atoms and frames, known without asking the device.
    """

    energies: Tensor
    forces: Tensor
    stress: Tensor
    sizes: Tensor
    with_energy: Tensor
    with_forces: Tensor
    with_stress: Tensor
    n_energies: int
    n_forces: int
    n_stresses: int

    def to(self, device: torch.device | str) -> "Labels":
        """Return the labels with every tensor on `device`."""
        tensors: dict[str, Any] = {n: v.to(device) for n, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)

    @staticmethod
    def concatenate(parts: Sequence["Labels"]) -> "Labels":
        """Join labels of several frames, in order."""
        columns: dict[str, Any] = {f.name: [getattr(p, f.name) for p in parts] for f in fields(Labels)}
        joined: dict[str, Any] = {n: torch.cat(c) if isinstance(c[0], Tensor) else sum(c) for n, c in columns.items()}
        return Labels(**joined)


def labels_of(frame: Frame) -> Labels:
    """Return the labels of one frame as tensors."""
    n_atoms = len(frame.atoms)
    energy, forces, stress = frame.energy, frame.forces, frame.stress
    return Labels(
        energies=torch.tensor([0.0 if energy is None else energy], dtype=torch.float64),
        forces=torch.tensor(np.zeros((n_atoms, 3)) if forces is None else forces, dtype=torch.float64),
        stress=torch.tensor(np.zeros((3, 3)) if stress is None else stress, dtype=torch.float64).unsqueeze(0),
        sizes=torch.tensor([n_atoms], dtype=torch.float64),
        with_energy=torch.tensor([energy is not None]),
        with_forces=torch.full((n_atoms,), forces is not None),
        with_stress=torch.tensor([stress is not None]),
        n_energies=int(energy is not None),
        n_forces=n_atoms if forces is not None else 0,
        n_stresses=int(stress is not None),
    )


@dataclass(frozen=True)
class Errors:
    """Prediction minus label where there is a label; None where no frame has one.

    Attributes
    ----------
    energy : (n,) float64, eV/atom
    forces : (n, 3) float64, eV/Å
    stress : (n, 3, 3) float64, eV/Å³
    """

    energy: Tensor | None
    forces: Tensor | None
    stress: Tensor | None


def errors_of(prediction: Prediction, labels: Labels, needs_stress: bool = True) -> Errors:
    """Compare a prediction with the labels."""
    energy = forces = stress = None
    if labels.n_energies:
        per_atom = (prediction.energies - labels.energies) / labels.sizes
        energy = _labelled(per_atom, labels.with_energy, labels.n_energies)
    if labels.n_forces:
        forces = _labelled(prediction.forces - labels.forces, labels.with_forces, labels.n_forces)
    if labels.n_stresses and needs_stress:
        stress = _labelled(prediction.stress - labels.stress, labels.with_stress, labels.n_stresses)
    return Errors(energy, forces, stress)


def _labelled(values: Tensor, is_labelled: Tensor, n_labelled: int) -> Tensor:
    return values if n_labelled == values.shape[0] else values[is_labelled]


def mean_squares(errors: Errors) -> list[Tensor | None]:
    """Return the mean squares of energy, forces and stress errors; None where there is no label."""
    return [None if e is None else e.square().mean() for e in (errors.energy, errors.forces, errors.stress)]


def weighted_sum(terms: Sequence[Tensor | float | None], weights: LossWeights) -> Tensor | float:
    """Return the loss of mean squares in the order energy, forces, stress; missing ones count nothing."""
    pairs = zip((weights.energy, weights.forces, weights.stress), terms, strict=True)
    return sum((w * t for w, t in pairs if t is not None and w > 0.0), start=0.0)
