"""The operators on a CUDA device: the numbers of the CPU, derivatives, streams, errors."""

import gc

import pytest
import torch

from tests.gpu import devices
from tests.native.descriptor_inputs import KINDS, Lists, arguments, descriptor, random_lists, relative_error

pytestmark = pytest.mark.gpu

COUNTS = [0, 1, 7, 33, 90, 2]
NAMES = ("descriptor", "descriptor_backward", "descriptor_tangent")


@pytest.fixture(scope="module")
def ops(device):
    return torch.ops.panna_plus


def moved(lists: Lists, device: torch.device) -> Lists:
    return Lists(*(tensor.to(device) for tensor in vars(lists).values()))


def inputs_of(functions, lists: Lists, seed: int = 3) -> dict[str, tuple[torch.Tensor, ...]]:
    """Return what each operator takes before the lists."""
    generator = torch.Generator().manual_seed(seed)
    g = torch.randn(lists.n_centers, functions.n_features, dtype=torch.float64, generator=generator)
    v = torch.randn(lists.displacements.shape, dtype=torch.float64, generator=generator)
    return dict(zip(NAMES, [(), (g,), (v,)], strict=True))


def results(ops, functions, lists: Lists, device: torch.device, precision: str = "double") -> list[torch.Tensor]:
    """Evaluate the three operators on a device; results on the CPU."""
    given = arguments(functions, moved(lists, device), precision)
    inputs = inputs_of(functions, lists)
    return [getattr(ops, name)(*(x.to(device) for x in inputs[name]), *given).cpu() for name in NAMES]


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("n_elements", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_the_cpu(ops, device, kind, n_elements, precision):
    functions, lists = descriptor(kind, n_elements), random_lists(COUNTS, n_elements)
    expected = results(ops, functions, lists, torch.device("cpu"))
    found = results(ops, functions, lists, device, precision)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float64 and b.abs().max() > 0.1
        assert relative_error(a, b) < devices.TOLERANCE[precision]


@pytest.mark.parametrize("kind", ["mbp_uneven", "bp"])
def test_adjoint_identity(ops, device, kind):
    """<v, backward(g)> = <g, tangent(v)>."""
    functions, lists = descriptor(kind, 3), random_lists(COUNTS, 3, seed=1)
    inputs = inputs_of(functions, lists)
    _, gradient, tangent = results(ops, functions, lists, device)
    left, right = inputs["descriptor_tangent"][0] * gradient, inputs["descriptor_backward"][0] * tangent
    assert left.abs().sum() > 1.0
    assert abs(float(left.sum() - right.sum())) < 1e-12 * float(left.abs().sum())


@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0], [1], [2, 0]], ids=str)
def test_empty_and_tiny_systems(ops, device, counts):
    functions, lists = descriptor("mbp", 2), random_lists(counts, 2, longest=2.5)
    expected = results(ops, functions, lists, torch.device("cpu"))
    for a, b in zip(results(ops, functions, lists, device), expected, strict=True):
        assert a.shape == b.shape and relative_error(a, b) < devices.TOLERANCE["double"]


def test_species_of_either_width_and_any_strides(ops, device):
    functions, lists = descriptor("mbp", 3), random_lists(COUNTS, 3)
    expected = results(ops, functions, lists, device)
    lists.displacements = lists.displacements.T.contiguous().T
    lists.neighbor_species = torch.stack([lists.neighbor_species.int()] * 2, dim=1)[:, 0]
    for a, b in zip(results(ops, functions, lists, device), expected, strict=True):
        assert torch.equal(a, b)


def test_parameters_may_stay_on_the_cpu_or_lie_on_the_device(ops, device):
    functions, lists = descriptor("mbp_uneven", 2), moved(random_lists([3, 9], 2), device)
    given = list(arguments(functions, lists))
    expected = ops.descriptor(*given)
    given[3] = [p.to(device) for p in given[3]]
    assert torch.equal(ops.descriptor(*given).cpu(), expected.cpu())
    given[3][4] = given[3][4].cpu()
    with pytest.raises(ValueError, match=r"parameters\[4\] .*expected device .*all on the CPU.*found cpu"):
        ops.descriptor(*given)


@pytest.fixture(params=["mbp_uneven", "bp"])
def small(request, device):
    """A small descriptor, its arguments on the device, and g and v that require a gradient."""
    functions, lists = descriptor(request.param, 2), random_lists([0, 3, 4, 1], 2, longest=3.0)
    inputs = inputs_of(functions, lists)
    g, v = (inputs[name][0].to(device).requires_grad_() for name in NAMES[1:])
    return arguments(functions, moved(lists, device)), g, v


def test_gradcheck(ops, small):
    given, g, v = small
    displacements = given[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: ops.descriptor(r, *given[1:]), displacements, atol=1e-7, fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: ops.descriptor_backward(x, *given), g, fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: ops.descriptor_tangent(x, *given), v, fast_mode=True)


def test_gradgradcheck_with_respect_to_the_linear_inputs(ops, small):
    given, g, v = small
    assert torch.autograd.gradgradcheck(lambda x: ops.descriptor_backward(x, *given), g, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: ops.descriptor_tangent(x, *given), v, fast_mode=True)


def test_second_derivatives_by_displacements_raise_as_on_the_cpu(ops, small):
    given, _, _ = small
    displacements = given[0].clone().requires_grad_()
    energy = ops.descriptor(displacements, *given[1:]).square().sum()
    (gradient,) = torch.autograd.grad(energy, displacements, create_graph=True)
    with pytest.raises(NotImplementedError, match="For a Hessian use the PyTorch reference"):
        torch.autograd.grad(gradient.square().sum(), displacements)


def test_opcheck(ops, small, device):
    """With the parameters on the device: torch's shapes without numbers know one device."""
    given, g, v = small
    given = (*given[:3], [p.to(device) for p in given[3]], *given[4:])
    moving = (given[0].clone().requires_grad_(), *given[1:])
    checks = ["test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic"]
    if devices.EMULATION:
        checks.remove("test_autograd_registration")  # torch has it for CPU, CUDA and XPU only
    torch.library.opcheck(ops.descriptor.default, moving, test_utils=checks)
    torch.library.opcheck(ops.descriptor_backward.default, (g, *given), test_utils=checks)
    torch.library.opcheck(ops.descriptor_tangent.default, (v, *given), test_utils=checks)


def changed(lists: Lists, name: str, place, value) -> Lists:
    """Return a copy with one entry changed."""
    tensors = {key: tensor.clone() for key, tensor in vars(lists).items()}
    tensors[name][place] = value
    return Lists(**tensors)


BAD = {
    "no length": ("displacements", 4, 0.0, "center 2: expected displacements of finite length"),
    "nan": ("displacements", (4, 1), float("nan"), "center 2: expected displacements of finite length"),
    "species": ("neighbor_species", 5, 2, "center 2: .* neighbors of species 0 to 1"),
    "negative species": ("neighbor_species", 5, -1, "center 2: .* neighbors of species 0 to 1"),
    "wide species": ("neighbor_species", 5, 2**32, "center 2: .* neighbors of species 0 to 1"),
    "descending starts": ("row_start", 1, 9, "row_start, at center 1: expected values that ascend"),
    "negative start": ("row_start", 1, -1, "row_start, at center 0: expected values that ascend"),
    "first start": ("row_start", 0, 1, "row_start, at center 0: expected values that ascend"),
    "last start": ("row_start", 3, 10, "row_start, at center 2: expected values that ascend"),
    "start beyond": ("row_start", 2, 12, "row_start, at center 1: expected values that ascend"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_what_the_device_finds_is_raised(ops, device, case, precision):
    *change, message = BAD[case]
    functions, lists = descriptor("mbp_uneven", 2), changed(random_lists([3, 0, 8], 2, longest=3.5), *change)
    with pytest.raises(ValueError, match=message):
        ops.descriptor(*arguments(functions, moved(lists, device), precision))


@pytest.mark.parametrize("name", NAMES[1:])
def test_the_linear_operators_do_not_wait_and_raise_later(ops, device, name):
    functions, good = descriptor("mbp_uneven", 2), random_lists([3, 0, 8], 2, longest=3.5)
    (given,) = inputs_of(functions, good)[name]
    bad = changed(good, "displacements", 4, 0.0)
    getattr(ops, name)(given.to(device), *arguments(functions, moved(bad, device)))
    if devices.EMULATION:  # where nothing arrives before somebody waits
        getattr(ops, name)(given.to(device), *arguments(functions, moved(good, device)))
    devices.synchronize()
    with pytest.raises(ValueError, match=rf"earlier call of .* on {device} failed: center 2: expected displacements"):
        ops.descriptor(*arguments(functions, moved(good, device)))
    # Once.
    assert ops.descriptor(*arguments(functions, moved(good, device))).isfinite().all()


def test_what_is_wrong_with_the_arguments_is_named_before_anything_runs(ops, device):
    functions, lists = descriptor("mbp_uneven", 2), moved(random_lists([3, 0, 8], 2), device)
    given = list(arguments(functions, lists))
    cases = [
        (0, lists.displacements.float(), "'displacements': expected dtype Double, found Float"),
        (0, lists.displacements.cpu(), "expected device cpu"),
        (1, lists.row_start.cpu(), "'row_start': expected device .* found cpu"),
        (1, lists.row_start[:1], "found 11 pairs and no center"),
        (2, lists.neighbor_species.double(), "'neighbor_species': expected dtype Int or Long"),
        (3, [p.float() for p in given[3]], r"'parameters\[0\] .* expected dtype Double, found Float"),
    ]
    for place, value, message in cases:
        bad = [*given[:place], value, *given[place + 1 :]]
        with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
            ops.descriptor(*bad)


def test_two_streams_at_once(ops, device):
    """Each with memory of its own; results are those of one after the other."""
    n = 5 if devices.EMULATION else 2000
    cases = [(descriptor("mbp", 2), random_lists([20] * n, 2)), (descriptor("bp", 2), random_lists([30] * n, 2))]
    expected = [results(ops, *case, device) for case in cases]
    given = [(inputs_of(*case), arguments(case[0], moved(case[1], device))) for case in cases]
    given = [({k: [x.to(device) for x in v] for k, v in inputs.items()}, a) for inputs, a in given]
    devices.synchronize()
    streams, found = [torch.Stream(device) for _ in cases], [[], []]
    for _ in range(2):
        for n, (inputs, rest) in enumerate(given):
            with streams[n]:
                found[n] = [getattr(ops, name)(*inputs[name], *rest) for name in NAMES]
    devices.synchronize()
    for a, b in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        assert torch.equal(a.cpu(), b)


@pytest.mark.skipif(not devices.EMULATION, reason="only the emulation counts what is queued on a stream")
@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("name", NAMES)
def test_everything_is_queued_on_the_current_stream(ops, device, name, precision):
    functions, lists = descriptor("mbp", 2), random_lists([6, 3], 2)
    given = arguments(functions, moved(lists, device), precision)
    inputs = [x.to(device) for x in inputs_of(functions, lists)[name]]
    getattr(ops, name)(*inputs, *given)  # opens the descriptor, on a stream of its own
    default, stream = torch.accelerator.current_stream(), torch.Stream(device)
    before = devices.calls_on(default)
    with stream:
        getattr(ops, name)(*inputs, *given)
    assert devices.calls_on(stream) >= 5 and devices.calls_on(default) == before


def test_memory_is_released(ops, device):
    functions, lists = descriptor("mbp", 2), random_lists([20] * 5, 2)
    results(ops, functions, lists, device)
    devices.synchronize()
    gc.collect()
    before = devices.allocated()
    for _ in range(3):
        results(ops, functions, lists, device)
    devices.synchronize()
    gc.collect()
    assert devices.allocated() == before


def test_more_descriptors_than_stay_open(ops, device):
    lists = random_lists([6, 4], 1)
    functions = descriptor("mbp_uneven", 1)
    for k in range(40):
        functions.radial_cutoff.fill_(4.0 + 0.01 * (k % 20))
        (a, *_), (b, *_) = (results(ops, functions, lists, d) for d in (device, torch.device("cpu")))
        assert relative_error(a, b) < devices.TOLERANCE["double"]
