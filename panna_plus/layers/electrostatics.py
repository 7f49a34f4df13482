"""The Coulomb energy of smeared partial charges, brought to zero at a cutoff."""

import math

import torch
from torch import Tensor

from panna_plus.graph import sum_by_index
from panna_plus.layers.cutoff import smooth_switch
from panna_plus.layers.pairs import Pairs, pairs_within
from panna_plus.layers.units import COULOMB

# Fraction of the cutoff from which the shift of the potential gives way to the shift of the force.
SWITCH_START = 0.45


class DampedElectrostatics(torch.nn.Module):
    """Coulomb energy with V(r) = erf(r / s) / r, shifted so that energy and force vanish at the cutoff:

    ``E_i = sum_j 1/2 k_e q_i q_j { f [V - V_c] + (1 - f) [V - V_c - V'_c (r - r_c)] }``

    with f falling from 1 at 0.45 r_c to 0 at r_c, V_c and V'_c value and slope at the cutoff.
    """

    width: Tensor
    cutoff: Tensor
    switch_start: Tensor

    def __init__(self, width: float, cutoff: float):
        super().__init__()
        # TorchScript sees attributes, not constants of a file.
        self.coulomb = COULOMB
        self.register_buffer("width", torch.tensor([width], dtype=torch.float64))
        self.register_buffer("cutoff", torch.tensor([cutoff], dtype=torch.float64))
        self.register_buffer("switch_start", torch.tensor([SWITCH_START * cutoff], dtype=torch.float64))

    def forward(self, pairs: Pairs, charges: Tensor) -> Tensor:
        """Return atomic energies (n_atoms,) float64 in eV for charges (n_atoms,) float64 in e."""
        pairs = pairs_within(pairs, self.cutoff)
        r = pairs.distances
        at_end = self.potential(self.cutoff)
        shifted = self.potential(r) - at_end
        # One bracket: both branches share V - V_c.
        tilt = (1.0 - smooth_switch(r, self.switch_start, self.cutoff)) * self.slope(self.cutoff) * (r - self.cutoff)
        products = charges[pairs.centers] * charges[pairs.neighbors]
        return sum_by_index(0.5 * self.coulomb * products * (shifted - tilt), pairs.centers, charges.shape[0])

    def potential(self, r: Tensor) -> Tensor:
        """Return V(r) in 1/Å."""
        return torch.erf(r / self.width) / r

    def slope(self, r: Tensor) -> Tensor:
        """Return dV/dr in 1/Å²."""
        x = r / self.width
        return 2.0 * torch.exp(-x * x) / (math.sqrt(math.pi) * self.width * r) - torch.erf(x) / (r * r)
