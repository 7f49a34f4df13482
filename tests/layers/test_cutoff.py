"""Cutoff functions: their formulas, and how smoothly they end."""

import math

import pytest
import torch

from panna_plus.layers.cutoff import cosine_cutoff, exponential_cutoff, quintic_cutoff, smooth_switch

CUTOFF = torch.tensor([4.0], dtype=torch.float64)
FUNCTIONS = [cosine_cutoff, quintic_cutoff, exponential_cutoff]
# Continuous derivatives at the cutoff, up to the third looked at.
SMOOTHNESS = {cosine_cutoff: 1, quintic_cutoff: 2, exponential_cutoff: 3}
every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)


def derivatives(function, distances, order):
    """Return value and derivatives up to an order, (order + 1, n)."""
    r = distances.clone().requires_grad_(True)
    found = [function(r, CUTOFF)]
    for _ in range(order):
        (slope,) = torch.autograd.grad(found[-1].sum(), r, create_graph=True)
        found.append(slope)
    return torch.stack(found).detach()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (cosine_cutoff, [1.0, 0.5, 0.5 * (1 + math.sqrt(0.5))]),
        (quintic_cutoff, [1.0, 0.5, 1 - 10 / 64 + 15 / 256 - 6 / 1024]),
        (exponential_cutoff, [1.0, math.exp(-4 / 12), math.exp(-1 / 15)]),
    ],
    ids=["cosine", "quintic", "exponential"],
)
def test_values_of_the_closed_form(function, expected):
    values = function(torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64), CUTOFF)
    assert torch.allclose(values, torch.tensor(expected, dtype=torch.float64))


@every_function
def test_nothing_from_the_cutoff_on(function):
    distances = torch.tensor([4.0, 4.0 + 1e-7, 7.9, 8.0, 100.0], dtype=torch.float64)
    assert not derivatives(function, distances, 3).any()


@every_function
def test_derivatives_end_continuously_up_to_the_promised_order(function):
    found = derivatives(function, torch.tensor([4.0 - 1e-6], dtype=torch.float64), 3)[:, 0].abs()
    promised = SMOOTHNESS[function]
    assert found[: promised + 1].max() < 1e-5
    assert promised == 3 or found[promised + 1] > 0.1


@every_function
def test_derivatives_inside_are_those_of_the_values(function):
    r = torch.linspace(0.1, 3.9, 20, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: function(r, CUTOFF), r)
    assert torch.autograd.gradgradcheck(lambda r: function(r, CUTOFF), r)


def test_switch_falls_between_its_ends():
    on, off = torch.tensor([1.0], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)
    r = torch.tensor([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 9.0], dtype=torch.float64, requires_grad=True)
    values = smooth_switch(r, on, off)
    low = math.exp(-1 / 0.75) / (math.exp(-1 / 0.75) + math.exp(-1 / 0.25))
    assert torch.allclose(values, torch.tensor([1.0, 1.0, low, 0.5, 1 - low, 0.0, 0.0], dtype=torch.float64))
    (slope,) = torch.autograd.grad(values.sum(), r, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), r)
    assert not slope[[0, 1, 5, 6]].any()
    assert not curvature[[0, 1, 5, 6]].any()
    assert torch.isfinite(curvature).all()
