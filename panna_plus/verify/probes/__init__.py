"""The checks of `panna-plus doctor`, in the order in which they are shown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from panna_plus.verify.finding import Finding, Probe
from panna_plus.verify.probes import graphics, lammps, mpi, other, python, trial

PYTHON = "Python"
SECTIONS: Mapping[str, Sequence[Probe]] = {
    PYTHON: (python.interpreter, python.package, python.dependencies, python.engine),
    "LAMMPS": (lammps.package, lammps.program, lammps.plugin, lammps.loading, lammps.entry_points, lammps.plugin_path),
    "MPI and threads": (mpi.library, mpi.launchers, mpi.threads, mpi.openmp_runtimes),
    "GPU and torch": (graphics.driver, graphics.engine, graphics.torch, graphics.libraries_of_torch, graphics.compiler),
    "A small simulation": (trial.one_rank, trial.two_ranks),
}


def diagnose(lmp: Path | None = None) -> Iterator[tuple[str, Finding]]:
    """Run all checks and yield each finding with its section.

    Parameters
    ----------
    lmp : Path, optional
        Another LAMMPS, which is looked at instead of that of this environment; where this environment has none, the one
        that a shell finds.
    """
    lmp = None if lmp is None or other.is_own(lmp) else lmp
    for section, probes in (SECTIONS if lmp is None else {PYTHON: SECTIONS[PYTHON]}).items():
        for probe in probes:
            yield section, probe()
    other_lmp = lmp or other.only_one()
    if other_lmp is not None:
        for probe in other.PROBES:
            yield f"Another LAMMPS, {other_lmp}", probe(other_lmp)
