"""The two libraries that are built against the installed torch: operators for training, TorchScript for LAMMPS.

They are built at installation where torch is there, else at first use: the operators by `load_ops`, both by
``panna-plus build``. What was built for another torch is built again.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from panna_plus.errors import PannaPlusError
from panna_plus.native.building import (
    CompilationError,
    build_against_torch,
    record_of,
    torch_build_key,
    torch_folder,
    torch_library_file,
)
from panna_plus.native.library import library_path, load_module

Say = Callable[[str], None]


def be_quiet(_text: str) -> None:
    """Say nothing."""


def sources() -> Path:
    """Return the folder of the C++ sources: beside this file where the package is installed, else the checkout's."""
    installed = Path(__file__).with_name("csrc")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "csrc"


def places(name: str) -> list[Path]:
    """List where a library may lie: beside the engine, else in the user's cache."""
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panna_plus"
    return [library_path().with_name(torch_library_file(name)), cache_folder / torch_library_file(name)]


def built_library(name: str) -> Path | None:
    """Return the library that was built from these sources for the installed torch, or None."""
    torch = torch_folder()
    if torch is None:
        return None
    key = torch_build_key(sources(), torch)
    for place in places(name):
        if place.exists() and record_of(place).exists() and record_of(place).read_text().strip() == key:
            return place
    return None


def ensure_built(name: str, say: Say = be_quiet) -> Path:
    """Return a library, 'ops' or 'torchscript'; build it if need be, which takes about half a minute.

    Raises
    ------
    PannaPlusError
        If it cannot be built here; the reason is the compiler's.
    """
    found = built_library(name)
    if found is not None:
        return found
    beside_engine, in_cache = places(name)
    target = beside_engine if os.access(beside_engine.parent, os.W_OK) else in_cache
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_suffix(".lock")):
        # Another process may have been faster.
        if built_library(name) is None:
            say(f"Building {target.name} for the installed torch (once, about half a minute) ...")
            build(name, target)
    return target


def build(name: str, target: Path) -> None:
    """Build one library into `target`."""
    with tempfile.TemporaryDirectory(prefix="panna_plus_build_") as objects:
        try:
            build_against_torch(name, sources(), library_path().parent, target, Path(objects))
        except CompilationError as error:
            raise PannaPlusError(f"{target.name} cannot be built: {error}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes out while the body runs."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def load_ops(say: Say = be_quiet) -> None:
    """Register the operators `torch.ops.panna_plus`; build their library at the first use.

    Raises
    ------
    PannaPlusError
        If the engine or the library cannot be built or loaded.
    """
    import torch

    load_module()  # the operators call the engine, which must be in the process before
    library = ensure_built("ops", say)
    try:
        torch.ops.load_library(library)
    except OSError as error:
        raise PannaPlusError(f"{library} cannot be loaded: {error}; delete it to have it built again") from error
