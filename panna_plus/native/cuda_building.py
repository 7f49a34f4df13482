"""Find the CUDA toolkit and say how the CUDA part of the engine is compiled: what setup.py and the tests go by.

Imports nothing of the package: setup.py loads this file by its path, in environments that have nothing but setuptools.

Environment variables: `PANNA_PLUS_CUDA` (auto: where there is a toolkit; 1: fail without; 0: never),
`PANNA_PLUS_CUDA_ARCHITECTURES` (compute capabilities such as "80 90"; code for each and, for newer devices, the
intermediate form of the last), `CUDA_HOME` (the toolkit, if nvcc is not on the PATH or in /usr/local/cuda).
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARY_NAME = "libpanna_plus_cuda.so"
OLDEST_TOOLKIT = (12, 0)
ARCHITECTURES = "80 90 100"
# Float arithmetic with the fast division and root, whose errors are those of any rounding; no -use_fast_math, which
# would also replace sine, cosine and exponentials by rough ones.
DEVICE_FLAGS = ["-std=c++17", "-O3", "-ftz=true", "-prec-div=false", "-prec-sqrt=false"]


class ToolkitError(Exception):
    """A toolkit that was asked for and cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Toolkit:
    """An installed CUDA toolkit.

    Attributes
    ----------
    nvcc : Path
    version : (int, int)
    include, libraries : Path
        Folders of cuda_runtime.h and libcudart_static.a.
    architectures : tuple of str
        Compute capabilities without the dot that it compiles for.
    """

    nvcc: Path
    version: tuple[int, int]
    include: Path
    libraries: Path
    architectures: tuple[str, ...]

    @property
    def link_flags(self) -> list[str]:
        # The runtime is linked statically and opens the driver itself: nothing of CUDA is needed to load the library.
        return [f"-L{self.libraries}", "-lcudart_static", "-pthread", "-ldl", "-lrt"]

    def command(self, host_compiler: list[str]) -> list[str]:
        """Return the command of nvcc with the C++ compiler of the environment behind it."""
        # It takes the name of a compiler, not a command with more words.
        return [str(self.nvcc), *(["-ccbin", host_compiler[0]] if len(host_compiler) == 1 else [])]


def output_of(nvcc: Path, option: str) -> str:
    """Return what nvcc says to an option; empty if it cannot run."""
    try:
        return subprocess.run([str(nvcc), option], capture_output=True, text=True).stdout
    except OSError:
        return ""


def candidates() -> list[Path]:
    """List the places where nvcc may be."""
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    on_path = shutil.which("nvcc")
    found = [Path(home) / "bin/nvcc" for home in homes if home]
    found += [Path(on_path).resolve()] if on_path else []
    return [*found, Path("/usr/local/cuda/bin/nvcc")]


def folder_of(nvcc: Path, name: str, places: tuple[str, ...]) -> Path | None:
    """Return the folder of the toolkit that holds a file."""
    roots = (nvcc.parents[1] / place for place in places)
    return next((root for root in roots if (root / name).exists()), None)


def find_toolkit() -> Toolkit | None:
    """Return the first usable toolkit of this machine, or None."""
    for nvcc in candidates():
        release = re.search(r"release (\d+)\.(\d+)", output_of(nvcc, "--version"))
        include = folder_of(nvcc, "cuda_runtime.h", ("include", "targets/x86_64-linux/include"))
        libraries = folder_of(nvcc, "libcudart_static.a", ("lib64", "lib", "targets/x86_64-linux/lib"))
        if release is None or include is None or libraries is None:
            continue
        version = (int(release.group(1)), int(release.group(2)))
        known = tuple(re.findall(r"compute_(\d+)\b", output_of(nvcc, "--list-gpu-arch")))
        if version >= OLDEST_TOOLKIT:
            return Toolkit(nvcc, version, include, libraries, known)
    return None


def wanted_toolkit() -> Toolkit | None:
    """Return the toolkit to build with, or None where the CUDA part is to be left out.

    Raises
    ------
    ToolkitError
        If `PANNA_PLUS_CUDA` is 1 and there is none, or is no known word.
    """
    wish = os.environ.get("PANNA_PLUS_CUDA", "auto")
    if wish not in ("auto", "0", "1"):
        raise ToolkitError(f"PANNA_PLUS_CUDA must be auto, 0 or 1, found '{wish}'")
    toolkit = find_toolkit() if wish != "0" else None
    if wish == "1" and toolkit is None:
        oldest = ".".join(str(part) for part in OLDEST_TOOLKIT)
        places = ", ".join(str(place) for place in candidates())
        raise ToolkitError(
            f"PANNA_PLUS_CUDA=1, but no CUDA toolkit {oldest} or newer with cuda_runtime.h and libcudart_static.a was "
            f"found (looked for {places}): install it, or name its folder in CUDA_HOME"
        )
    return toolkit


def wanted_architectures(toolkit: Toolkit) -> list[str]:
    """Return the compute capabilities to compile for, ascending.

    Raises
    ------
    ToolkitError
        If `PANNA_PLUS_CUDA_ARCHITECTURES` names one that the toolkit does not know.
    """
    named = os.environ.get("PANNA_PLUS_CUDA_ARCHITECTURES", "")
    wanted = [word.removeprefix("sm_").replace(".", "") for word in re.split(r"[\s,;]+", named) if word]
    unknown = [word for word in wanted if word not in toolkit.architectures]
    if unknown:
        raise ToolkitError(
            f"PANNA_PLUS_CUDA_ARCHITECTURES names {', '.join(unknown)}; {toolkit.nvcc} compiles for "
            f"{', '.join(toolkit.architectures)}"
        )
    return sorted(wanted or [word for word in ARCHITECTURES.split() if word in toolkit.architectures], key=int)


def device_flags(architectures: list[str]) -> list[str]:
    """Return the flags of nvcc for code that runs on the given compute capabilities and on newer ones."""
    targets = [f"arch=compute_{number},code=sm_{number}" for number in architectures]
    targets.append(f"arch=compute_{architectures[-1]},code=compute_{architectures[-1]}")
    return [*DEVICE_FLAGS, *(part for target in targets for part in ("-gencode", target))]


def sources(csrc: Path) -> list[Path]:
    """List the sources of the library."""
    lines = (line.split("#", 1)[0].strip() for line in (csrc / "cuda/sources.txt").read_text().splitlines())
    return [csrc / line for line in lines if line]
