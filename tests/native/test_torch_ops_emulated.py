"""The tests of tests/gpu without a GPU: on a device of torch that stands in for CUDA, with the emulated CUDA library.

The operators and the engine are those of this installation; see tests/gpu/devices.py.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from panna_plus.native.building import TORCH_FLAGS, torch_folder
from panna_plus.native.library import library_path
from tests.native.compiled import emulated_library, for_torch, run

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the emulation with"),
    pytest.mark.skipif(platform.system() != "Linux", reason="the emulation uses ucontext"),
    pytest.mark.timeout(1800),
]
ROOT = Path(__file__).parents[2]


def torch_lines() -> tuple[str, list[str]]:
    """Return how the device of torch is compiled, and what is linked to it."""
    folder = torch_folder()
    includes = [f"-isystem {folder / part}" for part in ("include", "include/torch/csrc/api/include")]
    libraries = [f"-L{folder / 'lib'}", f"-Wl,-rpath,{folder / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10"]
    return " ".join(["tests/torch_device.cpp", *TORCH_FLAGS, "-O0", *includes]), libraries


@pytest.fixture(scope="module")
def emulated_device(request) -> Path:
    """A folder with the device of torch, the engine, and beside it the emulated CUDA library."""
    builder = for_torch(request.config)
    folder = builder.folder
    emulated_library(builder)
    device, libraries = torch_lines()
    run(["g++", "-shared", "-o", str(folder / "torch_device.so"), str(builder.object_of(device)), *libraries])
    shutil.copy(library_path(), folder)
    return folder


def test_the_gpu_tests_pass_on_the_emulated_device(emulated_device):
    environment = {**os.environ, "PANNA_PLUS_EMULATED_DEVICE": str(emulated_device), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/gpu"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}\n{result.stderr}"
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed and int(passed[1]) > 80 and "skipped" not in result.stdout
