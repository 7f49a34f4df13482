"""`panna-plus doctor --lammps`: stand-ins for programs that other people compiled, each with something wrong."""

from pathlib import Path

import pytest

from panna_plus.commands.main import main
from panna_plus.errors import PannaPlusError
from panna_plus.verify import probes, programs
from panna_plus.verify.probes import other
from panna_plus.verify.probes.lammps import PLUGIN
from tests.verify.fakes import script

SERIAL = "v1.0: LAMMPS MPI STUBS for LAMMPS version 4 Feb 2025"
OPEN_MPI = "v3.1: Open MPI v4.1.4, package: Debian OpenMPI"
MPICH = "v5.0: MPICH Version:      5.0.2"
MISMATCH = "pair_style panna_plus was compiled for a LAMMPS with MPICH, but this one has no MPI: build the plugin again"
UNKNOWN_STYLE = "ERROR: Unrecognized pair style 'panna_plus'"
UNOPENED = "Open of file /a/panna_plusplugin.so failed: undefined symbol: _ZN9LAMMPS_NS5Error"


def lmp(
    folder: Path,
    mpi: str = SERIAL,
    release: str = "4 Feb 2025",
    packages: str = "KSPACE PLUGIN",
    run: tuple[str, ...] = ("exit 0",),
) -> Path:
    """Write a program that answers -h as LAMMPS does, and otherwise does what `run` says."""
    help_text = [
        f"Large-scale Atomic/Molecular Massively Parallel Simulator - {release}",
        *("", "OS: Linux", "", f"MPI {mpi}", "more of it", "", "Active compile time flags:", "", "-DLAMMPS_BIGBIG"),
        *(
            "sizeof(bigint):   64-bit",
            "",
            "Installed packages:",
            "",
            f"{packages} ",
            "",
            "List of styles",
            "* Atom styles:",
        ),
    ]
    answer = [f"echo '{line}'" for line in help_text]
    return script(folder / "lmp", 'if [ "$1" = "-h" ]; then', *answer, "exit 0", "fi", *run)


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests of this process loaded LAMMPS with is not looked at."""
    monkeypatch.delenv("LAMMPS_PLUGIN_PATH", raising=False)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that every LAMMPS of this shell searches, with a pair style."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / PLUGIN).touch()
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", f"/nowhere:{folder}")
    return folder


@pytest.mark.parametrize(
    ("mpi", "release", "number", "name", "family"),
    [
        (SERIAL, "4 Feb 2025", 20250204, "no MPI", "no MPI"),
        (OPEN_MPI, "4 Jul 2026 - Maintenance", 20260704, "Open MPI 4.1.4", "Open MPI"),
        (MPICH, "22 Jul 2025 - Update 4", 20250722, "MPICH 5.0.2", "MPICH"),
    ],
)
def test_what_a_program_says_of_itself(mpi, release, number, name, family, tmp_path):
    found = programs.build_of(lmp(tmp_path, mpi, release))
    flavor = programs.MpiFlavor(name, family)
    assert found == programs.LammpsBuild(number, release, flavor, "BIGBIG", ("KSPACE", "PLUGIN"))


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, "ok", "LAMMPS 4 Feb 2025 with no MPI, sizes BIGBIG"),
        ({"release": "6 Jan 2022"}, "problem", "panna_plus supports releases from 2 Aug 2023 on"),
        ({"packages": "KSPACE"}, "problem", "without the package PLUGIN"),
    ],
)
def test_program(changes, status, words, tmp_path):
    found = other.program(lmp(tmp_path, **changes))
    assert found.status == status, found
    assert words in found.found
    assert other.plugin(lmp(tmp_path, **changes)).status == ("problem" if status == "ok" else "skipped")


def test_the_first_release_is_the_same_for_cmake():
    text = (Path(__file__).parents[2] / "lammps_plugin/CMakeLists.txt").read_text()
    assert f"set(FIRST_RELEASE {other.FIRST_RELEASE})" in text


def test_program_that_does_not_start(tmp_path):
    path = script(tmp_path / "lmp", "echo 'libmpi.so.40: cannot open shared object file' >&2", "exit 127")
    found = other.program(path)
    assert found.status == "problem"
    assert "exit code 127: libmpi.so.40: cannot open shared object file" in found.found
    assert f"ldd {path}" in found.fix
    assert other.launchers(path).status == other.plugin(path).status == "skipped"


@pytest.mark.parametrize(
    ("mpi", "launcher", "status", "words"),
    [
        (SERIAL, "mpirun (Open MPI) 4.1.4", "ok", "was compiled without MPI and runs on one rank"),
        (OPEN_MPI, "mpirun (Open MPI) 4.1.4", "ok", "mpirun is Open MPI 4.1.4, which fits Open MPI 4.1.4"),
        (OPEN_MPI, "HYDRA build details: Version: 4.3.1", "warning", "needs the mpiexec of Open MPI 4.1.4"),
    ],
)
def test_launcher(mpi, launcher, status, words, tmp_path, monkeypatch):
    script(tmp_path / "bin/mpirun", f"echo '{launcher}'")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    found = other.launchers(lmp(tmp_path, mpi))
    assert found.status == status, found
    assert words in found.found


def test_no_pair_style_says_how_to_build_one(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", str(tmp_path))
    program = lmp(tmp_path / "lammps/build")
    (tmp_path / "lammps/src").mkdir()
    (tmp_path / "lammps/src/pair.h").touch()
    found = other.plugin(program)
    assert found.status == "problem"
    assert f"-DLAMMPS_HEADERS={tmp_path}/lammps/src -DLAMMPS_PROGRAM={program}" in found.fix
    assert "\n" not in found.fix
    assert other.loading(program).status == other.one_rank(program).status == "skipped"


def test_headers_of_a_build_elsewhere(tmp_path):
    """Where cmake compiled LAMMPS, its cache knows the sources."""
    program = lmp(tmp_path / "build")
    assert other.headers_near(program) == "FOLDER_OF_ITS_pair.h"
    (tmp_path / "elsewhere/src").mkdir(parents=True)
    (tmp_path / "elsewhere/src/pair.h").touch()
    (tmp_path / "build/CMakeCache.txt").write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={tmp_path}/elsewhere/cmake\n")
    assert other.headers_near(program) == f"{tmp_path}/elsewhere/src"


def test_two_pair_styles(plugins, tmp_path, monkeypatch):
    assert other.plugin(lmp(tmp_path)).status == "ok"
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", f"{plugins}:{plugins}")
    assert other.plugin(lmp(tmp_path)).status == "warning"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([f"ERROR: {MISMATCH}", UNKNOWN_STYLE], MISMATCH),
        ([UNOPENED, UNKNOWN_STYLE], "undefined symbol: _ZN9LAMMPS_NS5Error"),
    ],
    ids=["refused by itself", "dlopen"],
)
def test_pair_style_that_does_not_fit(said, words, plugins, tmp_path):
    program = lmp(tmp_path, run=(*(f'echo "{line}"' for line in said), "exit 1"))
    found = other.loading(program)
    assert found.status == "problem"
    assert words in found.found
    assert f"-DLAMMPS_PROGRAM={program}" in found.fix


def test_pair_style_that_fits(plugins, tmp_path):
    record = tmp_path / "record"
    program = lmp(tmp_path, run=(f'cat "$2" > {record}', f'echo "path $LAMMPS_PLUGIN_PATH." >> {record}'))
    assert other.loading(program).status == "ok"
    assert record.read_text() == f"plugin load {plugins / PLUGIN}\npair_style panna_plus\npath .\n"


def test_several_ranks_of_a_serial_program_are_refused(tmp_path):
    with pytest.raises(PannaPlusError, match="was compiled without MPI: it runs on 1 rank only"):
        programs.lammps_command(2, lmp(tmp_path))


def test_command(tmp_path, monkeypatch, capsys):
    """`--lammps` looks at that program in place of the one of this environment."""
    monkeypatch.setattr(probes, "SECTIONS", {probes.PYTHON: (), "LAMMPS": (pytest.fail,)})
    monkeypatch.delenv("LAMMPS_PLUGIN_PATH", raising=False)
    program = lmp(tmp_path)
    assert main(["doctor", "--lammps", str(program)]) == 1
    text = capsys.readouterr().out
    assert f"Another LAMMPS, {program}\n" in text
    assert "1 problem: see the fixes above" in text
    assert text.count("fix:") == 1


def test_a_shell_with_another_lammps_only(tmp_path, monkeypatch):
    program = lmp(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert other.only_one() is None
    monkeypatch.setattr(other, "own_program", lambda *_: None)
    assert other.only_one() == program


def test_the_program_of_the_environment_is_looked_at_as_always(tmp_path, monkeypatch):
    program = lmp(tmp_path)
    monkeypatch.setattr(other, "own_program", lambda *_: program)
    monkeypatch.setattr(probes, "SECTIONS", {probes.PYTHON: (), "LAMMPS": (lambda: "of this environment",)})
    assert list(probes.diagnose(program)) == [("LAMMPS", "of this environment")]
