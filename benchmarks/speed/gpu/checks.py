"""Programs that look for errors on the device: the engine's own tests, compute-sanitizer, pytest."""

import sys
from typing import Any

from speed.gpu.machine import ProgramError, Skipped, find_tool, missing_packages, run_program
from speed.gpu.models import TimedModel, models_of_device_tests
from speed.gpu.native_build import HERE, Build, Builder
from speed.gpu.sizes import SKIN, Plan

ROOT = HERE.parents[2]
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PACKAGE_NEEDS = ("ase", "pydantic", "vesin", "yaml", "rich", "safetensors", "matplotlib")


def parity(builder: Builder) -> dict[str, Any]:
    """Run csrc/tests/test_cuda.cpp: random clusters, every corner, against the plain loops of the CPU."""
    builder.timed(builder.parity_test)
    build = builder.build
    paths = models_of_device_tests(build.folder)
    largest = "4" if build.is_emulated else "70"
    corners = run_program([build.parity_test, "corners", largest, paths[0]])
    sizes = run_program([build.parity_test, "sizes", largest, *paths])
    return {"corners": last_line(corners), "all models": last_line(sizes)}


def sanitizer(build: Build, models: list[TimedModel], plan: Plan) -> dict[str, Any]:
    """Run every tool of compute-sanitizer on dynamics of 64 atoms and on clusters of up to 24."""
    program = find_tool("compute-sanitizer")
    if build.is_emulated or program is None:
        raise Skipped("compute-sanitizer is not installed" if program is None else "the emulation is no GPU")
    model = models[0]
    options = ["--cells", 2, 2, 2, "--device", plan.device, "--steps", 2, "--skin", SKIN, "--spring", model.spring]
    dynamics = [build.driver, model.path, *options]
    clusters = [build.parity_test, "sizes", 24, *models_of_device_tests(build.folder)[:3]]
    found = {}
    for tool in SANITIZERS:
        for name, command in (("dynamics", dynamics), ("clusters", clusters)):
            found[f"{tool}, {name}"] = verdict([program, "--tool", tool, "--error-exitcode", 9, *command])
    return {"tools": found, "is_clean": all(text == "clean" for text in found.values())}


def verdict(command: list[object]) -> str:
    """Return 'clean' or what the program said."""
    try:
        run_program([str(word) for word in command], 180)
    except ProgramError as error:
        return str(error)
    return "clean"


def gpu_tests(build: Build) -> dict[str, Any]:
    """Run the tests that need a GPU, where the package and pytest are installed."""
    if build.is_emulated:
        raise Skipped("the emulation is no GPU")
    missing = missing_packages((*PACKAGE_NEEDS, "pytest"))
    if missing:
        raise Skipped(f"not installed: {', '.join(missing)}")
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(ROOT / "tests")]
    try:
        return {"said": last_line(run_program(command, 400))}
    except ProgramError as error:
        # Status 5: no test was collected.
        if "status 5" in str(error):
            raise Skipped("no test is marked gpu") from error
        raise


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
