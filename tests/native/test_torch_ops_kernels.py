"""What the operators stand on: the C interface of the descriptors, with each instruction set of this processor."""

import ctypes
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tests.native.c_interface import checked, engine_library
from tests.native.descriptor_inputs import KINDS, Lists, by_reference, descriptor, random_lists, relative_error

NAMES = ("x86-64-v4", "x86-64-v3", "x86-64-v2", "portable")
MIXED, DOUBLE = 0, 1


class Array(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("n", ctypes.c_int64), ("values", ctypes.c_void_p))


class Pairs(ctypes.Structure):
    _fields_ = (
        ("n_centers", ctypes.c_int64),
        ("n_pairs", ctypes.c_int64),
        ("displacements", ctypes.c_void_p),
        ("row_start", ctypes.c_void_p),
        ("species", ctypes.c_void_p),
        ("long_species", ctypes.c_void_p),
    )


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    library = engine_library()
    library.panna_plus_descriptor_n_features.restype = ctypes.c_int64
    library.panna_plus_descriptor_close.restype = None
    library.panna_plus_device_descriptor_memory.restype = ctypes.c_int64
    return library


def named_arrays(functions) -> dict[str, np.ndarray]:
    """Return the parameters by their names in model files."""
    arrays = functions.parameter_arrays().items()
    return {"descriptor/" + name.replace("_", "/", 1): array.numpy() for name, array in arrays}


@contextmanager
def opened(library, functions, kernels: str, precision: int = DOUBLE, **changes):
    """Open a descriptor; `changes` replace what panna_plus_descriptor_open is given."""
    arrays = changes.get("arrays", named_arrays(functions))
    table = (Array * len(arrays))(*(Array(n.encode(), a.size, a.ctypes.data) for n, a in arrays.items()))
    handle = ctypes.c_void_p()
    kind, n = changes.get("kind", functions.kind), changes.get("n_elements", functions.n_elements)
    status = library.panna_plus_descriptor_open(
        kind.encode(), n, table, len(arrays), precision, kernels.encode(), ctypes.byref(handle)
    )
    checked(library, status)
    try:
        yield handle
    finally:
        library.panna_plus_descriptor_close(handle)


def view_of(lists: Lists) -> Pairs:
    pointers = [t.data_ptr() for t in (lists.displacements, lists.row_start)]
    return Pairs(lists.n_centers, len(lists.displacements), *pointers, None, lists.neighbor_species.data_ptr())


def call(library, function: str, handle, lists: Lists, *arrays: torch.Tensor, centers: range | None = None) -> None:
    first, last = (0, lists.n_centers) if centers is None else (centers.start, centers.stop)
    compute = getattr(library, f"panna_plus_descriptor_{function}")
    pointers = [ctypes.c_void_p(a.data_ptr()) for a in arrays]
    view = view_of(lists)
    checked(library, compute(handle, ctypes.byref(view), ctypes.c_int64(first), ctypes.c_int64(last), *pointers))


def skip_unless_available(library, functions, kernels: str) -> None:
    try:
        with opened(library, functions, kernels):
            pass
    except ValueError as error:
        assert "not available on this processor" in str(error)
        pytest.skip(f"this processor does not run {kernels}")


@pytest.mark.parametrize("kernels", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_gives_the_numbers_of_the_reference(library, kind, kernels):
    functions, lists = descriptor(kind, 3), random_lists([0, 5, 33, 80], 3)
    skip_unless_available(library, functions, kernels)
    displacements = lists.displacements.clone().requires_grad_()
    expected = by_reference(functions, Lists(displacements, lists.row_start, lists.neighbor_species))
    torch.manual_seed(0)
    g, v = torch.randn_like(expected), torch.randn_like(displacements)
    (gradient,) = torch.autograd.grad((expected * g).sum(), displacements)
    values, backward, tangent = torch.empty_like(g), torch.empty_like(v), torch.empty_like(g)
    with opened(library, functions, kernels) as handle:
        assert library.panna_plus_descriptor_n_features(handle) == g.shape[1]
        call(library, "forward", handle, lists, values)
        call(library, "backward", handle, lists, g, backward)
        call(library, "tangent", handle, lists, v, tangent)
    assert expected.abs().max() > 0.1
    assert relative_error(values, expected) < 1e-12
    assert relative_error(backward, gradient) < 1e-12
    projected = g.detach() * tangent, v.detach() * gradient
    assert abs(float(projected[0].sum() - projected[1].sum())) < 1e-12 * float(projected[1].abs().sum())


@pytest.mark.parametrize("function", ["forward", "backward", "tangent"])
def test_a_range_of_centers_leaves_the_rest_alone(library, function):
    functions, lists = descriptor("mbp", 2), random_lists([4, 9, 0, 30, 7], 2)
    torch.manual_seed(1)
    of_centers = torch.randn(lists.n_centers, functions.n_features, dtype=torch.float64)
    of_pairs = torch.randn(lists.displacements.shape, dtype=torch.float64)
    inputs = {"forward": [], "backward": [of_centers], "tangent": [of_pairs]}[function]
    whole = torch.full_like(of_pairs if function == "backward" else of_centers, 7.0)
    part = whole.clone()
    rows = slice(4, 43) if function == "backward" else slice(1, 4)
    with opened(library, functions, "") as handle:
        call(library, function, handle, lists, *inputs, whole)
        call(library, function, handle, lists, *inputs, part, centers=range(1, 4))
    assert torch.equal(part[rows], whole[rows])
    part[rows] = 7.0
    assert (part == 7.0).all() and not (whole[rows] == 7.0).any()


def test_what_cannot_be_opened_is_named(library):
    functions = descriptor("mbp", 1)
    arrays = named_arrays(functions)
    few = {name: array for name, array in arrays.items() if "theta" not in name}
    for message, changes in (
        ("array 'descriptor/angular/theta': expected present, found nothing", {"arrays": few}),
        ('kind: expected "mbp" or "bp", found "latte"', {"kind": "latte"}),
        ("n_elements: expected 1 to 1000, found -1", {"n_elements": -1}),
    ):
        with pytest.raises(ValueError, match=message), opened(library, functions, "", **changes):
            pass
    with pytest.raises(ValueError, match="precision must be"), opened(library, functions, "", precision=5):
        pass
    with pytest.raises(ValueError, match="'sparc' are not available"), opened(library, functions, "sparc"):
        pass


def test_null_pointers_are_refused(library):
    functions, lists = descriptor("mbp", 1), random_lists([3])
    with opened(library, functions, "") as handle:
        whole = ctypes.c_int64(0), ctypes.c_int64(1)
        for view in (Pairs(1, 3), Pairs(1, 3, None, lists.row_start.data_ptr())):
            status = library.panna_plus_descriptor_forward(handle, ctypes.byref(view), *whole, None)
            with pytest.raises(ValueError, match="must not be NULL"):
                checked(library, status)
        status = library.panna_plus_descriptor_forward(handle, ctypes.byref(view_of(lists)), *whole, None)
        with pytest.raises(ValueError, match="arrays must not be NULL"):
            checked(library, status)
    assert library.panna_plus_descriptor_forward(None, None, *whole, None) == 1
    assert library.panna_plus_descriptor_n_features(None) == 0
    library.panna_plus_descriptor_close(None)


def test_devices_refuse_null_pointers_and_say_why_they_are_not_there(library):
    for name in ("forward", "backward", "tangent"):
        compute = getattr(library, f"panna_plus_device_descriptor_{name}")
        with pytest.raises(ValueError, match=f"panna_plus_device_descriptor_{name}: .* must not be NULL"):
            checked(library, compute(*[None] * (4 if name == "forward" else 5)))
    with pytest.raises(ValueError, match="descriptor must not be NULL"):
        checked(library, library.panna_plus_device_descriptor_explain(None, ctypes.c_uint64(0)))
    assert library.panna_plus_device_descriptor_memory(None, ctypes.c_int64(1), ctypes.c_int64(1)) == 0
    library.panna_plus_device_descriptor_close(None)
    arrays = named_arrays(descriptor("mbp", 1))
    table = (Array * len(arrays))(*(Array(n.encode(), a.size, a.ctypes.data) for n, a in arrays.items()))
    handle = ctypes.c_void_p()
    given = b"mbp", 1, table, len(arrays), DOUBLE
    with pytest.raises(ValueError, match=r"CUDA device 99 does not exist|no CUDA device can be used|built without"):
        checked(library, library.panna_plus_device_descriptor_open(*given, 99, ctypes.byref(handle)))
    with pytest.raises(ValueError, match="panna_plus_device_descriptor_open: descriptor must not be NULL"):
        checked(library, library.panna_plus_device_descriptor_open(*given, 0, None))
    with pytest.raises(ValueError, match="panna_plus_device_descriptor_open: precision must be"):
        checked(library, library.panna_plus_device_descriptor_open(*given[:4], 5, 0, ctypes.byref(handle)))
