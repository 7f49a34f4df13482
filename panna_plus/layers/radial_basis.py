"""Functions of the distance that radial filters are made of; none of them contains the cutoff."""

import math

import torch
from torch import Tensor

# 0.5 / bohr in 1/Å, rounded to float32 as in the published models.
BERNSTEIN_DECAY = 0.9448630809783936


class BernsteinBasis(torch.nn.Module):
    """Bernstein polynomials of z = exp(-decay r): b_k = binom(K-1, k) z^k (1-z)^(K-1-k), k = 0 ... K-1.

    References
    ----------
    Unke, Chmiela, Gastegger, Schütt, Sauceda and Müller, Nat. Commun. 12, 7273 (2021).
    """

    decay: Tensor
    powers: Tensor
    log_binomials: Tensor

    def __init__(self, n_functions: int, cutoff: float):
        super().__init__()
        top = n_functions - 1
        binomials = [math.log(math.comb(top, k)) for k in range(n_functions)]
        self.register_buffer("decay", torch.tensor([BERNSTEIN_DECAY], dtype=torch.float64))
        self.register_buffer("powers", torch.arange(n_functions, dtype=torch.float64), persistent=False)
        self.register_buffer("log_binomials", torch.tensor(binomials, dtype=torch.float64), persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Return (n, n_functions) float64 for distances (n,) float64 in Å."""
        # Logarithms, because the factors alone span 1e-60 to 1e9. The floor keeps r = 0 finite.
        exponent = self.decay * torch.clamp(distances, min=1e-12).unsqueeze(1)
        log_rest = torch.log(-torch.expm1(-exponent))
        top = self.powers.shape[0] - 1
        return torch.exp(self.log_binomials - self.powers * exponent + (top - self.powers) * log_rest)


class PhysNetBasis(torch.nn.Module):
    """Gaussians of exp(-r): exp(-beta (exp(-r) - center_k)²), centers equispaced from exp(-cutoff) to 1.

    References
    ----------
    Unke and Meuwly, J. Chem. Theory Comput. 15, 3678 (2019).
    """

    centers: Tensor
    beta: Tensor

    def __init__(self, n_functions: int, cutoff: float):
        super().__init__()
        start = math.exp(-cutoff)
        beta = (2.0 / n_functions * (1.0 - start)) ** -2
        self.register_buffer("centers", torch.linspace(start, 1.0, n_functions, dtype=torch.float64))
        self.register_buffer("beta", torch.tensor([beta], dtype=torch.float64))

    def forward(self, distances: Tensor) -> Tensor:
        """Return (n, n_functions) float64 for distances (n,) float64 in Å."""
        shifted = torch.exp(-distances).unsqueeze(1) - self.centers
        return torch.exp(-self.beta * shifted * shifted)


class BesselBasis(torch.nn.Module):
    """Spherical Bessel functions of order 0: sin(k pi r / cutoff) / r, k = 1 ... K.

    References
    ----------
    Gasteiger, Groß and Günnemann, Directional Message Passing for Molecular Graphs, ICLR (2020).
    """

    wave_numbers: Tensor

    def __init__(self, n_functions: int, cutoff: float):
        super().__init__()
        numbers = torch.arange(1, n_functions + 1, dtype=torch.float64) * (math.pi / cutoff)
        self.register_buffer("wave_numbers", numbers)

    def forward(self, distances: Tensor) -> Tensor:
        """Return (n, n_functions) float64 for distances (n,) float64 in Å."""
        r = torch.clamp(distances, min=1e-12).unsqueeze(1)
        return torch.sin(self.wave_numbers * r) / r


BASES = {"bernstein": BernsteinBasis, "physnet": PhysNetBasis, "bessel": BesselBasis}


def radial_basis(name: str, n_functions: int, cutoff: float) -> torch.nn.Module:
    """Return the basis of a name out of `BASES`; the cutoff (Å) sets the range it resolves."""
    return BASES[name](n_functions, cutoff)
