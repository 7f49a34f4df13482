"""The MPI that LAMMPS uses, the launchers that a shell finds, threads."""

import importlib.util
import os
from importlib import metadata

from panna_plus.lammps import mpi_library
from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped, warning
from panna_plus.verify.probes.lammps import SKIP, lammps_version, load_as_lammps
from panna_plus.verify.processes import reports_of, run_task
from panna_plus.verify.programs import (
    INSTALL_LAMMPS,
    LAUNCHERS,
    UNKNOWN,
    MpiFlavor,
    launcher_flavor,
    mpi_flavor,
    own_program,
    program_on_path,
)

OPENMP_SECONDS = 180.0  # with torch


def flavor_of_lammps() -> MpiFlavor | None:
    """Return the MPI that the installed LAMMPS uses; None if it does not load."""
    text = reports_of(load_as_lammps()).get("mpi")
    return mpi_flavor(text) if text else None


@probe("MPI of LAMMPS")
def library() -> Verdict:
    """Load LAMMPS's MPI and ask its version."""
    if lammps_version() is None:
        return skipped(SKIP)
    try:
        path = mpi_library()
    except metadata.PackageNotFoundError:
        return problem("the package mpich is not installed", INSTALL_LAMMPS)
    flavor = flavor_of_lammps()
    if flavor is None:
        found = f"{path} cannot be loaded with LAMMPS"
        return problem(found, "pip install --force-reinstall mpich")
    return ok(f"{flavor.name} at {path}")


@probe("mpiexec, mpirun")
def launchers() -> Verdict:
    """Compare the launchers that a shell finds with the MPI of LAMMPS: others start N serial copies."""
    flavor = None if lammps_version() is None else flavor_of_lammps()
    if flavor is None:
        return skipped("there is no LAMMPS whose MPI they could fit")
    own = own_program(*LAUNCHERS)
    if own is None:
        return problem("this environment has no mpiexec: one rank only", INSTALL_LAMMPS)
    on_path = {path: launcher_flavor(path) for n in LAUNCHERS if (path := program_on_path(n))}
    foreign = [path for path, found in on_path.items() if found.family not in (flavor.family, UNKNOWN)]
    unknown = [path for path, found in on_path.items() if found.family == UNKNOWN]
    shown = "; ".join(f"{path} is {on_path[path].name}" for path in foreign or unknown or on_path)
    fix = f'type {own}, or export PATH="{own.parent}:$PATH"'
    if foreign:
        trap = "in place of N ranks it starts N copies of a simulation, or fails in MPI_Init"
        return problem(f"{shown}, but LAMMPS uses {flavor.name}: {trap}", fix)
    if unknown:
        return warning(f"{shown}; LAMMPS uses {flavor.name}", fix)
    return ok(shown or f"none on PATH; {own} fits LAMMPS")


@probe("threads")
def threads() -> Verdict:
    """Compare OMP_NUM_THREADS, which every rank obeys, with the number of cores."""
    n_cores = usable_cores()
    text = os.environ.get("OMP_NUM_THREADS", "")
    cores = f"{n_cores} cores" + (f" of {os.cpu_count()}" if os.cpu_count() != n_cores else "")
    if not text:
        return ok(f"{cores}; OMP_NUM_THREADS is not set: LAMMPS uses one thread per rank")
    # The first number counts: the others are for nested regions.
    first = text.split(",")[0].strip()
    if not first.isdigit() or int(first) < 1:
        found = f"OMP_NUM_THREADS={text} is not a number of threads"
        return warning(found, "export OMP_NUM_THREADS=1")
    if int(first) > n_cores:
        found = f"OMP_NUM_THREADS={text} on {cores}: every rank starts that many, and they wait for each other"
        return warning(found, f"export OMP_NUM_THREADS=1; ranks times threads at most {n_cores}")
    ranks = n_cores // int(first)
    return ok(f"{cores}; OMP_NUM_THREADS={text}: up to {ranks} rank(s) without sharing cores")


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@probe("OpenMP runtimes")
def openmp_runtimes() -> Verdict:
    """List the OpenMP runtimes that a process with torch and LAMMPS holds."""
    has_torch = importlib.util.find_spec("torch") is not None
    if lammps_version() is None:
        if not has_torch:
            return skipped("neither torch nor LAMMPS is installed")
        finished = run_task("libraries", "torch", seconds=OPENMP_SECONDS)
    else:
        finished = load_as_lammps(*(["torch"] if has_torch else []))
    files = reports_of(finished).get("openmp")
    if files is None and finished.returncode < 0:
        found = f"torch and LAMMPS do not live in one process: {finished.ending}"
        return warning(found, "run LAMMPS by lmp, not from Python beside torch, and report this")
    if files is None:
        return skipped(f"torch or LAMMPS cannot be loaded: {finished.ending}")
    kinds = {os.path.basename(file).split(".")[0].split("-")[0] for file in files}
    if len(kinds) > 1:
        found = f"{len(kinds)} different ones in a process with torch and LAMMPS: {', '.join(files)}"
        return warning(found, "export OMP_NUM_THREADS=1, or install torch by pip instead of conda")
    # Two copies of one runtime bind to the symbols of the first: one pool of threads.
    return ok(f"one kind: {', '.join(files) or 'none'}")
