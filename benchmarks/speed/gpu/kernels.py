"""Time and instructions of every kernel, and how far they are from what the device can do."""

import csv
import io
import json
import re
import sys
from collections import defaultdict
from typing import Any

from speed.gpu.machine import ProgramError, Skipped, find_tool, run_json, run_program
from speed.gpu.models import SPRING, TimedModel
from speed.gpu.native_build import HERE, Build, Builder
from speed.gpu.sizes import SKIN, Plan, n_atoms

# Of case A with 50 and 25 neighbors per atom: counted in compiled code of the main loops, not executed ones.
COUNTED_WARP_INSTRUCTIONS = 9000
WARP = 32
STEPS = 10
# The driver evaluates once before its steps and once behind them.
EVALUATIONS = STEPS + 2
OPCODES = ("FFMA", "FMUL", "FADD", "MUFU", "DFMA", "LDG", "STG", "LDS", "STS", "SHFL", "BRA")


def ceilings(builder: Builder) -> dict[str, float]:
    """Measure the device: bytes copied and operations per second."""
    builder.timed(builder.ceilings)
    build = builder.build
    return run_json([build.ceilings, *((1, 1) if build.is_emulated else (1024, 256))])


def kernel_times(build: Build, models: list[TimedModel], plan: Plan, limits: dict[str, float]) -> dict[str, Any]:
    """Time kernels of the first two models at the largest usual size."""
    if build.is_emulated:
        raise Skipped("the emulation has no kernels that a profiler could see")
    return {model.name: times_of(build, model, plan, limits) for model in models}


def times_of(build: Build, model: TimedModel, plan: Plan, limits: dict[str, float]) -> dict[str, Any]:
    trace = build.folder / "trace.json"
    watcher = [sys.executable, HERE / "profile_driver.py", build.driver_library, trace]
    run_program([*watcher, *arguments(model, plan, STEPS)])
    rows = kernel_rows(json.loads(trace.read_text()), n_atoms(plan.kernel_cells), EVALUATIONS)
    trace.unlink()
    if not rows:
        raise ProgramError("torch's profiler saw no kernels: is another profiler attached, or its use not permitted?")
    total = sum(row["ns_per_atom"] for row in rows if row["kind"] == "kernel")
    found = {"atoms": n_atoms(plan.kernel_cells), "rows": rows, "kernels_ns_per_atom": total}
    if "float_fma_per_s" in limits and model.name == "case A":
        floor = 1e9 * COUNTED_WARP_INSTRUCTIONS * WARP / limits["float_fma_per_s"]
        found |= {"floor_ns_per_atom": floor, "fraction_of_floor": floor / total}
    return found


def arguments(model: TimedModel, plan: Plan, steps: int) -> list[str]:
    options = {"--device": plan.device, "--threads": plan.threads, "--spring": model.spring, "--skin": SKIN}
    options |= {"--steps": steps, "--warmup": 0}
    flat = [str(word) for pair in options.items() for word in pair]
    return [str(model.path), "--cells", *[str(plan.kernel_cells)] * 3, *flat]


def kernel_rows(trace: dict[str, Any], atoms: int, evaluations: int) -> list[dict[str, Any]]:
    """Return the kernels and copies of a Chrome trace, the longest first.

    What runs in every evaluation counts as "kernel" or "copy", the rest, which goes with a new list, as "list".
    """
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    details: dict[str, dict[str, Any]] = {}
    for event in trace["traceEvents"]:
        if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset"):
            name = short_name(event["name"])
            durations[event["cat"], name].append(float(event["dur"]))
            details[name] = event.get("args", {})
    rows = []
    for (category, name), each in durations.items():
        is_regular = len(each) % evaluations == 0
        kind = ("kernel" if category == "kernel" else "copy") if is_regular else "list"
        args = details[name]
        rows.append(
            {
                "name": name,
                "kind": kind,
                "calls": len(each),
                # In microseconds there.
                "ns_per_atom": 1e3 * sum(each) / evaluations / atoms,
                "registers": args.get("registers per thread"),
                "occupancy_percent": args.get("est. achieved occupancy %"),
            }
        )
    return sorted(rows, key=lambda row: -row["ns_per_atom"])


def short_name(name: str) -> str:
    """Return a kernel's name without its namespace and parameters."""
    # Values of template arguments first: (bool)1.
    name = re.sub(r"\((bool|int|unsigned int)\)", "", name)
    name = re.sub(r"^void |panna_plus::cuda::|\(anonymous namespace\)::|<unnamed>::", "", name)
    return re.sub(r"\(.*$", "", name).strip() or name


def executed_instructions(build: Build, models: list[TimedModel], plan: Plan) -> dict[str, Any]:
    """Count the warp instructions that were executed per atom, with ncu."""
    ncu = find_tool("ncu")
    if build.is_emulated or ncu is None:
        raise Skipped("ncu (Nsight Compute) is not installed" if ncu is None else "the emulation has no instructions")
    found = {}
    for model in models:
        small = [str(word) for word in (model.path, "--cells", 20, 20, 20, "--device", plan.device, "--spring", SPRING)]
        command = [ncu, "--csv", "--metrics", "smsp__inst_executed.sum", build.driver, *small, "--steps", "1"]
        text = run_program([*command, "--warmup", "0"], 400)
        found[model.name] = instructions_per_atom(text, n_atoms(20), evaluations=3)
    return found


def instructions_per_atom(text: str, atoms: int, evaluations: int) -> dict[str, float]:
    """Read what ncu prints as CSV: kernel -> warp instructions per atom and evaluation."""
    lines = text.splitlines()
    start = next((k for k, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        raise ProgramError(f"ncu printed no table: {text[-500:]}")
    sums: dict[str, float] = defaultdict(float)
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        sums[short_name(row["Kernel Name"])] += float(row["Metric Value"].replace(",", "")) / evaluations / atoms
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def compiled_instructions(build: Build, architecture: str) -> dict[str, Any]:
    """Count the instructions that each kernel consists of, by cuobjdump."""
    cuobjdump = find_tool("cuobjdump")
    if build.is_emulated or cuobjdump is None:
        raise Skipped("cuobjdump is not installed" if cuobjdump is None else "the emulation has no instructions")
    text = run_program([cuobjdump, "-sass", "-arch", f"sm_{architecture}", build.cuda])
    return {readable(name): counts for name, counts in static_counts(text).items()}


def readable(name: str) -> str:
    """Return a mangled name as C++ writes it, where c++filt is there."""
    filter_program = find_tool("c++filt")
    return short_name(run_program([filter_program, name]).strip()) if filter_program else name


def static_counts(text: str) -> dict[str, dict[str, int]]:
    """Read a listing of machine code: kernel -> number of instructions, and of some kinds of them."""
    found: dict[str, dict[str, int]] = {}
    counts: dict[str, int] | None = None
    for line in text.splitlines():
        heading = re.search(r"Function : (\S+)", line)
        if heading:
            counts = found.setdefault(heading.group(1), {"all": 0})
        instruction = re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)", line)
        if instruction and counts is not None:
            counts["all"] += 1
            if instruction.group(1) in OPCODES:
                counts[instruction.group(1)] = counts.get(instruction.group(1), 0) + 1
    return found
