"""The repulsion of screened nuclei, its parameters learned."""

import torch
from ase.data import atomic_numbers
from torch import Tensor

from panna_plus.graph import sum_by_index
from panna_plus.layers.cutoff import smooth_switch
from panna_plus.layers.pairs import Pairs
from panna_plus.layers.units import BOHR, COULOMB

# Å: from here on nuclei repel no more.
END = 1.5
UNIVERSAL_EXPONENTS = (3.2, 0.9423, 0.4028, 0.2016)
UNIVERSAL_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
UNIVERSAL_POWER = 0.23
UNIVERSAL_SCREENING = 0.8854  # Bohr radii


class Repulsion(torch.nn.Module):
    """Coulomb energy of nuclei behind a screening function that is learned, with a switch and a cutoff function:

    ``E_i = sum_j 1/2 w(r) f(r) k_e Z_i Z_j / r  sum_k c_k exp(-a_k r (Z_i^p + Z_j^p) D)``, sum of c_k = 1,

    w falling from 1 at 0 to 0 at 1.5 Å. All parameters are kept positive by a softplus of the stored numbers and
    begin at the universal screening function.

    References
    ----------
    Ziegler, Littmark and Biersack, The Stopping and Range of Ions in Solids (1985).
    """

    numbers: Tensor
    end: Tensor
    start: Tensor

    def __init__(self, elements: list[str], dtype: torch.dtype):
        super().__init__()
        # TorchScript sees attributes, not constants of a file.
        self.coulomb = COULOMB
        self.exponents = raw_parameter(UNIVERSAL_EXPONENTS, dtype)
        self.coefficients = raw_parameter(UNIVERSAL_COEFFICIENTS, dtype)
        self.power = raw_parameter((UNIVERSAL_POWER,), dtype)
        self.screening = raw_parameter((1.0 / (UNIVERSAL_SCREENING * BOHR),), dtype)
        numbers = torch.tensor([atomic_numbers[e] for e in elements], dtype=torch.float64)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("start", torch.zeros(1, dtype=torch.float64), persistent=False)
        self.register_buffer("end", torch.tensor([END], dtype=torch.float64))

    def forward(self, pairs: Pairs, envelope: Tensor, species: Tensor) -> Tensor:
        """Return atomic energies (n_atoms,) float64 in eV; `envelope` (n_pairs,) is the cutoff function of pairs."""
        close = torch.nonzero(pairs.distances < self.end).flatten()
        r, centers = pairs.distances[close], pairs.centers[close]
        z = self.numbers[species]
        z_power = torch.pow(z, positive(self.power))
        x = r * (z_power[centers] + z_power[pairs.neighbors[close]]) * positive(self.screening)
        coefficients = positive(self.coefficients)
        screening = torch.exp(-x.unsqueeze(1) * positive(self.exponents)) @ (coefficients / coefficients.sum())
        bare = 0.5 * self.coulomb * z[centers] * z[pairs.neighbors[close]] / r
        switch = smooth_switch(r, self.start, self.end) * envelope[close]
        return sum_by_index(switch * bare * screening, centers, species.shape[0])


def positive(raw: Tensor) -> Tensor:
    """Return the parameter that stored numbers mean, in float64."""
    return torch.nn.functional.softplus(raw.to(torch.float64))


def raw_parameter(values: tuple[float, ...], dtype: torch.dtype) -> torch.nn.Parameter:
    """Return what is stored of positive values: ln(exp(v) - 1), the inverse of the softplus."""
    return torch.nn.Parameter(torch.log(torch.expm1(torch.tensor(values, dtype=torch.float64))).to(dtype))
