"""Radial bases: their formulas, finite at zero distance, smooth."""

import math

import numpy as np
import pytest
import torch

from panna_plus.layers.radial_basis import BASES, BERNSTEIN_DECAY, radial_basis
from tests.geometries import largest

CUTOFF, N = 4.5, 8
R = torch.linspace(0.3, 6.0, 50, dtype=torch.float64)


def test_bernstein_polynomials_are_a_partition_of_one():
    values = radial_basis("bernstein", N, CUTOFF)(R)
    assert largest(values.sum(dim=1) - 1.0) < 1e-13
    z = np.exp(-BERNSTEIN_DECAY * R.numpy())
    for k in range(N):
        expected = math.comb(N - 1, k) * z**k * (1 - z) ** (N - 1 - k)
        assert largest(values[:, k].numpy() - expected) < 1e-14


def test_physnet_gaussians_have_their_centers_from_the_cutoff_to_zero():
    basis = radial_basis("physnet", N, CUTOFF)
    assert float(basis(torch.tensor([CUTOFF], dtype=torch.float64))[0, 0]) == pytest.approx(1.0, abs=1e-12)
    assert float(basis(torch.zeros(1, dtype=torch.float64))[0, -1]) == 1.0
    width = 2.0 / N * (1.0 - math.exp(-CUTOFF))
    shifted = (np.exp(-R.numpy()) - math.exp(-CUTOFF)) / width
    assert largest(basis(R)[:, 0].numpy() - np.exp(-(shifted**2))) < 1e-13


def test_bessel_functions_are_orthogonal_and_end_at_the_cutoff():
    basis = radial_basis("bessel", N, CUTOFF)
    assert largest(basis(torch.tensor([CUTOFF], dtype=torch.float64))) < 1e-12
    r = torch.linspace(0.0, CUTOFF, 4001, dtype=torch.float64)
    values = basis(r) * r.unsqueeze(1)
    overlap = torch.trapezoid(values.unsqueeze(2) * values.unsqueeze(1), r, dim=0)
    assert largest(overlap - 0.5 * CUTOFF * torch.eye(N)) < 1e-6


@pytest.mark.parametrize("name", BASES)
def test_torchscript_gives_the_same(name):
    basis = radial_basis(name, N, CUTOFF)
    script = torch.jit.script(basis)
    for _ in range(4):
        assert largest(script(R) - basis(R)) < 1e-14


@pytest.mark.parametrize("name", BASES)
def test_finite_with_derivatives_at_and_near_zero(name):
    r = torch.tensor([0.0, 1e-6, 0.5, 40.0], dtype=torch.float64, requires_grad=True)
    values = radial_basis(name, 32, CUTOFF)(r)
    (gradient,) = torch.autograd.grad(values.sum(), r, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), r)
    assert all(bool(torch.isfinite(t).all()) for t in (values, gradient, second))


@pytest.mark.parametrize("name", BASES)
def test_derivatives_are_those_of_the_values(name):
    basis = radial_basis(name, N, CUTOFF)
    assert torch.autograd.gradcheck(basis, R.clone().requires_grad_(True))
    assert torch.autograd.gradgradcheck(basis, R[:10].clone().requires_grad_(True))
