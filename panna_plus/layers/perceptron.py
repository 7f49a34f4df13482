"""Multilayer perceptrons with the activation functions that the file format names."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

ACTIVATIONS = ("gaussian", "tanh", "silu", "relu", "lorentz", "linear")


class DenseLayer(torch.nn.Module):
    """y = activation(W x + b), for rows of x (n, n_in)."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: str):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, found '{activation}'")
        self.weight = torch.nn.Parameter(weight)
        self.bias = torch.nn.Parameter(bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.linear(x, self.weight, self.bias)
        if self.activation == "gaussian":
            return torch.exp(-x * x)
        if self.activation == "tanh":
            return torch.tanh(x)
        if self.activation == "silu":
            return torch.nn.functional.silu(x)
        if self.activation == "relu":
            return torch.relu(x)
        if self.activation == "lorentz":
            return 1.0 / (1.0 + x * x)
        return x


def random_perceptron(
    sizes: Sequence[int], activation: str, generator: torch.Generator, dtype: torch.dtype
) -> torch.nn.Sequential:
    """Build layers sizes[0] -> ... -> sizes[-1], the last one linear, with Glorot-normal weights and zero biases."""
    last = len(sizes) - 2
    layers = []
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        # Drawn in float64, so that both precisions start from the same numbers.
        weight = torch.randn(n_out, n_in, generator=generator, dtype=torch.float64) * (2.0 / (n_in + n_out)) ** 0.5
        bias = torch.zeros(n_out, dtype=dtype)
        layers.append(DenseLayer(weight.to(dtype), bias, "linear" if k == last else activation))
    return torch.nn.Sequential(*layers)
