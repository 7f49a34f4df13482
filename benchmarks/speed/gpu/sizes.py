"""Molecular dynamics by the driver: agreement with the CPU, conservation of energy, and time against atoms."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import pi
from typing import Any

from speed.gpu.machine import ProgramError, free_host_bytes, run_json
from speed.gpu.models import DENSITY, TimedModel, of_angular_cutoffs
from speed.gpu.native_build import Build

SKIN = 1.0  # Å
AGREEMENT = {"mixed": 1e-5, "double": 1e-10}
# Bytes on the device per listed pair: list, its inverse, slots, two kinds of gradients (csrc/cuda/workspace.h).
PAIR_BYTES = {"mixed": 76, "double": 132}
# Per atom, apart from features; images of small crystals are many, but those are small.
ATOM_BYTES = 600
# A pair on the host stands in the driver's list, which grew, and in page-locked memory.
HOST_PAIR_BYTES, HOST_ATOM_BYTES = 16, 600
# Memory that has to grow takes an eighth more than it needs.
RESERVE = 1.2


@dataclass(frozen=True)
class Plan:
    """How much is measured: everything on a GPU, the least that takes every path in the emulation.

    Attributes
    ----------
    device : str
    threads : int
        Of the host.
    cells : list of int
        Cubic cells along each side.
    check_cells, conserve_cells, kernel_cells : int
    conserve_steps : int
    free_bytes : int
        Of device memory.
    fixed_steps : int
        Of every size; 0: as many as are worth it.
    """

    device: str
    threads: int
    cells: list[int]
    check_cells: int
    conserve_cells: int
    conserve_steps: int
    kernel_cells: int
    free_bytes: int
    fixed_steps: int = 0

    def steps_for(self, cells: int) -> int:
        if self.fixed_steps:
            return self.fixed_steps
        return 200 if cells <= 10 else 100 if cells <= 32 else 40


def n_atoms(cells: int) -> int:
    return 8 * cells**3


def drive(build: Build, model: TimedModel, cells: int, *options: object, seconds: float = 300.0) -> dict[str, Any]:
    """Run the driver; options are its own."""
    command = [build.driver, model.path, "--cells", *[cells] * 3, "--spring", model.spring, "--skin", SKIN, *options]
    return {"model": model.name} | run_json([str(word) for word in command], seconds)


def gathered(cases: Iterable[tuple], measure: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Measure case by case; one that fails does not cost the others."""
    rows, errors = [], []
    for case in cases:
        try:
            rows.append(measure(*case))
        except ProgramError as error:
            errors.append(str(error))
    return {"rows": rows} | ({"failed": "\n".join(errors)} if errors else {})


def agreement(build: Build, models: list[TimedModel], plan: Plan) -> dict[str, Any]:
    """Compare the device with the CPU in double precision; time one core of it."""

    def measure(model: TimedModel, precision: str, kernels: str) -> dict[str, Any]:
        how = ("--device", plan.device, "--precision", precision, "--kernels", kernels, "--check")
        row = drive(build, model, plan.check_cells, *how, "--threads", plan.threads, "--steps", 2, "--warmup", 0)
        worst = max(row["force_difference"], row["energy_difference"], row["virial_difference"])
        return row | {"worst": worst, "agrees": worst <= AGREEMENT[precision], "asked": AGREEMENT[precision]}

    ways = (("mixed", "gather"), ("mixed", "atomics"), ("double", "gather"))
    found = gathered(((model, *way) for model in models for way in ways), measure)
    return found | {"all_agree": "failed" not in found and all(row["agrees"] for row in found["rows"])}


def conservation(build: Build, models: list[TimedModel], plan: Plan) -> dict[str, Any]:
    """Follow the total energy of the trained model on the device and on the CPU, behind an equilibration."""

    def measure(device: str, precision: str) -> dict[str, Any]:
        how = ("--device", device, "--precision", precision, "--threads", plan.threads)
        length = ("--steps", plan.conserve_steps, "--warmup", plan.conserve_steps // 2)
        return drive(build, models[-1], plan.conserve_cells, *how, *length)

    return gathered(product((plan.device, "cpu"), ("mixed", "double")), measure)


def listed_pairs(model: TimedModel, cells: int) -> float:
    return n_atoms(cells) * DENSITY * 4 / 3 * pi * (model.cutoff + SKIN) ** 3


def too_large(model: TimedModel, cells: int, precision: str, free_bytes: int) -> str:
    """Return why a size does not fit into memory; empty if it does."""
    pairs, atoms = listed_pairs(model, cells), n_atoms(cells)
    features = model.n_features * (4 if precision == "mixed" else 8)
    device = RESERVE * (pairs * PAIR_BYTES[precision] + atoms * (ATOM_BYTES + features))
    host = RESERVE * (pairs * HOST_PAIR_BYTES + atoms * HOST_ATOM_BYTES)
    for what, needed, free in (("device", device, free_bytes), ("host", host, free_host_bytes())):
        if needed > free:
            return f"needs about {needed / 2**30:.1f} GiB of {what} memory, {free / 2**30:.1f} GiB are free"
    return ""


def against_atoms(build: Build, models: list[TimedModel], plan: Plan) -> dict[str, Any]:
    """Time steps of every model at every size; double precision for the first model alone."""
    skipped, fitting = {}, []
    for model, precision in [(model, "mixed") for model in models] + [(models[0], "double")]:
        for cells in plan.cells:
            reason = too_large(model, cells, precision, plan.free_bytes)
            if reason:
                skipped[f"{model.name}, {precision}, {n_atoms(cells)} atoms"] = reason
            else:
                fitting.append((build, model, cells, precision, plan))
    return gathered(fitting, timed) | {"left_out": skipped}


def against_angular_cutoff(build: Build, plan: Plan) -> dict[str, Any]:
    """Time case A with few and many angular neighbors, whose pairs are what an atom costs."""

    def measure(cutoff: float, model: TimedModel) -> dict[str, Any]:
        row = timed(build, model, plan.kernel_cells, "mixed", plan)
        inside = DENSITY * 4 / 3 * pi * cutoff**3
        return {
            "angstrom": cutoff,
            "neighbors": inside,
            "atoms": row["atoms"],
            "kept_us": row["one_kept_evaluation_us"],
        }

    return gathered(of_angular_cutoffs(build.folder), measure)


def timed(build: Build, model: TimedModel, cells: int, precision: str, plan: Plan) -> dict[str, Any]:
    how = ("--device", plan.device, "--precision", precision, "--threads", plan.threads)
    row = drive(build, model, cells, *how, "--steps", plan.steps_for(cells))
    kept = row["one_kept_evaluation_us"]
    row["atom_steps_per_s"] = 1e6 / row["step_us"]
    row["kept_atom_steps_per_s"] = 1e6 / kept if kept else None
    return row
