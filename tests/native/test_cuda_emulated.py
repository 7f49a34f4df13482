"""Run the CUDA sources without a GPU: compiled as C++ with csrc/cuda/emulation, under sanitizers."""

import platform
import shutil
import subprocess

import pytest

from tests.native.compiled import (
    EMULATED,
    INCLUDES,
    READER,
    SANITIZERS,
    Builder,
    emulated_library,
    emulated_sources,
    engine_sources,
    run,
    sanitized,
)
from tests.native.model_files import DEVICE_MODELS, write_model

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the C++ tests with"),
    pytest.mark.skipif(platform.system() != "Linux", reason="the emulation uses ucontext"),
    pytest.mark.timeout(1800),
]

# For the thread sanitizer: what fibers exchange is the emulation's own affair.
MACHINERY = f"cuda/emulation/emulation.cpp {EMULATED} -fno-sanitize=thread -DPANNA_FIBER_THREADS"


def reference_sources() -> list[str]:
    return [line for line in engine_sources(portable_only=True) if line.startswith(READER)]


def program(builder: Builder, name: str) -> str:
    return builder.program(name, *reference_sources(), *emulated_sources())


@pytest.fixture(scope="module")
def quick(request) -> Builder:
    return sanitized(request.config)


@pytest.fixture(scope="module")
def watched(request) -> Builder:
    """Compile for the thread sanitizer, to which every CUDA thread is a thread of its own."""
    return Builder(request.config.cache.mkdir("cuda_threads"), f"-std=c++17 -O1 -g1 -fsanitize=thread {INCLUDES}")


def run_watched(command: list[str]) -> subprocess.CompletedProcess:
    # The sanitizer of older compilers needs addresses that are not random.
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    return subprocess.run([*fixed, *command], capture_output=True, text=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {name: str(write_model(folder / f"{name}.pt", *make())) for name, make in DEVICE_MODELS.items()}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("divergent", "threads meet at different places or with different masks: tests/test_cuda_emulation.cpp"),
        ("absent", "a thread waits for others that ended or wait elsewhere: tests/test_cuda_emulation.cpp"),
        ("outside", "heap-buffer-overflow"),
    ],
)
def test_emulation_finds_what_is_wrong(quick, fault, message):
    test = quick.program("test_cuda_emulation", f"cuda/emulation/emulation.cpp {EMULATED}")
    assert "all passed" in run([test, "good"])
    result = subprocess.run([test, fault], capture_output=True, text=True)
    assert result.returncode != 0
    assert message in result.stderr


def test_emulation_finds_missing_barriers(watched):
    test = watched.program("test_cuda_emulation", MACHINERY)
    assert run_watched([test, "good"]).returncode == 0
    result = run_watched([test, "race"])
    assert "data race" in result.stderr and "test_cuda_emulation.cpp" in result.stderr


def test_kernels_on_the_emulated_device(quick, models):
    """Corners with the cheapest model; `many` and `wide` take every other way through the kernels."""
    test = program(quick, "test_cuda")
    assert "all passed" in run([test, "corners", "9", models["small"]])
    assert "all passed" in run([test, "sizes", "9", models["bp"], models["mbp"], models["four"], models["committee"]])
    assert "all passed" in run([test, "sizes", "4", models["wide"], models["many"], models["radial"], models["cusp"]])
    assert "all passed" in run([test, "sizes", "4", models["wide_committee"]])


def test_descriptor_on_the_emulated_device(quick, models):
    test = program(quick, "test_cuda_descriptor")
    assert "all passed" in run([test, *(models[name] for name in ("small", "mbp", "bp", "many"))])


def test_library_behind_the_c_interface(quick, models, tmp_path):
    sources = [*engine_sources(portable_only=True), *(f"c_api/{name}.cpp" for name in ("panna_plus", "cuda_library"))]
    test = quick.program("test_cuda_library", *sources)
    emulated_library(quick)
    text = tmp_path / "no_library.so"
    text.write_text("This is no library.\n")
    assert "all passed" in run([test, models["small"], str(text)])


@pytest.mark.slow
def test_all_models_on_the_emulated_device(request, models):
    builder = Builder(request.config.cache.mkdir("cuda_emulated"), f"-std=c++17 -O1 -g1 {SANITIZERS} {INCLUDES}")
    test = program(builder, "test_cuda")
    assert "all passed" in run([test, "corners", "70", models["small"]])
    assert "all passed" in run([test, "sizes", "24", *models.values()])
    assert "all passed" in run([program(builder, "test_cuda_descriptor"), *models.values()])


@pytest.mark.slow
def test_lanes_and_blocks_do_not_race(watched, models):
    sources = [*reference_sources(), *emulated_sources()[:-1], MACHINERY]
    paths = [models[name] for name in ("small", "mbp", "bp", "wide", "committee")]
    for name, arguments in (("test_cuda_descriptor", []), ("test_cuda", ["sizes", "9"])):
        result = run_watched([watched.program(name, *sources), *arguments, *paths])
        assert result.returncode == 0 and "all passed" in result.stdout, result.stderr
