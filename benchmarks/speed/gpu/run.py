"""Build, check and time the CUDA part of the engine on this machine's GPU; a few minutes, one table, one JSON file.

    python benchmarks/speed/gpu/run.py [--quick] [--emulate]

Needs Python 3.11, torch >= 2.11, numpy, g++ and nvcc, and nothing of this package installed: everything is built from
the sources of this checkout into a folder of its own. Where ase, pydantic, LAMMPS, pytest, ncu, compute-sanitizer or
matplotlib are there as well, more is measured; what is left out is said with the reason. Results are written after
every part: an interrupted run keeps what it has, and `--only` adds parts to what an earlier run wrote.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Not this folder, whose modules have common names.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hardware import RESULTS, write_result
from speed.gpu import checks, kernels, report, sizes, through
from speed.gpu.machine import ProgramError, Skipped, device_facts
from speed.gpu.models import TimedModel, timed_models
from speed.gpu.native_build import Build, Builder
from speed.gpu.sizes import Plan

from panna_plus.native.building import CompilationError
from panna_plus.native.cuda_building import ToolkitError

NAME = "speed_gpu"
PARTS = ["parity", "agreement", "ceilings", "sizes", "figure", "kernels", "conservation", "angular_cutoff"]
PARTS += ["executed_instructions", "compiled_instructions", "operators", "training", "lammps", "gpu_tests", "sanitizer"]


@dataclass
class Benchmark:
    """What is measured on, and what was found so far."""

    builder: Builder
    facts: dict[str, Any]
    output: Path
    only: list[str]
    result: dict[str, Any]

    def part(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run one part, print and keep what it found: numbers, or why there are none.

        A part that is not wanted has what an earlier run found.
        """
        if self.only and name not in self.only:
            return self.result.get(name, {})
        start = time.perf_counter()
        try:
            found = measure()
        except Skipped as reason:
            found = {"skipped": str(reason)}
        except Exception as error:
            # One part that fails, for whatever reason, must not cost the others.
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {error}"}
        print(report.text_of(name, found), flush=True)
        self.result[name] = found | {"seconds": round(time.perf_counter() - start, 1)}
        self.save()
        return found

    def save(self) -> Path:
        return write_result(NAME, self.result, self.output)

    @property
    def failed(self) -> list[str]:
        parts = {name: found for name, found in self.result.items() if isinstance(found, dict)}
        return [name for name, found in parts.items() if "failed" in found]


def main() -> int:
    sys.stdout.reconfigure(line_buffering=True)
    arguments = parse_arguments()
    try:
        facts = {"name": "csrc/cuda/emulation"} if arguments.emulate else device_facts()
    except (Skipped, ProgramError) as reason:
        print(f"nothing was measured: {reason}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.build or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            builder = Builder(Build(folder, arguments.emulate, facts.get("architecture", "")), print)
            builder.basics()
        except (CompilationError, ToolkitError) as error:
            print(f"nothing was measured: {error}", file=sys.stderr)
            return 1
        bench = Benchmark(builder, facts, arguments.output, arguments.only, earlier_result(arguments))
        bench.result |= {"device": facts, "compilers": builder.build.compilers, "build_seconds": builder.build.seconds}
        measure(bench, timed_models(folder), plan_of(arguments, facts))
    return finish(bench)


def finish(bench: Benchmark) -> int:
    path = bench.save()
    print(report.of_goals(bench.result))
    print(f"written: {path}")
    if bench.failed:
        print(f"failed: {', '.join(bench.failed)}", file=sys.stderr)
    return 1 if bench.failed else 0


def earlier_result(arguments: argparse.Namespace) -> dict[str, Any]:
    path = arguments.output / f"{NAME}.json"
    return json.loads(path.read_text()) if arguments.only and path.exists() else {}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="no more than 262,144 atoms")
    parser.add_argument("--emulate", action="store_true", help="without a GPU: 64 atoms on csrc/cuda/emulation")
    parser.add_argument("--only", nargs="+", default=[], choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--build", type=Path, metavar="FOLDER", help="keep what is built; default: a temporary one")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of the host: %(default)s")
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace, facts: dict[str, Any]) -> Plan:
    if arguments.emulate:
        return Plan("cuda", arguments.threads, [1, 2], 2, 1, 4, 1, sys.maxsize, fixed_steps=2)
    cells = [5, 10, 20, 32] if arguments.quick else [5, 10, 20, 32, 50, 80]
    kernel_cells = 32 if arguments.quick else 50
    return Plan("cuda", arguments.threads, cells, 10, 10, 1000, kernel_cells, facts["free_bytes"])


def measure(bench: Benchmark, models: list[TimedModel], plan: Plan) -> None:
    """Run every part: what is right first, then what is fast."""
    build = bench.builder.build
    bench.result["models"] = {model.name: model.note for model in models}
    bench.part("parity", lambda: checks.parity(bench.builder))
    bench.part("agreement", lambda: sizes.agreement(build, models, plan))
    limits = bench.part("ceilings", lambda: kernels.ceilings(bench.builder))
    found = bench.part("sizes", lambda: sizes.against_atoms(build, models, plan))
    bench.part("figure", lambda: figure(bench, found))
    bench.part("kernels", lambda: kernels.kernel_times(build, models, plan, limits))
    bench.part("conservation", lambda: sizes.conservation(build, models, plan))
    bench.part("angular_cutoff", lambda: sizes.against_angular_cutoff(build, plan))
    bench.part("executed_instructions", lambda: kernels.executed_instructions(build, models, plan))
    bench.part("compiled_instructions", lambda: kernels.compiled_instructions(build, build.architecture))
    # Torch knows nothing of the emulation.
    bench.part("operators", lambda: through.operators(bench.builder, "cpu" if build.is_emulated else "cuda"))
    bench.part("training", lambda: through.training(build))
    bench.part("lammps", lambda: through.lammps(build, models))
    bench.part("gpu_tests", lambda: checks.gpu_tests(build))
    bench.part("sanitizer", lambda: checks.sanitizer(build, models, plan))


def figure(bench: Benchmark, found: dict[str, Any]) -> dict[str, Any]:
    if not found.get("rows"):
        raise Skipped("nothing to draw")
    path = bench.output / f"{NAME}.png"
    try:
        report.draw(found["rows"], f"silicon at 1000 K, {bench.facts['name']}", path)
    except ImportError as error:
        raise Skipped("matplotlib is not installed") from error
    return {"file": path.name}


if __name__ == "__main__":
    raise SystemExit(main())
