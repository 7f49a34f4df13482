"""Run the driver inside this process under torch's profiler, which sees the kernels of every library in it.

    python profile_driver.py libdriver.so trace.json [arguments of the driver]

The first run is for warming up. Writes a Chrome trace; torch must find a CUDA device.
"""

import ctypes
import sys
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile


def bound(library: str, arguments: list[str]) -> Callable[[], int]:
    """Return the driver as a function with its arguments; it returns the exit status."""
    drive = ctypes.CDLL(library).panna_plus_drive
    words = [b"driver", *(word.encode() for word in arguments)]
    return lambda: drive(len(words), (ctypes.c_char_p * len(words))(*words))


def main() -> int:
    library, trace, *arguments = sys.argv[1:]
    drive = bound(library, arguments)
    torch.cuda.init()
    if drive() != 0:
        return 1
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as watched:
        status = drive()
        torch.cuda.synchronize()
    watched.export_chrome_trace(trace)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
