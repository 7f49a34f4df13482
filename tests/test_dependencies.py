"""The floors of the project: a file imports, or includes, only from floors below its own.

Read from the `import` and `#include` lines, imports inside functions counted like the others.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Longest matching prefix decides. The package's __init__ names things lazily and is seen by everybody.
PYTHON_FLOORS = {
    "panna_plus": 0,
    "panna_plus.errors": 0,
    "panna_plus.conventions": 0,
    "panna_plus.lammps": 1,
    "panna_plus.config": 1,
    "panna_plus.native": 1,
    "panna_plus.neighbors": 1,
    "panna_plus.remarks": 1,
    "panna_plus.graph": 2,
    "panna_plus.potential": 3,
    "panna_plus.layers": 3,
    "panna_plus.data": 3,
    "panna_plus.model_file": 3,
    "panna_plus.engine_errors": 4,
    "panna_plus.families": 4,
    "panna_plus.mean_potential": 4,
    "panna_plus.export": 5,
    "panna_plus.training": 6,
    "panna_plus.calculator": 6,
    "panna_plus.verify": 6,
    "panna_plus.commands": 7,
}
NATIVE_FLOORS = {
    "math": 0,
    "system": 1,
    "model_file": 2,
    "potential": 3,
    "cpu": 4,
    "cuda": 4,
    "c_api": 5,
    "python": 6,
    "torch": 6,
}
# Foreign headers that a folder exists for.
FOREIGN_HEADERS = {
    "python": ("pybind11/",),
    "torch": ("ATen/", "c10/", "torch/"),
    "cuda": ("cuda_runtime.h", "sanitizer/"),
}
# What the LAMMPS plugin may include besides its own headers, LAMMPS, MPI and the standard library.
PLUGIN_MAY_SEE = "panna_plus.h"
PLUGIN_FOREIGN = (
    "torch/",
    "ATen/",
    "c10/",
    "Python.h",
    "pybind11/",
    "math/",
    "system/",
    "model_file/",
    "potential/",
    "cpu/",
)

PYTHON_FILES = sorted(path for path in (ROOT / "panna_plus").rglob("*.py"))
NATIVE_FILES = sorted(path for path in (ROOT / "csrc").rglob("*") if path.suffix in (".h", ".cpp", ".cu", ".inc"))
PLUGIN_FILES = sorted(path for path in (ROOT / "lammps_plugin").glob("*") if path.suffix in (".h", ".cpp"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def place(module: str) -> tuple[str, int]:
    """Return the entry of the table that a module belongs to, and its floor."""
    parts = module.split(".")
    for n in range(len(parts), 1, -1):
        prefix = ".".join(parts[:n])
        if prefix in PYTHON_FLOORS:
            return prefix, PYTHON_FLOORS[prefix]
    assert len(parts) == 1, f"{module} has no floor: add it to PYTHON_FLOORS"
    return module, PYTHON_FLOORS[module]


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(tree: ast.AST) -> list[str]:
    """List what a module imports, by full name; blocks under TYPE_CHECKING never run and do not count."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if is_for_types_only(node):
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor: write the full name"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        found += imports_of(node)
    return found


def module_names(names: list[str]) -> list[str]:
    """Cut names of functions and classes off: `panna_plus.graph.pair_list` is the module panna_plus.graph."""
    modules = {module_of(path) for path in PYTHON_FILES}
    ours = (name for name in names if name.split(".")[0] == "panna_plus")
    return [name if name in modules else name.rpartition(".")[0] for name in ours]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=module_of)
def test_python_floors(path: Path) -> None:
    own, floor = place(module_of(path))
    for name in module_names(imports_of(ast.parse(path.read_text()))):
        other, other_floor = place(name)
        lazy_name = own == "panna_plus"
        assert other == own or other_floor < floor or other == "panna_plus" or lazy_name, (
            f"{path.relative_to(ROOT)} (floor {floor}) imports {name} (floor {other_floor})"
        )


@pytest.mark.parametrize("path", PYTHON_FILES, ids=module_of)
def test_families_do_not_know_each_other(path: Path) -> None:
    family = re.match(r"panna_plus\.families\.(\w+)", module_of(path))
    for name in module_names(imports_of(ast.parse(path.read_text()))):
        other = re.match(r"panna_plus\.families\.(\w+)", name)
        assert not (family and other) or family[1] == other[1], f"{path.name} imports {name}"


@pytest.mark.parametrize("package", ["panna_plus", "panna_plus/lammps"])
def test_what_lammps_imports_is_light(package: str) -> None:
    """The entry point runs on every MPI rank: only the standard library at import."""
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    top_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in top_level for name in imports_of(ast.Module([node], []))}
    assert not names & {"torch", "numpy", "ase", "pydantic", "lammps"}


def test_only_commands_and_data_readers_speak() -> None:
    """Arguments, standard output and environment variables belong to the commands."""
    for path in PYTHON_FILES:
        if place(module_of(path))[0] == "panna_plus.commands":
            continue
        tree = ast.parse(path.read_text())
        assert "argparse" not in imports_of(tree), f"{path} imports argparse"
        calls = [n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert "print" not in calls, f"{path} prints"


def includes_of(path: Path) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", NATIVE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_native_floors(path: Path) -> None:
    own = path.relative_to(ROOT / "csrc").parts[0]
    if own == "tests":
        return
    assert own in NATIVE_FLOORS, f"csrc/{own} has no floor: add it to NATIVE_FLOORS"
    for name in includes_of(path):
        other = name.split("/")[0]
        if own in FOREIGN_HEADERS and name.startswith(FOREIGN_HEADERS[own]):
            continue
        if other not in NATIVE_FLOORS:
            assert "/" not in name or name.startswith("sys/"), f"{path}: include {name} is not ours and not C++"
            assert not re.match(r"(mpi|torch|Python|pybind|lammps|cuda)", name), f"{path} includes {name}"
            continue
        assert other == own or NATIVE_FLOORS[other] < NATIVE_FLOORS[own], f"{path.relative_to(ROOT)} includes {name}"
        sees_c_interface_only = own == "python" or path.name.startswith("ops")
        assert not sees_c_interface_only or other in (own, "c_api"), f"{path.name} includes {name}"


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: path.name)
def test_plugin_sees_only_the_c_interface(path: Path) -> None:
    names = includes_of(path)
    assert not [name for name in names if name.startswith(PLUGIN_FOREIGN)]
    ours = {p.name for p in NATIVE_FILES} - {p.name for p in PLUGIN_FILES} - {PLUGIN_MAY_SEE}
    assert not ours & set(names), f"{path.name} includes {ours & set(names)}"
    assert "SPDX-License-Identifier: GPL-2.0-or-later" in path.read_text().splitlines()[0]


def test_the_tables_name_what_exists() -> None:
    modules = {module_of(path) for path in PYTHON_FILES}
    assert set(PYTHON_FLOORS) <= modules
    assert all((ROOT / "csrc" / folder).is_dir() for folder in NATIVE_FLOORS)
