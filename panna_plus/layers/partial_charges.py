"""Partial charges that add up to the total charge of every frame."""

import torch
from torch import Tensor

from panna_plus.graph import FrameStates, sum_by_index
from panna_plus.layers.element_table import ElementTable
from panna_plus.layers.initialization import linear


class PartialCharges(torch.nn.Module):
    """One charge per atom: ``r_i = V silu(W x_i) + b_Z`` and ``q_i = r_i + (Q - sum_j r_j) / N``, sums over a frame.

    The correction couples all atoms of a frame: fragments far apart still exchange charge.

    References
    ----------
    Kabylda, Frank, Suárez-Dou, Khabibrakhmanov, Medrano Sandonas, Unke, Chmiela, Müller and Tkatchenko, Molecular
    Simulations with a Pretrained Neural Network and Universal Pairwise Force Fields, J. Am. Chem. Soc. (2025).
    """

    def __init__(self, n_features: int, n_hidden: int, n_elements: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.inner = linear(n_features, n_hidden, generator, dtype)
        self.outer = linear(n_hidden, 1, generator, dtype)
        # Charges begin small; at zero, where energy is quadratic in them, nothing would make them grow.
        self.outer.weight.data *= 0.1
        self.bias = ElementTable(torch.zeros(n_elements, 1, dtype=dtype))

    def forward(self, features: Tensor, species: Tensor, states: FrameStates) -> Tensor:
        """Return charges (n_atoms,) float64 in e."""
        hidden = torch.nn.functional.silu(self.inner(features))
        raw = (self.outer(hidden) + self.bias(species)).flatten().to(torch.float64)
        return neutralized(raw, states)


def neutralized(raw: Tensor, states: FrameStates) -> Tensor:
    """Shift the charges (n_atoms,) float64 of each frame by the same amount, so that they sum to its total charge."""
    n_frames = states.charges.shape[0]
    owned = states.is_owned.to(raw.dtype)
    sizes = sum_by_index(owned, states.of_atoms, n_frames)
    missing = states.charges - sum_by_index(owned * raw, states.of_atoms, n_frames)
    # A frame without atoms has nothing to shift.
    return raw + (missing / torch.clamp(sizes, min=1.0))[states.of_atoms]
