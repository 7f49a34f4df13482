"""One layer: attention between neighbors, then an exchange between features and Euclidean variables.

Notation: N atoms, E directed pairs (center i, neighbor j), F features, H heads, L degrees, M components of all degrees,
K radial functions. x (N, F) are the features, v (N, M) the Euclidean variables.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.graph import sum_by_index
from panna_plus.layers.initialization import lecun_normal, linear
from panna_plus.layers.spherical_harmonics import degree_of_components

LAYER_NORM_EPSILON = 1e-6


class Edges(NamedTuple):
    """What the layers take of the pairs within the cutoff.

    Attributes
    ----------
    centers, neighbors : (E,) int64
    radial : (E, K)
        Radial functions of the distance.
    harmonics : (E, M)
        Spherical harmonics of the direction from center to neighbor.
    envelopes : (E, 2)
        Cutoff function divided by the norm of the messages, for features and for Euclidean variables.
    """

    centers: Tensor
    neighbors: Tensor
    radial: Tensor
    harmonics: Tensor
    envelopes: Tensor


class Invariants(torch.nn.Module):
    """``s_l(v) = sum_m v_lm² / sqrt(2 l + 1)``, the part of v (x) v that rotations leave alone.

    Squares, not norms, so that it is smooth at v = 0.
    """

    matrix: Tensor

    def __init__(self, degrees: tuple[int, ...]):
        super().__init__()
        matrix = torch.zeros(sum(2 * d + 1 for d in degrees), len(degrees), dtype=torch.float64)
        for row, k in enumerate(degree_of_components(degrees).tolist()):
            matrix[row, k] = 1.0 / math.sqrt(2 * degrees[k] + 1)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, v: Tensor) -> Tensor:
        """Return (n, L) of v (n, M)."""
        return (v * v) @ self.matrix.to(v.dtype)


class Filter(torch.nn.Module):
    """``W_ij = R2(silu(R1(rbf_ij))) + S2(silu(S1(p_ij)))`` with ``p_ij = s(v_j - v_i)``.

    Nat. Commun. 15, 6539 (2024), eq. 20.
    """

    def __init__(self, config: So3kratesConfig, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        n, n_narrow = config.n_features, config.n_features // 4
        self.radial_inner = linear(config.n_radial, n, generator, dtype)
        self.radial_outer = linear(n, n, generator, dtype)
        self.spherical_inner = linear(len(config.degrees), n_narrow, generator, dtype)
        self.spherical_outer = linear(n_narrow, n, generator, dtype)

    def forward(self, radial: Tensor, spherical: Tensor) -> Tensor:
        """Return (E, F) of radial functions (E, K) and invariants (E, L)."""
        silu = torch.nn.functional.silu
        return self.of_distance(radial) + self.spherical_outer(silu(self.spherical_inner(spherical)))

    def of_distance(self, radial: Tensor) -> Tensor:
        """Return the part that depends on the distance alone, (E, F)."""
        return self.radial_outer(torch.nn.functional.silu(self.radial_inner(radial)))


class HeadProjection(torch.nn.Module):
    """One square matrix per head on its chunk of the features, without a bias."""

    def __init__(self, n_features: int, n_heads: int, activation: str, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        size = n_features // n_heads
        self.weight = torch.nn.Parameter(lecun_normal((n_heads, size, size), size, generator, dtype))
        self.is_linear = activation == "linear"

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, H, F/H) of x (N, F)."""
        n_heads, size = self.weight.shape[0], self.weight.shape[1]
        projected = torch.einsum("hij,nhj->nhi", self.weight, x.view(x.shape[0], n_heads, size))
        return projected if self.is_linear else torch.nn.functional.silu(projected)


class Coefficients(torch.nn.Module):
    """``a_ij,h = f(r_ij) / norm  sum_f q_i,hf W_ij,hf k_j,hf``, with q and k linear in x: no softmax, hence smooth.

    Nat. Commun. 15, 6539 (2024), eq. 21. A neighbor at the cutoff has weight zero, whatever the others do.
    """

    def __init__(self, config: So3kratesConfig, n_heads: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.filter = Filter(config, generator, dtype)
        self.query = HeadProjection(config.n_features, n_heads, config.query_key_activation, generator, dtype)
        self.key = HeadProjection(config.n_features, n_heads, config.query_key_activation, generator, dtype)

    def forward(self, x: Tensor, spherical: Tensor, edges: Edges, envelope: Tensor) -> Tensor:
        """Return (E, H)."""
        query, key = self.query(x), self.key(x)
        weights = self.filter(edges.radial, spherical).view(-1, query.shape[1], query.shape[2])
        products = query.index_select(0, edges.centers) * weights * key.index_select(0, edges.neighbors)
        return products.sum(dim=2) * envelope.unsqueeze(1)


class Attention(torch.nn.Module):
    """``x_i += sum_j a1_ij,h (V_h x_j,h)`` per head and ``v_i,lm += sum_j a2_ij,l Y_lm(r_ij)`` per degree.

    Nat. Commun. 15, 6539 (2024), eq. 15.
    """

    degree: Tensor

    def __init__(self, config: So3kratesConfig, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.invariants = Invariants(config.degrees)
        self.features = Coefficients(config, config.n_heads, generator, dtype)
        self.value = HeadProjection(config.n_features, config.n_heads, "linear", generator, dtype)
        self.vectors = Coefficients(config, len(config.degrees), generator, dtype)
        self.register_buffer("degree", degree_of_components(config.degrees), persistent=False)

    def forward(self, x: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Return the new features and Euclidean variables."""
        spherical = self.invariants(v.index_select(0, edges.neighbors) - v.index_select(0, edges.centers))
        a1 = self.features(x, spherical, edges, edges.envelopes[:, 0])
        a2 = self.vectors(x, spherical, edges, edges.envelopes[:, 1])
        messages = (a1.unsqueeze(2) * self.value(x).index_select(0, edges.neighbors)).flatten(1)
        x = x + sum_by_index(messages, edges.centers, x.shape[0])
        v = v + sum_by_index(a2.index_select(1, self.degree) * edges.harmonics, edges.centers, x.shape[0])
        return x, v


class ResidualPerceptron(torch.nn.Module):
    """``x + W2 silu(W1 silu(x))``, with biases."""

    def __init__(self, n_features: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.inner = linear(n_features, n_features, generator, dtype)
        self.outer = linear(n_features, n_features, generator, dtype)

    def forward(self, x: Tensor) -> Tensor:
        silu = torch.nn.functional.silu
        return x + self.outer(silu(self.inner(silu(x))))


class Exchange(torch.nn.Module):
    """``[d, b] = W [x, s(v)] + bias``, then ``x += d`` and ``v_lm += b_l v_lm``.

    Nat. Commun. 15, 6539 (2024), eqs. 26 and 27.
    """

    degree: Tensor

    def __init__(self, config: So3kratesConfig, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        n = config.n_features + len(config.degrees)
        self.invariants = Invariants(config.degrees)
        self.linear = linear(n, n, generator, dtype)
        self.register_buffer("degree", degree_of_components(config.degrees), persistent=False)

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new features and Euclidean variables."""
        n_features = x.shape[1]
        mixed = self.linear(torch.cat([x, self.invariants(v)], dim=1))
        scale = mixed[:, n_features:].index_select(1, self.degree)
        return x + mixed[:, :n_features], v + scale * v


class Layer(torch.nn.Module):
    """Attention, then exchange, each followed by an optional perceptron and an optional normalization."""

    def __init__(self, config: So3kratesConfig, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        n = config.n_features
        self.attention = Attention(config, generator, dtype)
        self.norm_1 = layer_norm(n, dtype) if config.layer_norm_1 else None
        self.residual_1 = ResidualPerceptron(n, generator, dtype) if config.residual_mlp_1 else None
        self.exchange = Exchange(config, generator, dtype)
        self.residual_2 = ResidualPerceptron(n, generator, dtype) if config.residual_mlp_2 else None
        self.norm_2 = layer_norm(n, dtype) if config.layer_norm_2 else None

    def forward(self, x: Tensor, v: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        """Return the new features (N, F) and Euclidean variables (N, M)."""
        x, v = self.attention(x, v, edges)
        if self.norm_1 is not None:
            x = self.norm_1(x)
        if self.residual_1 is not None:
            x = self.residual_1(x)
        x, v = self.exchange(x, v)
        if self.residual_2 is not None:
            x = self.residual_2(x)
        if self.norm_2 is not None:
            x = self.norm_2(x)
        return x, v


def layer_norm(n_features: int, dtype: torch.dtype) -> torch.nn.LayerNorm:
    """Return a layer normalization with learned scale and shift."""
    return torch.nn.LayerNorm(n_features, eps=LAYER_NORM_EPSILON, dtype=dtype)
