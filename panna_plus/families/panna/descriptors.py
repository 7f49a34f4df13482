"""Symmetry functions of atomic neighborhoods: modified (mBP) and original (BP) Behler-Parrinello.

Notation: i center; a, b two of its neighbors; r distance; c cosine of the angle a-i-b; S elements; N atoms; F features.
Features of an atom: one radial block per neighbor element, then one angular block per unordered pair of elements in
the order (0,0), (0,1), ..., (1,1), ... Both descriptors are sums of two elementwise functions, `radial(r)`, the
same in both, and `angular(r_a, r_b, c)`; summation, layout and the sparse Jacobian are shared.
"""

from typing import ClassVar

import torch
from torch import Tensor

from panna_plus.families.panna.config import BpConfig, MbpConfig
from panna_plus.graph import sum_by_index
from panna_plus.layers.cutoff import cosine_cutoff


class Descriptor(torch.nn.Module):
    """Features (N, F) of atoms from the displacements to their neighbors; a subclass gives `angular`."""

    __jit_unused_properties__: ClassVar = ["cutoff"]
    kind: str
    parameter_names: ClassVar[tuple[str, ...]]
    radial_cutoff: Tensor
    radial_eta: Tensor
    radial_centers: Tensor
    angular_cutoff: Tensor
    angular_eta: Tensor
    blocks: Tensor

    def __init__(self, n_elements: int, n_radial: int, n_angular: int, parameters: dict[str, Tensor]):
        super().__init__()
        self.n_elements = n_elements
        self.n_radial = n_radial
        self.n_angular = n_angular
        self.n_blocks = n_elements * (n_elements + 1) // 2
        self.n_features = n_elements * n_radial + self.n_blocks * n_angular
        for name in self.parameter_names:
            self.register_buffer(name, parameters[name].to(torch.float64).clone(), persistent=False)
        self.register_buffer("blocks", angular_block_numbers(n_elements), persistent=False)

    @property
    def cutoff(self) -> float:
        return max(float(self.radial_cutoff), float(self.angular_cutoff))

    def parameter_arrays(self) -> dict[str, Tensor]:
        """Return the numbers that define the functions, by name and in the order of `parameter_names`."""
        return {name: getattr(self, name) for name in self.parameter_names}

    def radial(self, r: Tensor) -> Tensor:
        """Return the radial functions of distances (n,), (n, n_radial)."""
        return gaussians(r, self.radial_eta, self.radial_centers) * cosine_cutoff(r, self.radial_cutoff).unsqueeze(1)

    def angular(self, r_a: Tensor, r_b: Tensor, c: Tensor) -> Tensor:
        raise RuntimeError("a descriptor defines angular(r_a, r_b, c): (n,) -> (n, n_angular)")

    def forward(self, displacements: Tensor, centers: Tensor, neighbors: Tensor, species: Tensor) -> Tensor:
        """Return features (N, F) float64; pairs must be sorted by center."""
        n_atoms = species.shape[0]
        r = torch.linalg.vector_norm(displacements, dim=1)
        neighbor_species = species[neighbors]
        slot = centers * self.n_elements + neighbor_species
        radial = sum_by_index(self.radial(r), slot, n_atoms * self.n_elements)

        edge = torch.nonzero(r < self.angular_cutoff).flatten()
        r, d, centers, neighbor_species = r[edge], displacements[edge], centers[edge], neighbor_species[edge]
        a, b = neighbor_pairs(centers)
        c = (d[a] * d[b]).sum(dim=1) / (r[a] * r[b])
        slot = centers[a] * self.n_blocks + self.blocks[neighbor_species[a], neighbor_species[b]]
        angular = sum_by_index(self.angular(r[a], r[b], c), slot, n_atoms * self.n_blocks)
        # Widths in full: -1 is ambiguous without atoms.
        radial = radial.view(n_atoms, self.n_elements * self.n_radial)
        return torch.cat([radial, angular.view(n_atoms, self.n_blocks * self.n_angular)], dim=1)


class MbpDescriptor(Descriptor):
    """Modified Behler-Parrinello functions: Gaussians of the mean distance times powers of a shifted angle.

    ``angular = 2 F(c)^zeta exp(-eta (mean distance - center)²) fc(r_a) fc(r_b)`` per unordered pair of neighbors, with
    ``F = (1 + cos(theta) c + sin(theta) sqrt(1 - c² + eps sin²(theta))) / (1 + sqrt(1 + eps sin²(theta)))``.

    References
    ----------
    Lot, Pellegrini, Shaidu and Kucukbenli, Comput. Phys. Commun. 256, 107402 (2020).
    """

    kind = "mbp"
    parameter_names = (
        "radial_cutoff",
        "radial_eta",
        "radial_centers",
        "angular_cutoff",
        "angular_eta",
        "angular_centers",
        "angular_theta",
        "angular_zeta",
        "angular_epsilon",
    )
    angular_centers: Tensor
    angular_theta: Tensor
    angular_zeta: Tensor
    angular_epsilon: Tensor

    def __init__(self, n_elements: int, parameters: dict[str, Tensor]):
        n_angular = parameters["angular_eta"].numel() * parameters["angular_theta"].numel()
        super().__init__(n_elements, parameters["radial_eta"].numel(), n_angular, parameters)

    def angular(self, r_a: Tensor, r_b: Tensor, c: Tensor) -> Tensor:
        envelope = 2.0 * cosine_cutoff(r_a, self.angular_cutoff) * cosine_cutoff(r_b, self.angular_cutoff)
        distance = gaussians(0.5 * (r_a + r_b), self.angular_eta, self.angular_centers) * envelope.unsqueeze(1)
        return (distance.unsqueeze(2) * self.angle_factor(c).unsqueeze(1)).flatten(1)

    def angle_factor(self, c: Tensor) -> Tensor:
        """Return F(c)^zeta, (n, n_theta), with a maximum of exactly 1."""
        cosine, sine = torch.cos(self.angular_theta), torch.sin(self.angular_theta)
        regularisation = self.angular_epsilon * sine * sine
        c = c.unsqueeze(1)
        # The floor acts for epsilon = 0 only, where the slope of the root is infinite at c = +-1.
        sigma = torch.sqrt(torch.clamp(1.0 - c * c + regularisation, min=1e-14))
        shifted = (1.0 + cosine * c + sine * sigma) / (1.0 + torch.sqrt(1.0 + regularisation))
        return torch.pow(torch.clamp(shifted, min=0.0), self.angular_zeta)


class BpDescriptor(Descriptor):
    """Original Behler-Parrinello functions G2 and G4; the angular sum runs over unordered pairs with a factor 2.

    ``angular = 2 [(1 + lambda c)/2]^zeta exp(-eta (r_a² + r_b² + r_ab²)) fc(r_a) fc(r_b) fc(r_ab)``

    References
    ----------
    Behler, J. Chem. Phys. 134, 074106 (2011), with the normalisation of PANNA.
    """

    kind = "bp"
    parameter_names = (
        "radial_cutoff",
        "radial_eta",
        "radial_centers",
        "angular_cutoff",
        "angular_eta",
        "angular_zeta",
        "angular_lambda",
    )
    angular_zeta: Tensor
    angular_lambda: Tensor

    def __init__(self, n_elements: int, parameters: dict[str, Tensor]):
        super().__init__(n_elements, parameters["radial_eta"].numel(), parameters["angular_eta"].numel(), parameters)

    def angular(self, r_a: Tensor, r_b: Tensor, c: Tensor) -> Tensor:
        # The floor keeps the slope of the root finite for two neighbors at the same place.
        r_ab_squared = torch.clamp(r_a * r_a + r_b * r_b - 2.0 * r_a * r_b * c, min=1e-14)
        envelope = 2.0 * cosine_cutoff(r_a, self.angular_cutoff) * cosine_cutoff(r_b, self.angular_cutoff)
        envelope = envelope * cosine_cutoff(torch.sqrt(r_ab_squared), self.angular_cutoff)
        squares = (r_a * r_a + r_b * r_b + r_ab_squared).unsqueeze(1)
        angle = torch.clamp(0.5 * (1.0 + self.angular_lambda * c.unsqueeze(1)), min=0.0)
        return torch.pow(angle, self.angular_zeta) * torch.exp(-self.angular_eta * squares) * envelope.unsqueeze(1)


def gaussians(x: Tensor, eta: Tensor, centers: Tensor) -> Tensor:
    """Return exp(-eta (x - center)²), (n, n_centers)."""
    shifted = x.unsqueeze(1) - centers
    return torch.exp(-eta * shifted * shifted)


def neighbor_pairs(centers: Tensor) -> tuple[Tensor, Tensor]:
    """List all unordered pairs (a, b), a < b, of entries with the same center in an ascending list of centers."""
    n = centers.shape[0]
    position = torch.arange(n, device=centers.device)
    end = torch.searchsorted(centers, centers, right=True)
    n_later = end - position - 1
    a = torch.repeat_interleave(position, n_later)
    before = torch.cumsum(n_later, dim=0) - n_later
    b = a + 1 + torch.arange(a.shape[0], device=centers.device) - before[a]
    return a, b


def angular_block_numbers(n_elements: int) -> Tensor:
    """Return the number of the angular block of each pair of elements, (S, S) int64, symmetric."""
    numbers = torch.zeros(n_elements, n_elements, dtype=torch.int64)
    rows, columns = torch.triu_indices(n_elements, n_elements)
    numbers[rows, columns] = torch.arange(len(rows))
    return torch.maximum(numbers, numbers.T)


def mbp_parameters(config: MbpConfig) -> dict[str, Tensor]:
    """Return the arrays of an mBP descriptor with equispaced centers and angles."""
    # By multiplication: a floating-point arange may give one center too many.
    radial_step = (config.radial_cutoff - config.radial_start) / config.n_radial
    angular_step = (config.angular_cutoff - config.angular_start) / config.n_angular
    return {
        "radial_cutoff": torch.tensor([config.radial_cutoff], dtype=torch.float64),
        "radial_eta": torch.full((config.n_radial,), config.radial_eta, dtype=torch.float64),
        "radial_centers": config.radial_start + radial_step * torch.arange(config.n_radial, dtype=torch.float64),
        "angular_cutoff": torch.tensor([config.angular_cutoff], dtype=torch.float64),
        "angular_eta": torch.full((config.n_angular,), config.angular_eta, dtype=torch.float64),
        "angular_centers": config.angular_start + angular_step * torch.arange(config.n_angular, dtype=torch.float64),
        "angular_theta": (torch.arange(config.n_theta, dtype=torch.float64) + 0.5) * (torch.pi / config.n_theta),
        "angular_zeta": torch.full((config.n_theta,), config.zeta, dtype=torch.float64),
        "angular_epsilon": torch.tensor([config.epsilon], dtype=torch.float64),
    }


def bp_parameters(config: BpConfig) -> dict[str, Tensor]:
    """Return the arrays of a BP descriptor on the full grids: center fastest; eta, zeta, lambda with lambda fastest."""
    doubles = [torch.tensor(v, dtype=torch.float64) for v in (config.radial_eta, config.radial_centers)]
    radial = torch.cartesian_prod(*doubles).view(-1, 2)
    angles = (config.angular_eta, config.angular_zeta, config.angular_lambda)
    angular = torch.cartesian_prod(*(torch.tensor(v, dtype=torch.float64) for v in angles)).view(-1, 3)
    return {
        "radial_cutoff": torch.tensor([config.radial_cutoff], dtype=torch.float64),
        "radial_eta": radial[:, 0],
        "radial_centers": radial[:, 1],
        "angular_cutoff": torch.tensor([config.angular_cutoff], dtype=torch.float64),
        "angular_eta": angular[:, 0],
        "angular_zeta": angular[:, 1],
        "angular_lambda": angular[:, 2],
    }


DESCRIPTORS: dict[str, type[MbpDescriptor] | type[BpDescriptor]] = {"mbp": MbpDescriptor, "bp": BpDescriptor}


def descriptor_from_config(config: MbpConfig | BpConfig, n_elements: int) -> Descriptor:
    """Build the descriptor that a configuration asks for."""
    if isinstance(config, MbpConfig):
        return MbpDescriptor(n_elements, mbp_parameters(config))
    return BpDescriptor(n_elements, bp_parameters(config))
