"""The device that these tests run on: a CUDA device, or what stands in for one in test_torch_ops_emulated.py.

The stand-in is a device of torch whose memory is the host's, made by csrc/tests/torch_device.cpp, and a copy of the
engine beside which lies a CUDA library compiled for the emulation. The operators are those of this installation.
"""

import ctypes
import os
import types
from functools import cache
from pathlib import Path

import torch

from panna_plus.families.panna import operators
from panna_plus.native.torch_libraries import load_ops

EMULATION = os.environ.get("PANNA_PLUS_EMULATED_DEVICE", "")
NAME = "emulated"
# Largest difference from the CPU in double, in units of the largest number; powers of float32 numbers lose digits. The
# emulation has no fast roots and no contraction.
TOLERANCE = {"double": 1e-12, "mixed": 5e-6} if EMULATION else {"double": 1e-10, "mixed": 1e-5}


def missing() -> str:
    """Say why there is no device; empty if there is one."""
    if EMULATION or torch.cuda.is_available():
        return ""
    return "PyTorch sees no CUDA device"


@cache
def device() -> torch.device:
    """Return the device, ready for use, its operators loaded."""
    if EMULATION:
        ctypes.CDLL(str(Path(EMULATION) / "libpanna_plus.so"))  # the engine of this process from now on
        load_ops()
        start_emulation()
        return torch.device(NAME, 0)
    load_ops()
    return torch.device("cuda", 0)


def start_emulation() -> None:
    """Register the device and let it be served by the operators of CUDA tensors."""
    torch.utils.rename_privateuse1_backend(NAME)
    torch.ops.load_library(Path(EMULATION) / "torch_device.so")
    module = types.ModuleType(f"torch.{NAME}")
    answers = {"is_available": True, "device_count": 1, "current_device": 0, "_is_in_bad_fork": False}
    for name, value in answers.items():
        setattr(module, name, lambda value=value: value)
    module.manual_seed_all = lambda _seed: None
    module.get_rng_state = lambda _device=None: torch.get_rng_state()
    module.set_rng_state = lambda state, _device=None: torch.set_rng_state(state)
    torch._register_device_module(NAME, module)
    for name in ("descriptor", "descriptor_backward", "descriptor_tangent"):
        serve(getattr(torch.ops.panna_plus, name).default)
    operators.DEVICE_TYPES.append(NAME)


KEPT: list[torch.library.Library] = []


def serve(operator: torch._ops.OpOverload) -> None:
    """Hand calls with tensors of the emulated device to the kernel of CUDA tensors."""
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    library = torch.library.Library("panna_plus", "IMPL", "PrivateUse1")
    library.impl(operator, lambda *arguments: operator.redispatch(cuda, *arguments))
    KEPT.append(library)


def calls_on(stream: torch.Stream) -> int:
    """Return how many kernels, copies and fills the emulated CUDA library was given for a stream."""
    count = ctypes.CDLL(str(Path(EMULATION) / "libpanna_plus_cuda.so")).panna_plus_cuda_emulated_calls
    count.restype = ctypes.c_uint64
    return count(ctypes.c_void_p(stream.native_handle))


def synchronize() -> None:
    """Wait for everything that was queued on the device."""
    torch.accelerator.synchronize()


def allocated() -> int:
    """Return the bytes of torch's tensors on the device."""
    return torch.ops.panna_plus_tests.allocated() if EMULATION else torch.cuda.memory_allocated()
