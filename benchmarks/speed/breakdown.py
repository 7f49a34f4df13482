"""Where the time of a step goes: samples of `perf`, sorted by the function in which they were taken."""

import re
import shutil
import subprocess

from speed.contestants import Contestant
from speed.dynamics import System, Workbench

# The first pattern that a symbol of the engine contains decides; the engine's files are named after these stages.
STAGES = {
    "perceptron": r"apply_layer|apply_transposed|network|activat|compute_block",
    "contraction": r"contract|slopes|add_gradients",
    "neighbor filtering": r"gather|assign_slots|sorted_atom|blocks_of|measure_closest|center_species",
    "descriptor": r"describe|prepare|pack_triplets|chunk_|add_grid",
}
LIBRARIES = {"libpanna_plus": "other in the engine", "panna_plusplugin": "pair style", "liblammps": "LAMMPS"}


def breakdown(bench: Workbench, contestant: Contestant, n_steps: int) -> dict[str, float] | str:
    """Return stage -> fraction of the samples in engine, pair style and LAMMPS, or why there are none."""
    if shutil.which("perf") is None:
        return "perf is not installed"
    data = bench.folder / "perf.data"
    wrap = ["perf", "record", "-q", "-F", "2500", "-o", str(data)]
    system = System(n_elements=contestant.n_elements)
    try:
        bench.run(system, contestant.commands, n_steps, is_held=contestant.is_held, wrap=wrap)
    except RuntimeError as error:
        return f"perf cannot record here: {str(error).splitlines()[-1]}"
    columns = ["--sort", "dso,symbol", "-F", "sample,dso,symbol"]
    report = subprocess.run(
        ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-q", *columns, "-t", ";"],
        capture_output=True,
        text=True,
        check=True,
    )
    return fractions(report.stdout)


def fractions(report: str) -> dict[str, float]:
    """Sum samples by stage; what MPI, Python and the kernel do (mostly before the run) is left out."""
    samples: dict[str, int] = {}
    for line in report.splitlines():
        columns = [column.strip() for column in line.split(";")]
        if len(columns) < 3 or not columns[0].isdigit():
            continue
        stage = stage_of(columns[1], columns[2])
        if stage:
            samples[stage] = samples.get(stage, 0) + int(columns[0])
    total = sum(samples.values())
    return {stage: n / total for stage, n in sorted(samples.items(), key=lambda item: -item[1])}


def stage_of(library: str, symbol: str) -> str | None:
    if "libpanna_plus" in library:
        for stage, pattern in STAGES.items():
            if re.search(pattern, symbol):
                return stage
    return next((stage for name, stage in LIBRARIES.items() if name in library), None)
