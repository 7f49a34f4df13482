"""A second installation beside the one under test: the same plugin with other libraries."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import panna_plus.lammps as entry
from panna_plus.native.library import library_path
from tests.lammps.deck import need_stock_lammps


def copied_installation(folder: Path, libraries: Mapping[str, bytes | Path]) -> list[str]:
    """Copy plugin and engine; return the lines that load the copy.

    `libraries` are files of the folder of the engine: their content, or what is copied there. Without any there is
    neither CUDA nor torch.
    """
    need_stock_lammps()
    plugin, native = folder / "lammps/plugins/build/panna_plusplugin.so", folder / "native"
    plugin.parent.mkdir(parents=True)
    native.mkdir()
    shutil.copy(Path(entry.plugin_directory()) / plugin.name, plugin)
    shutil.copy(library_path(), native)
    for name, content in libraries.items():
        (native / name).parent.mkdir(exist_ok=True)
        (native / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return ["plugin unload pair panna_plus", f"plugin load {plugin}"]


def recorded_installation(folder: Path, recorder: Path) -> list[str]:
    """Copy plugin and engine, and put a library that takes notes before the engine; return the lines that load it."""
    return copied_installation(folder, {"libpanna_plus.so": recorder, "real/libpanna_plus.so": library_path()})
