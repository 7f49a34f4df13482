"""Every argument that the operators refuse: the message names it, what was expected and what was found."""

import os
import subprocess
import sys

import pytest
import torch

from panna_plus.native.torch_libraries import load_ops
from tests.native.descriptor_inputs import arguments, descriptor, random_lists

ORDER = ("displacements", "row_start", "neighbor_species", "parameters", "kind", "n_elements", "precision")


@pytest.fixture(scope="module")
def ops():
    load_ops()
    return torch.ops.panna_plus


def replaced(**changes):
    """Return arguments of which some are changed by a function of the good one."""
    given = dict(zip(ORDER, arguments(descriptor("mbp_uneven", 2), random_lists([3, 0, 8], 2)), strict=True))
    for name, change in changes.items():
        given[name] = change(given[name])
    return list(given.values())


def with_entry(place, value):
    """Return a function that sets one entry of a copy."""

    def change(tensor):
        tensor = tensor.clone()
        tensor[place] = value
        return tensor

    return change


def with_parameter(number, value):
    def change(parameters):
        tensor = torch.as_tensor(value)
        return [*parameters[:number], tensor, *parameters[number + 1 :]]

    return change


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


BAD = {
    "dtype": (
        {"displacements": lambda r: r.float()},
        "'displacements': expected dtype Double, found Float",
    ),
    "complex": ({"displacements": lambda r: r.to(torch.complex128)}, "expected dtype Double, found ComplexDouble"),
    "half": ({"displacements": lambda r: r.bfloat16()}, "expected dtype Double, found BFloat16"),
    "columns": ({"displacements": lambda r: r[:, :2]}, "'displacements': expected size 3 in dimension 1"),
    "dimensions": ({"displacements": lambda r: r[0]}, "'displacements': expected 2 dimensions, found 1"),
    "starts of 32 bits": ({"row_start": lambda s: s.int()}, "'row_start': expected dtype Long, found Int"),
    "no starts": ({"row_start": lambda s: s[:0]}, "'row_start': expected one entry per center"),
    "descending starts": ({"row_start": with_entry(1, 9)}, r"row_start\[1\].*ascending .* found 9 and 3"),
    "negative start": ({"row_start": with_entry(1, -1)}, r"row_start\[0\].* found 0 and -1"),
    "first start": ({"row_start": with_entry(0, 1)}, "row_start: expected to begin with 0 .* found 1 and 11"),
    "last start": ({"row_start": lambda s: s[:-1]}, "row_start: .* end with 11 .* found 0 and 3"),
    "pairs of no center": ({"row_start": lambda s: s[:1]}, "row_start: .* end with 11 .* found 0 and 0"),
    "species dtype": ({"neighbor_species": lambda s: s.double()}, "'neighbor_species': expected dtype Int or Long"),
    "species number": ({"neighbor_species": lambda s: s[:-1]}, "'neighbor_species': expected size 11 .* found 10"),
    "species range": ({"neighbor_species": with_entry(5, 2)}, r"neighbor_species\[5\]: expected 0 to 1, found 2"),
    "negative species": ({"neighbor_species": with_entry(5, -1)}, r"neighbor_species\[5\]: .* found -1"),
    "wide species": ({"neighbor_species": with_entry(5, 2**32)}, r"neighbor_species\[5\]: .* found 4294967296"),
    "kind": ({"kind": lambda _: "latte"}, "'kind': expected 'mbp' or 'bp', found 'latte'"),
    "precision": ({"precision": lambda _: "float"}, "'precision': expected 'double' or 'mixed', found 'float'"),
    "no elements": ({"n_elements": lambda _: 0}, "'n_elements': expected 1 to 1000, found 0"),
    "parameters": ({"parameters": lambda p: p[:-1]}, "'parameters': expected 9 tensors for kind 'mbp', found 8"),
    "parameter dtype": (
        {"parameters": with_parameter(1, [1.0, 2.0])},
        r"'parameters\[1\] \(descriptor/radial/eta\)': expected dtype Double, found Float",
    ),
    "parameter size": (
        {"parameters": with_parameter(2, doubles(1.0, 2.0))},
        r"descriptor/radial/centers': expected shape .*5.*found .*2",
    ),
    "negative cutoff": (
        {"parameters": with_parameter(0, doubles(-4.0))},
        "descriptor/radial/cutoff': expected a positive distance, found -4",
    ),
    "parameter value": (
        {"parameters": with_parameter(1, doubles(1, 2, float("nan"), 4, 5))},
        "descriptor/radial/eta', value 2: expected a finite number, found nan",
    ),
    "other device": ({"row_start": lambda s: s.to("meta")}, "'(row_start|displacements)': expected device"),
    "no length": ({"displacements": with_entry(4, 0.0)}, r"pair 4 \(of center 2\).* two atoms at the same place"),
    "nan": ({"displacements": with_entry((4, 1), float("nan"))}, r"pair 4 \(of center 2\).* not finite"),
    "infinite": ({"displacements": with_entry((4, 1), float("inf"))}, r"pair 4 \(of center 2\).* not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(ops, case):
    changes, message = BAD[case]
    given = replaced(**changes)
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        ops.descriptor(*given)
    if case in ("columns", "dimensions"):
        return
    n_features = descriptor("mbp_uneven", 2).n_features
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        ops.descriptor_backward(torch.zeros(max(len(given[1]) - 1, 0), n_features).double(), *given)
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        ops.descriptor_tangent(torch.zeros(given[0].shape, dtype=torch.float64), *given)


@pytest.mark.parametrize(
    ("g", "message"),
    [
        (torch.zeros(3, 5, dtype=torch.float64), "'g': expected size 73 in dimension 1 .* found 5"),
        (torch.zeros(2, 73, dtype=torch.float64), "'g': expected size 3 in dimension 0 .* found 2"),
        (torch.zeros(3, 73), "'g': expected dtype Double, found Float"),
        (torch.zeros(73, dtype=torch.float64), "'g': expected 2 dimensions, found 1"),
    ],
)
def test_bad_g_is_named(ops, g, message):
    assert descriptor("mbp_uneven", 2).n_features == 73
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        ops.descriptor_backward(g, *replaced())


@pytest.mark.parametrize(
    ("v", "message"),
    [
        (torch.zeros(10, 3, dtype=torch.float64), "'v': expected size 11 in dimension 0 .* found 10"),
        (torch.zeros(11, 2, dtype=torch.float64), "'v': expected size 3 in dimension 1 .* found 2"),
        (torch.zeros(11, 3, dtype=torch.int64), "'v': expected dtype Double, found Long"),
    ],
)
def test_bad_v_is_named(ops, v, message):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        ops.descriptor_tangent(v, *replaced())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_missing_cuda_devices_are_explained(ops):
    n_devices, reason = ops.cuda_devices()
    assert n_devices == 0
    assert "no CUDA device can be used" in reason or "built without CUDA" in reason


def test_errors_come_out_of_threads(ops):
    functions, lists = descriptor("mbp", 1), random_lists([4] * 400)
    lists.displacements[1503] = 0.0
    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ValueError, match=r"pair 1503 \(of center 375\)"):
            ops.descriptor(*arguments(functions, lists))
    finally:
        torch.set_num_threads(n_threads)


def test_an_engine_of_another_version_is_refused(tmp_path):
    """A library that is loaded first and claims another interface stands for it."""
    source, library = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text("int panna_plus_abi_version(void) { return 1; }\n")
    subprocess.run(["g++", "-shared", "-fPIC", "-x", "c", str(source), "-o", str(library)], check=True)
    code = (
        "import ctypes; from panna_plus.native.library import load_module; load_module(); "
        f"ctypes.CDLL({str(library)!r}, ctypes.RTLD_GLOBAL); "
        "import torch; from panna_plus.native.torch_libraries import load_ops; load_ops(); "
        "from tests.native.test_torch_ops_errors import replaced; torch.ops.panna_plus.descriptor(*replaced())"
    )
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "has interface 1, these operators were compiled for" in result.stderr
