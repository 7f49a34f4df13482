"""Derivatives of the operators as PyTorch sees them: which exist, which raise, and that tracing works."""

import pytest
import torch

from panna_plus.native.torch_libraries import load_ops
from tests.native.descriptor_inputs import Lists, arguments, by_reference, descriptor, random_lists


@pytest.fixture(scope="module")
def ops():
    load_ops()
    return torch.ops.panna_plus


@pytest.fixture(params=["mbp_uneven", "bp"])
def functions(request):
    return descriptor(request.param, 2)


@pytest.fixture
def lists():
    return random_lists([0, 3, 4, 1], 2, longest=3.0)


def inputs_of(functions, lists):
    """Return random g and v that require a gradient."""
    generator = torch.Generator().manual_seed(5)
    g = torch.randn(lists.n_centers, functions.n_features, dtype=torch.float64, generator=generator)
    v = torch.randn(lists.displacements.shape, dtype=torch.float64, generator=generator)
    return g.requires_grad_(), v.requires_grad_()


def test_gradcheck(ops, functions, lists):
    g, v = inputs_of(functions, lists)
    given = arguments(functions, lists)
    displacements = lists.displacements.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: ops.descriptor(r, *given[1:]), displacements, atol=1e-7)
    assert torch.autograd.gradcheck(lambda x: ops.descriptor_backward(x, *given), g)
    assert torch.autograd.gradcheck(lambda x: ops.descriptor_tangent(x, *given), v)


def test_gradgradcheck_with_respect_to_the_linear_inputs(ops, functions, lists):
    g, v = inputs_of(functions, lists)
    given = arguments(functions, lists)
    assert torch.autograd.gradgradcheck(lambda x: ops.descriptor_backward(x, *given), g)
    assert torch.autograd.gradgradcheck(lambda x: ops.descriptor_tangent(x, *given), v)


def test_opcheck(ops, functions, lists):
    g, v = inputs_of(functions, lists)
    given = arguments(functions, lists)
    moving = (lists.displacements.clone().requires_grad_(), *given[1:])
    torch.library.opcheck(ops.descriptor.default, moving)
    torch.library.opcheck(ops.descriptor_backward.default, (g, *given))
    torch.library.opcheck(ops.descriptor_tangent.default, (v, *given))


def force_loss(evaluate, network, displacements):
    """Return a loss that contains energies and forces, as training builds it."""
    energy = network(evaluate(displacements)).square().sum()
    (gradient,) = torch.autograd.grad(energy, displacements, create_graph=True)
    return energy + gradient.square().sum()


@pytest.fixture
def evaluations(ops, functions, lists):
    """The descriptor as a function of the displacements: operator and reference."""
    given = arguments(functions, lists)
    return (
        lambda r: ops.descriptor(r, *given[1:]),
        lambda r: by_reference(functions, Lists(r, lists.row_start, lists.neighbor_species)),
    )


@pytest.fixture
def network(functions):
    torch.manual_seed(0)
    layers = torch.nn.Linear(functions.n_features, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)
    return torch.nn.Sequential(*layers).double()


def test_a_training_step_has_the_gradients_of_the_reference(evaluations, network, lists):
    parameters = list(network.parameters())
    gradients = []
    for evaluate in evaluations:
        network.zero_grad()
        displacements = lists.displacements.clone().requires_grad_()
        force_loss(evaluate, network, displacements).backward(inputs=parameters)
        gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
    assert gradients[1].abs().max() > 0.1
    assert torch.allclose(*gradients, rtol=1e-10, atol=1e-12)


def test_autograd_grad_of_a_training_step_works(evaluations, network, lists):
    loss = force_loss(evaluations[0], network, lists.displacements.clone().requires_grad_())
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, list(network.parameters())))


def test_plain_backward_of_a_force_loss_says_what_to_write_instead(evaluations, network, lists):
    loss = force_loss(evaluations[0], network, lists.displacements.clone().requires_grad_())
    with pytest.raises(NotImplementedError, match=r"loss\.backward\(inputs=list\(model\.parameters\(\)\)\)"):
        loss.backward()


def test_plain_backward_of_energies_works(evaluations, network, lists):
    displacements = lists.displacements.clone().requires_grad_()
    network(evaluations[0](displacements)).sum().backward()
    by_operator, displacements.grad = displacements.grad, None
    network(evaluations[1](displacements)).sum().backward()
    assert displacements.grad.abs().max() > 0.01
    assert torch.allclose(by_operator, displacements.grad, rtol=1e-10, atol=1e-13)


def test_a_hessian_names_the_reference(evaluations, network, lists):
    def energy(displacements):
        return network(evaluations[0](displacements)).sum()

    with pytest.raises(NotImplementedError, match=r"For a Hessian use the PyTorch reference .*families\.panna"):
        torch.autograd.functional.hessian(energy, lists.displacements)


def test_gradients_with_respect_to_parameters_name_the_reference(ops, functions, lists):
    g, v = (x.detach() for x in inputs_of(functions, lists))
    given = list(arguments(functions, lists))
    given[3] = [p.clone().requires_grad_(k == 1) for k, p in enumerate(given[3])]
    for inputs, name in (((), "descriptor"), ((g,), "descriptor_backward"), ((v,), "descriptor_tangent")):
        values = getattr(ops, name)(*inputs, *given)
        with pytest.raises(NotImplementedError, match=r"parameters \(here number 1\).*PyTorch reference"):
            values.sum().backward()


def test_parameters_that_require_a_gradient_do_not_forbid_other_gradients(ops, functions, lists):
    given = list(arguments(functions, lists))
    displacements = given[0].clone().requires_grad_()
    given[3] = [p.clone().requires_grad_() for p in given[3]]
    (gradient,) = torch.autograd.grad(ops.descriptor(displacements, *given[1:]).sum(), displacements)
    assert gradient.abs().max() > 0.1


def test_forward_mode_raises(ops, functions, lists):
    given = arguments(functions, lists)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(given[0], torch.ones_like(given[0]))
        with pytest.raises(RuntimeError, match="jvp is not implemented"):
            ops.descriptor(dual, *given[1:])


def test_shapes_without_numbers(ops, functions, lists):
    given = [x.to("meta") if isinstance(x, torch.Tensor) else x for x in arguments(functions, lists)]
    given[3] = [p.to("meta") for p in given[3]]
    g, v = (x.detach().to("meta") for x in inputs_of(functions, lists))
    assert ops.descriptor(*given).shape == g.shape
    assert ops.descriptor_backward(g, *given).shape == v.shape
    assert ops.descriptor_tangent(v, *given).shape == g.shape
