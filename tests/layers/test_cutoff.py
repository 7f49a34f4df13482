import math

import torch

from panna_plus.layers.cutoff import cosine_cutoff

CUTOFF = torch.tensor([4.0], dtype=torch.float64)


def test_values_of_the_closed_form():
    values = cosine_cutoff(torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64), CUTOFF)
    assert torch.allclose(values, torch.tensor([1.0, 0.5, 0.5 * (1 + math.sqrt(0.5))], dtype=torch.float64))


def test_value_and_slope_vanish_at_the_cutoff_and_beyond():
    distances = torch.tensor([4.0 - 1e-7, 4.0, 4.0 + 1e-7, 7.9, 8.0, 100.0], dtype=torch.float64, requires_grad=True)
    values = cosine_cutoff(distances, CUTOFF)
    (slope,) = torch.autograd.grad(values.sum(), distances)
    assert values[1:].tolist() == [0.0] * 5
    assert slope[1:].tolist() == [0.0] * 5
    assert 0.0 <= values[0] < 1e-14
    assert abs(slope[0]) < 1e-6


def test_slope_inside():
    assert torch.autograd.gradcheck(
        lambda r: cosine_cutoff(r, CUTOFF), torch.linspace(0.1, 3.9, 20, dtype=torch.float64, requires_grad=True)
    )
