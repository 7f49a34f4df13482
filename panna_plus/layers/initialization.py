"""Random initial weights, drawn in float64 so that both precisions start from the same numbers."""

import math

import torch
from torch import Tensor

# Standard deviation of a normal distribution cut off at two of its own.
_TRUNCATED_DEVIATION = 0.87962566103423978


def lecun_normal(shape: tuple[int, ...], n_in: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw from a normal distribution cut off at two standard deviations, rescaled to a variance of 1 / n_in."""
    values = torch.empty(shape, dtype=torch.float64)
    torch.nn.init.trunc_normal_(values, a=-2.0, b=2.0, generator=generator)
    return (values / (_TRUNCATED_DEVIATION * math.sqrt(n_in))).to(dtype)


def normal_rows(n_rows: int, n: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Draw a table (n_rows, n) from a normal distribution of variance 1 / n."""
    return (torch.randn(n_rows, n, generator=generator, dtype=torch.float64) / math.sqrt(n)).to(dtype)


def linear(n_in: int, n_out: int, generator: torch.Generator, dtype: torch.dtype, bias: bool = True) -> torch.nn.Linear:
    """Return a linear layer with `lecun_normal` weights and zero biases."""
    layer = torch.nn.utils.skip_init(torch.nn.Linear, n_in, n_out, bias=bias, dtype=dtype)
    layer.weight.data = lecun_normal((n_out, n_in), n_in, generator, dtype)
    if bias:
        torch.nn.init.zeros_(layer.bias)
    return layer
