"""Dispersion of quantum Drude oscillators whose strength follows Hirshfeld volume ratios."""

import math

import torch
from torch import Tensor

from panna_plus.errors import ConfigError, require
from panna_plus.graph import sum_by_index
from panna_plus.layers.cutoff import smooth_switch
from panna_plus.layers.element_table import ElementTable
from panna_plus.layers.free_atoms import FREE_ATOMS
from panna_plus.layers.initialization import linear, normal_rows
from panna_plus.layers.pairs import Pairs, pairs_within
from panna_plus.layers.units import BOHR, HARTREE

FINE_STRUCTURE = 0.007297352566206496
# Width of the oscillators as a polynomial of their van der Waals radius, atomic units.
WIDTH_POLYNOMIAL = (-0.00433008, 0.24428889, 0.04125273, -0.00078893)
# Damping radius of a pair: 2.54 alpha^(1/7) from each of its atoms, bohr.
RADIUS_FACTOR = 2.54


class HirshfeldRatios(torch.nn.Module):
    """Volume of each atom relative to the free atom: ``h_i = |v_Z + q_Z . k(x_i) / sqrt(F/2)|``, k a perceptron."""

    def __init__(self, n_features: int, n_hidden: int, n_elements: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        n_keys = n_features // 2
        self.inner = linear(n_features, n_hidden, generator, dtype)
        self.outer = linear(n_hidden, n_keys, generator, dtype)
        # Free atoms to begin with.
        self.offset = ElementTable(torch.ones(n_elements, 1, dtype=dtype))
        self.query = ElementTable(normal_rows(n_elements, n_keys, generator, dtype))

    def forward(self, features: Tensor, species: Tensor) -> Tensor:
        """Return ratios (n_atoms,) float64."""
        keys = self.outer(torch.nn.functional.silu(self.inner(features)))
        product = (self.query(species) * keys).sum(dim=1) / math.sqrt(keys.shape[1])
        return torch.abs(self.offset(species).flatten() + product).to(torch.float64)


class QdoDispersion(torch.nn.Module):
    """Damped dispersion of pairs of oscillators, in atomic units inside:

    ``E_i = -1/2 sum_j w(r) sum over n = 6, 8, 10 of C_n / (R^n + p^n)``

    with C_6 and polarizabilities of free atoms scaled by the ratios, C_8 = 5 C_6 / g, C_10 = 245 C_6 / (8 g²), g from
    the van der Waals radius of the pair, p = 2 scale 2.54 alpha^(1/7), and w falling from 1 at cutoff - damping to 0.

    Parameters
    ----------
    elements : list of str
    scale : float
        Of the damping radius.
    cutoff, damping : float, Å

    References
    ----------
    Khabibrakhmanov, Fedorov and Tkatchenko, J. Chem. Theory Comput. 19, 7895 (2023).
    """

    polarizabilities: Tensor
    coefficients: Tensor
    scale: Tensor
    switch_start: Tensor
    cutoff: Tensor

    def __init__(self, elements: list[str], scale: float, cutoff: float, damping: float):
        super().__init__()
        # TorchScript sees attributes, not constants of a file.
        self.bohr, self.hartree = BOHR, HARTREE
        self.radius_factor = 2.0 * RADIUS_FACTOR
        self.van_der_waals_factor = FINE_STRUCTURE ** (-4.0 / 21.0)
        self.width_polynomial = WIDTH_POLYNOMIAL
        unknown = [e for e in elements if e not in FREE_ATOMS]
        require(not unknown, ConfigError, f"dispersion knows free atoms up to {list(FREE_ATOMS)[-1]}, not {unknown}")
        free = [FREE_ATOMS[e] for e in elements]
        self.register_buffer("polarizabilities", torch.tensor([f[0] for f in free], dtype=torch.float64))
        self.register_buffer("coefficients", torch.tensor([f[1] for f in free], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor([scale], dtype=torch.float64))
        self.register_buffer("switch_start", torch.tensor([cutoff - damping], dtype=torch.float64))
        self.register_buffer("cutoff", torch.tensor([cutoff], dtype=torch.float64))

    def forward(self, pairs: Pairs, ratios: Tensor, species: Tensor) -> Tensor:
        """Return atomic energies (n_atoms,) float64 in eV for ratios (n_atoms,) float64."""
        pairs = pairs_within(pairs, self.cutoff)
        alpha = self.polarizabilities[species] * ratios
        c6 = self.coefficients[species] * ratios * ratios
        alpha_i, alpha_j = alpha[pairs.centers], alpha[pairs.neighbors]
        c6_i, c6_j = c6[pairs.centers], c6[pairs.neighbors]
        c6_ij = 2.0 * c6_i * c6_j * alpha_i * alpha_j / (alpha_i * alpha_i * c6_j + alpha_j * alpha_j * c6_i)
        damped = self.damped_powers(pairs.distances / self.bohr, c6_ij, 0.5 * (alpha_i + alpha_j))
        switch = smooth_switch(pairs.distances, self.switch_start, self.cutoff)
        return sum_by_index(-0.5 * self.hartree * switch * damped, pairs.centers, species.shape[0])

    def damped_powers(self, r: Tensor, c6: Tensor, alpha: Tensor) -> Tensor:
        """Return the sum over n of C_n / (r^n + p^n) for pairs, atomic units."""
        root = torch.pow(alpha, 1.0 / 7.0)
        g = self.inverse_square_width(self.van_der_waals_factor * root)
        r2 = r * r
        p2 = torch.square(self.radius_factor * self.scale * root)
        r6, p6 = r2 * r2 * r2, p2 * p2 * p2
        r8, p8 = r6 * r2, p6 * p2
        c8, c10 = 5.0 * c6 / g, 245.0 * c6 / (8.0 * g * g)
        return c6 / (r6 + p6) + c8 / (r8 + p8) + c10 / (r8 * r2 + p8 * p2)

    def inverse_square_width(self, radius: Tensor) -> Tensor:
        """Return 1 / (2 width²) of the oscillators of a pair with this van der Waals radius, atomic units."""
        a, b, c, d = self.width_polynomial
        width = a + radius * (b + radius * (c + radius * d))
        return 1.0 / (2.0 * width * width)
