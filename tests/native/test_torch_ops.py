"""The operators of the descriptors: the numbers of the PyTorch reference, and what must hold among the three."""

import pytest
import torch

from panna_plus.native.torch_libraries import load_ops
from tests.native.descriptor_inputs import (
    KINDS,
    Lists,
    arguments,
    by_reference,
    descriptor,
    random_lists,
    relative_error,
)

COUNTS = [0, 1, 7, 33, 90, 2]


@pytest.fixture(scope="module")
def ops():
    load_ops()
    return torch.ops.panna_plus


def values_and_gradient(functions, lists: Lists, g: torch.Tensor):
    """Evaluate the reference and the gradient of sum(g * G)."""
    moving = Lists(lists.displacements.clone().requires_grad_(), lists.row_start, lists.neighbor_species)
    values = by_reference(functions, moving)
    return values.detach(), torch.autograd.grad((values * g).sum(), moving.displacements)[0]


def random_g(functions, lists: Lists) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(lists.n_centers, functions.n_features, dtype=torch.float64, generator=generator)


def random_v(lists: Lists) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(lists.displacements.shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("n_elements", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_reference(ops, kind, n_elements):
    functions, lists = descriptor(kind, n_elements), random_lists(COUNTS, n_elements)
    g = random_g(functions, lists)
    values, gradient = values_and_gradient(functions, lists, g)
    assert values.abs().max() > 0.1 and gradient.abs().max() > 0.1
    assert relative_error(ops.descriptor(*arguments(functions, lists)), values) < 1e-12
    assert relative_error(ops.descriptor_backward(g, *arguments(functions, lists)), gradient) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_adjoint_identity(ops, kind):
    """<v, backward(g)> = <g, tangent(v)>."""
    functions, lists = descriptor(kind, 3), random_lists(COUNTS, 3, seed=1)
    g, v = random_g(functions, lists), random_v(lists)
    left = v * ops.descriptor_backward(g, *arguments(functions, lists))
    right = g * ops.descriptor_tangent(v, *arguments(functions, lists))
    assert left.abs().sum() > 1.0
    assert abs(float(left.sum() - right.sum())) < 1e-12 * float(left.abs().sum())


@pytest.mark.parametrize("kind", KINDS)
def test_tangent_against_finite_differences(ops, kind):
    functions, lists = descriptor(kind, 2), random_lists(COUNTS, 2, seed=2)
    v, step = random_v(lists), 1e-5
    moved = []
    for sign in (1.0, -1.0):
        displacements = lists.displacements + sign * step * v
        moved.append(ops.descriptor(displacements, *arguments(functions, lists)[1:]))
    expected = (moved[0] - moved[1]) / (2 * step)
    assert expected.abs().max() > 0.1
    # The cutoff's curvature jumps where a pair leaves, which differences see.
    assert relative_error(ops.descriptor_tangent(v, *arguments(functions, lists)), expected) < 1e-7


@pytest.mark.parametrize("kind", ["mbp", "bp"])
def test_mixed_precision_is_close_to_double(ops, kind):
    functions, lists = descriptor(kind, 2), random_lists(COUNTS, 2)
    g, v = random_g(functions, lists), random_v(lists)
    double, mixed = arguments(functions, lists), arguments(functions, lists, "mixed")
    for found, expected in (
        (ops.descriptor(*mixed), ops.descriptor(*double)),
        (ops.descriptor_backward(g, *mixed), ops.descriptor_backward(g, *double)),
        (ops.descriptor_tangent(v, *mixed), ops.descriptor_tangent(v, *double)),
    ):
        assert 0 < relative_error(found, expected) < 1e-5


@pytest.mark.parametrize("kind", ["mbp", "bp"])
@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0], [1], [2, 0]], ids=str)
def test_empty_and_tiny_systems(ops, kind, counts):
    functions, lists = descriptor(kind, 2), random_lists(counts, 2, longest=2.5)
    g, v = random_g(functions, lists), random_v(lists)
    values = ops.descriptor(*arguments(functions, lists))
    assert relative_error(values, by_reference(functions, lists)) < 1e-12
    assert not values[[count == 0 for count in counts]].any()
    assert ops.descriptor_backward(g, *arguments(functions, lists)).shape == (sum(counts), 3)
    assert ops.descriptor_tangent(v, *arguments(functions, lists)).shape == values.shape


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_beyond_the_cutoffs_change_nothing_at_all(ops, kind):
    functions, lists = descriptor(kind, 2), random_lists([40, 3], 2)
    near = torch.linalg.vector_norm(lists.displacements, dim=1) < functions.cutoff
    assert 5 < int(near.sum()) < 40
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), near.cumsum(0)])[lists.row_start]
    short = Lists(lists.displacements[near], starts, lists.neighbor_species[near])
    g, v = random_g(functions, lists), random_v(lists)
    long_arguments, short_arguments = arguments(functions, lists), arguments(functions, short)
    assert torch.equal(ops.descriptor(*long_arguments), ops.descriptor(*short_arguments))
    gradient = ops.descriptor_backward(g, *long_arguments)
    assert not gradient[~near].any()
    assert torch.equal(gradient[near], ops.descriptor_backward(g, *short_arguments))
    tangents = [ops.descriptor_tangent(v, *long_arguments), ops.descriptor_tangent(v[near], *short_arguments)]
    assert torch.equal(*tangents)


def test_species_of_either_width_and_any_strides(ops):
    functions, lists = descriptor("mbp", 3), random_lists(COUNTS, 3)
    given = list(arguments(functions, lists))
    g, expected = random_g(functions, lists), ops.descriptor(*given)
    gradient = ops.descriptor_backward(g, *given)
    given[0] = lists.displacements.T.contiguous().T
    given[2] = torch.stack([lists.neighbor_species.int()] * 2, dim=1)[:, 0]
    assert not given[0].is_contiguous() and not given[2].is_contiguous()
    assert torch.equal(ops.descriptor(*given), expected)
    assert torch.equal(ops.descriptor_backward(g.T.contiguous().T, *given), gradient)


def test_threads_and_repetitions_give_the_same_bits(ops):
    functions, lists = descriptor("mbp", 2), random_lists([5, 60, 0, 17, 40] * 40, 2)
    g, v = random_g(functions, lists), random_v(lists)

    def evaluated() -> list[torch.Tensor]:
        given = arguments(functions, lists)
        return [ops.descriptor(*given), ops.descriptor_backward(g, *given), ops.descriptor_tangent(v, *given)]

    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = evaluated()
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            assert all(torch.equal(a, b) for a, b in zip(evaluated(), expected, strict=True))
    finally:
        torch.set_num_threads(n_threads)
