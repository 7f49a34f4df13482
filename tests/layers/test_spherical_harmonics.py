"""Real spherical harmonics against Legendre functions, quadrature on the sphere, and rotations."""

import math

import numpy as np
import pytest
import torch
from scipy.special import lpmv

from panna_plus.layers.spherical_harmonics import HIGHEST_DEGREE, SphericalHarmonics, degree_of_components
from tests.geometries import largest, random_rotation

DEGREES = list(range(HIGHEST_DEGREE + 1))


def directions(n=60, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def harmonics(units, degrees=DEGREES):
    return SphericalHarmonics(list(degrees))(torch.from_numpy(units)).numpy()


def from_legendre_functions(units):
    """Return sqrt(2) N P_l^|m|(z) times sin or cos of m phi, without the phase (-1)^m."""
    phi, z = np.arctan2(units[:, 1], units[:, 0]), units[:, 2]
    columns = []
    for degree in DEGREES:
        for m in range(-degree, degree + 1):
            k = abs(m)
            norm = (2 * degree + 1) / (4 * math.pi) * math.factorial(degree - k) / math.factorial(degree + k)
            angle = np.sin(k * phi) if m < 0 else np.cos(k * phi)
            columns.append((-1) ** k * (math.sqrt(2) if m else 1.0) * math.sqrt(norm) * lpmv(k, degree, z) * angle)
    return np.stack(columns, axis=1)


def test_equal_to_legendre_functions():
    units = directions()
    assert largest(harmonics(units) - from_legendre_functions(units)) < 1e-13


def test_orthonormal_on_the_sphere():
    # Gauss-Legendre in z and equispaced angles: exact for products of two harmonics.
    z, weights = np.polynomial.legendre.leggauss(HIGHEST_DEGREE + 1)
    phi = 2 * np.pi * np.arange(2 * HIGHEST_DEGREE + 1) / (2 * HIGHEST_DEGREE + 1)
    z, phi = (a.ravel() for a in np.meshgrid(z, phi, indexing="ij"))
    units = np.stack([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z], axis=1)
    area = np.repeat(weights, 2 * HIGHEST_DEGREE + 1) * 2 * np.pi / (2 * HIGHEST_DEGREE + 1)
    values = harmonics(units)
    assert largest(values.T @ (area[:, None] * values) - np.eye(values.shape[1])) < 1e-13


@pytest.mark.parametrize("degree", DEGREES)
def test_squares_of_a_degree_add_up_to_a_constant(degree):
    values = harmonics(directions(), [degree])
    assert values.shape[1] == 2 * degree + 1
    assert largest((values**2).sum(axis=1) - (2 * degree + 1) / (4 * math.pi)) < 1e-14


@pytest.mark.parametrize("degree", DEGREES)
def test_a_rotation_mixes_within_a_degree_by_an_orthogonal_matrix(degree):
    units = directions()
    rotation = random_rotation(np.random.default_rng(3))
    before, after = harmonics(units, [degree]), harmonics(units @ rotation.T, [degree])
    matrix, *_ = np.linalg.lstsq(before, after, rcond=None)
    assert largest(before @ matrix - after) < 1e-13
    assert largest(matrix @ matrix.T - np.eye(2 * degree + 1)) < 1e-12
    assert degree == 0 or largest(matrix - np.eye(2 * degree + 1)) > 0.1


def test_zero_vector_has_finite_first_and_second_derivatives():
    units = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    values = SphericalHarmonics(DEGREES)(units)
    (gradient,) = torch.autograd.grad(values.square().sum() + values.sum(), units, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), units)
    assert torch.isfinite(gradient).all()
    assert torch.isfinite(second).all()


def test_components_know_their_degree():
    assert degree_of_components((1, 2)).tolist() == [0] * 3 + [1] * 5
    assert degree_of_components((0, 3)).tolist() == [0] + [1] * 7


def test_torchscript_gives_the_same():
    units = torch.from_numpy(directions())
    for degrees in ([0], [2], DEGREES):
        module = SphericalHarmonics(degrees)
        script = torch.jit.script(module)
        for _ in range(4):
            assert largest(script(units) - module(units)) < 1e-15
