"""Programs and libraries of csrc that tests compile: with sanitizers, or for the emulated device."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread

import pytest
import torch

from panna_plus.native.cuda_building import LIBRARY_NAME

CSRC = Path(__file__).parents[2] / "csrc"
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined"
# Quick to compile: optimization would take most of a minute and change nothing that sanitizers look for.
QUICK = f"-std=c++17 -O0 -g1 -Wall -Wextra -Wno-psabi {SANITIZERS} -DPANNA_PORTABLE_ONLY"
THOROUGH = f"-std=c++17 -O1 -g1 -Wall -Wextra -Wno-psabi {SANITIZERS}"
# Objects that a shared library can hold, apart from those of the engine.
EMULATED = "-fPIC -Wno-unknown-pragmas -o emulated"
INCLUDES = "-Icuda/emulation"
READER = ("model_file/", "potential/", "system/", "cpu/panna_reference")
# Of the objects: two threads may want the same one.
LOCKS: dict[Path, Lock] = {}


def run(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, cwd=CSRC)
    assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


class Builder:
    """Compile sources of csrc once per set of flags and link test programs from them."""

    def __init__(self, folder: Path, flags: str):
        self.folder = folder
        self.flags = flags.split()
        self.newest_header = max(p.stat().st_mtime for p in CSRC.rglob("*.h"))

    def object_of(self, line: str) -> Path:
        """Compile one line of sources.txt, or the name of a test source, unless that was done before."""
        source, *flags = shlex.split(line)
        name = source.replace("/", "_")
        if "-o" in flags:
            place = flags.index("-o")
            name, flags = f"{name}_{flags[place + 1]}", flags[:place] + flags[place + 2 :]
        target = self.folder / f"{name}.o"
        newest = max(self.newest_header, (CSRC / source).stat().st_mtime)
        with LOCKS.setdefault(target, Lock()):
            if not target.exists() or target.stat().st_mtime < newest:
                partial = target.with_suffix(".part.o")
                run(["g++", *self.flags, "-I.", "-Itests", *flags, "-c", source, "-o", str(partial)])
                partial.replace(target)
        return target

    def program(self, test: str, *lines: str) -> str:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(self.object_of, [f"tests/{test}.cpp", *lines]))
        target = self.folder / test
        run(["g++", *self.flags, "-o", str(target), *map(str, objects), "-pthread"])
        return str(target)


def engine_sources(*, portable_only: bool) -> list[str]:
    """Return the lines of sources.txt that a test program links: all but the C interface."""
    lines = [line for line in (CSRC / "sources.txt").read_text().splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("c_api/")]
    return [line for line in lines if "-march" not in line] if portable_only else lines


def emulated_sources(*, library: bool = False) -> list[str]:
    """Return lines for the Builder: the CUDA sources, and with `library` all that the CUDA library holds."""
    lines = [line for line in (CSRC / "cuda/sources.txt").read_text().splitlines() if line and line[0] != "#"]
    lines = [line for line in lines if line.startswith("cuda/") or library]
    # C++ whatever the suffix says.
    compiled = [f"{line} -x c++ {EMULATED}" if line.endswith(".cu") else f"{line} {EMULATED}" for line in lines]
    return [*compiled, f"cuda/emulation/emulation.cpp {EMULATED}"]


def emulated_library(builder: Builder) -> Path:
    """Build what takes the place of libpanna_plus_cuda.so: with the emulation in place of CUDA."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(builder.object_of, emulated_sources(library=True)))
    library = builder.folder / LIBRARY_NAME
    run(["g++", *builder.flags, "-shared", "-o", str(library), *map(str, objects)])
    return library


def sanitized(config: pytest.Config) -> Builder:
    """Return a builder whose objects are kept between runs and shared by all modules."""
    assert config.cache is not None
    return Builder(config.cache.mkdir("native_sanitized"), f"{QUICK} {INCLUDES}")


def for_torch(config: pytest.Config) -> Builder:
    """Return a builder for what is loaded beside torch, without sanitizers; its objects are kept, too."""
    assert config.cache is not None
    return Builder(config.cache.mkdir(f"cuda_for_torch_{torch.__version__}"), f"-std=c++17 -O1 {INCLUDES}")


def compile_ahead(config: pytest.Config) -> None:
    """Compile what fast tests of C++ need in a thread of its own, while others run that leave a processor idle.

    What does not compile is said by the test that needs it.
    """
    jobs = [(sanitized(config), line) for line in lines_of_fast_tests()]
    jobs += [(for_torch(config), line) for line in emulated_sources(library=True)]
    Thread(target=compile_all, args=(jobs,), daemon=True).start()


def lines_of_fast_tests() -> Iterator[str]:
    """In the order in which they are needed."""
    yield from emulated_sources(library=True)
    yield from engine_sources(portable_only=True)
    others = {"torch_device", "test_elementary"}  # with flags of their own
    yield from (f"tests/{path.name}" for path in sorted((CSRC / "tests").glob("*.cpp")) if path.stem not in others)


def compile_all(jobs: list[tuple[Builder, str]]) -> None:
    for builder, line in jobs:
        with suppress(AssertionError):
            builder.object_of(line)
