"""A LAMMPS that is not of this environment: what it is, and whether the pair style that it would load fits."""

import os
import tempfile
from pathlib import Path

from panna_plus.errors import PannaPlusError
from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped, warning
from panna_plus.verify.probes.lammps import PLUGIN
from panna_plus.verify.probes.trial import compared_with_engine
from panna_plus.verify.processes import run
from panna_plus.verify.programs import (
    INPUT,
    NO_MPI,
    SMALL_RUN,
    build_of,
    launcher_flavor,
    launcher_of,
    own_program,
    program_on_path,
    reason_of_failure,
)

LOAD_SECONDS = 60.0
FIRST_RELEASE = 20230802
PATH_VARIABLE = "LAMMPS_PLUGIN_PATH"


def only_one() -> Path | None:
    """Return the `lmp` that a shell finds, if this environment has none."""
    return program_on_path("lmp") if own_program("lmp") is None else None


def is_own(lmp: Path) -> bool:
    """Say whether a program is the `lmp` of this environment."""
    own = own_program("lmp")
    return own is not None and lmp.resolve() == own.resolve()


def plugins_on_path() -> list[Path]:
    """List the pair styles that any LAMMPS of this shell loads at its start."""
    folders = [Path(text) for text in os.environ.get(PATH_VARIABLE, "").split(":") if text]
    return [folder / PLUGIN for folder in folders if (folder / PLUGIN).is_file()]


def headers_near(lmp: Path) -> str:
    """Return the folder of pair.h of a LAMMPS, or words for it."""
    place = lmp.resolve().parent
    folders = [place.parent / "include/lammps", place / "include/lammps", place.parent / "src", place]
    cache = place / "CMakeCache.txt"
    if cache.is_file():
        sources = (line.partition("=")[2] for line in cache.read_text().splitlines() if "CMAKE_HOME_DIRECTORY" in line)
        folders += [Path(folder).parent / "src" for folder in sources]
    return next((str(folder) for folder in folders if (folder / "pair.h").is_file()), "FOLDER_OF_ITS_pair.h")


def how_to_build(lmp: Path) -> str:
    """Return the commands that build the pair style for a LAMMPS."""
    from panna_plus.native.library import library_path

    settings = f"-DLAMMPS_HEADERS={headers_near(lmp)} -DLAMMPS_PROGRAM={lmp} -DPANNA_PLUS_ENGINE={library_path()}"
    build = f"cmake -S lammps_plugin -B build {settings} && cmake --build build"
    return f"in the sources of panna_plus: {build} && export {PATH_VARIABLE}=$PWD/build"


@probe("lmp")
def program(lmp: Path) -> Verdict:
    """Ask the program for its release, MPI, sizes and packages."""
    return judged(lmp)


def judged(lmp: Path) -> Verdict:
    """Say whether a program can load a pair style at all."""
    try:
        build = build_of(lmp)
    except PannaPlusError as error:
        return problem(str(error), f"ldd {lmp} shows missing libraries: load the modules that it was built with")
    found = f"LAMMPS {build.release} with {build.mpi.name}, sizes {build.sizes}, at {lmp}"
    if build.number < FIRST_RELEASE:
        return problem(f"{found}: panna_plus supports releases from 2 Aug 2023 on", "install a newer LAMMPS")
    if "PLUGIN" not in build.packages:
        return problem(f"{found}, without the package PLUGIN", "build LAMMPS again with -D PKG_PLUGIN=yes")
    return ok(f"{found}, with the package PLUGIN")


@probe("mpiexec, mpirun")
def launchers(lmp: Path) -> Verdict:
    """Look for a launcher of the MPI that the program was compiled with."""
    try:
        mpi = build_of(lmp).mpi
    except PannaPlusError:
        return skipped("the MPI of this LAMMPS is not known")
    if mpi.family == NO_MPI:
        return ok("not needed: this LAMMPS was compiled without MPI and runs on one rank")
    try:
        launcher = launcher_of(lmp)
    except PannaPlusError as error:
        return warning(str(error), "load the module of that MPI; one rank works without")
    return ok(f"{launcher} is {launcher_flavor(launcher).name}, which fits {mpi.name}")


@probe("pair style")
def plugin(lmp: Path) -> Verdict:
    """Look for the pair style in the folders that LAMMPS searches at its start."""
    if judged(lmp).status != "ok":
        return skipped("this LAMMPS cannot load one")
    files = plugins_on_path()
    if not files:
        found = f"none in {PATH_VARIABLE}={os.environ.get(PATH_VARIABLE, '')}: pair_style panna_plus needs plugin load"
        return problem(found, how_to_build(lmp))
    if len(files) > 1:
        found = f"{len(files)} of them in {PATH_VARIABLE}: {', '.join(map(str, files))}"
        return warning(found, f"leave one folder in {PATH_VARIABLE}")
    return ok(f"{files[0]}, found by {PATH_VARIABLE}")


@probe("loading")
def loading(lmp: Path) -> Verdict:
    """Let the program load the pair style; what does not fit is said by LAMMPS, or by the pair style itself."""
    files = plugins_on_path()
    if not files:
        return skipped("there is no pair style to load")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / INPUT).write_text(f"plugin load {files[0]}\npair_style panna_plus\n")
        command = [str(lmp.resolve()), "-in", INPUT, "-log", "none"]
        finished = run(command, LOAD_SECONDS, Path(folder), {**SMALL_RUN, PATH_VARIABLE: ""})
    if finished.returncode == 0 and not finished.timed_out:
        return ok("the pair style fits this LAMMPS")
    unopened = [line.strip() for line in finished.text.splitlines() if line.startswith("Open of ")]
    return problem(" / ".join([*unopened, reason_of_failure(finished)]), how_to_build(lmp))


@probe("on 1 rank")
def one_rank(lmp: Path) -> Verdict:
    """Run one step on one rank."""
    return simulation(1, lmp)


@probe("on 2 ranks")
def two_ranks(lmp: Path) -> Verdict:
    """Run one step on two ranks, started by the launcher of its MPI."""
    try:
        launcher_of(lmp)
    except PannaPlusError as error:
        return skipped(str(error))
    return simulation(2, lmp)


def simulation(ranks: int, lmp: Path) -> Verdict:
    """Run one step of the tiny model, if there is a pair style."""
    if not plugins_on_path():
        return skipped("there is no pair style for this LAMMPS")
    return compared_with_engine(ranks, lmp)


PROBES = (program, launchers, plugin, loading, one_rank, two_ranks)
