"""The checks of `panna-plus doctor`, in the order in which they are shown."""

from collections.abc import Iterator, Mapping, Sequence

from panna_plus.verify.finding import Finding, Probe
from panna_plus.verify.probes import graphics, lammps, mpi, python, trial

SECTIONS: Mapping[str, Sequence[Probe]] = {
    "Python": (python.interpreter, python.package, python.dependencies, python.engine),
    "LAMMPS": (lammps.package, lammps.program, lammps.plugin, lammps.loading, lammps.entry_points, lammps.plugin_path),
    "MPI and threads": (mpi.library, mpi.launchers, mpi.threads, mpi.openmp_runtimes),
    "GPU and torch": (graphics.driver, graphics.engine, graphics.torch, graphics.libraries_of_torch, graphics.compiler),
    "A small simulation": (trial.one_rank, trial.two_ranks),
}


def diagnose() -> Iterator[tuple[str, Finding]]:
    """Run all checks and yield each finding with its section."""
    for section, probes in SECTIONS.items():
        for probe in probes:
            yield section, probe()
