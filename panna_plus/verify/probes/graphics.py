"""NVIDIA driver, torch, the devices that it sees and what is built against it, the CUDA compiler."""

import importlib.util
import re
import shutil
from pathlib import Path

from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped, warning
from panna_plus.verify.probes.python import IMPORT_SECONDS, last_line
from panna_plus.verify.processes import reports_of, run, run_task

DRIVER_SECONDS = 60.0
COMPILER_SECONDS = 20.0
USUAL_COMPILER = Path("/usr/local/cuda/bin/nvcc")


def driver_reports() -> dict:
    """Ask the driver in another process; empty where there is none."""
    return reports_of(run_task("cuda-driver", seconds=DRIVER_SECONDS))


@probe("CUDA driver")
def driver() -> Verdict:
    """Look for a driver and devices."""
    reports = driver_reports()
    if not reports.get("driver"):
        return ok("none: everything runs on the CPU")
    if reports.get("code") != 0 or not reports.get("devices"):
        found = f"present, but gives no device (cuInit returned {reports.get('code', 'nothing')})"
        return warning(found, "run nvidia-smi; in a container, start it with --gpus all")
    version = reports["version"]
    names = run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"], DRIVER_SECONDS)
    shown = "; ".join(names.out.split("\n")).strip("; ") if names.returncode == 0 else ""
    found = f"CUDA up to {version // 1000}.{version % 1000 // 10}, {reports['devices']} device(s)"
    return ok(f"{found}: {shown}" if shown else found)


@probe("engine on CUDA")
def engine() -> Verdict:
    """Ask the engine for the devices that it can use: those of the pair style and of the ASE calculator."""
    from panna_plus.native.library import is_built

    if not is_built():
        return skipped("the native engine was not built")
    finished = run_task("engine-devices", seconds=DRIVER_SECONDS)
    reports = reports_of(finished)
    devices, n_present = reports.get("devices"), driver_reports().get("devices", 0)
    if devices:
        numbered = "; ".join(f"cuda:{n} {name}" for n, name in enumerate(devices))
        return ok(
            f"{numbered}. Ranks of LAMMPS are spread over them (device auto) for panna models; ASE: device='cuda'"
        )
    reason = reports.get("reason") or last_line(finished.error) or finished.ending
    if n_present:
        fix = "install panna_plus again with nvcc at hand (PANNA_PLUS_CUDA=1 says what is missing)"
        return warning(f"uses none of {n_present} device(s): {reason}", fix)
    return ok("no device to be used: LAMMPS (device auto) and ASE compute on the CPU")


@probe("torch")
def torch() -> Verdict:
    """Import torch in another process, and compare the devices that it sees with those of the driver."""
    if importlib.util.find_spec("torch") is None:
        fix = "pip install torch; simulations of existing models work without it"
        return warning("not installed: no training, no PyTorch backend", fix)
    finished = run_task("torch", seconds=IMPORT_SECONDS)
    reports = reports_of(finished)
    if "devices" not in reports:
        reason = last_line(finished.error) or finished.ending
        return problem(f"cannot be used: {reason}", "pip install --force-reinstall torch")
    built_for = f"CUDA {reports['built_for']}" if reports["built_for"] else "the CPU only"
    found = f"{reports['version']} at {Path(reports['file']).parent}, built for {built_for}"
    if reports["devices"]:
        return ok(f"{found}, sees {', '.join(reports['devices'])}")
    n_devices = driver_reports().get("devices", 0)
    if not n_devices:
        return ok(found)
    fix = "install the torch that fits the driver: https://pytorch.org/get-started/locally"
    return warning(f"{found}, sees none of {n_devices} device(s)", fix)


@probe("libraries of torch")
def libraries_of_torch() -> Verdict:
    """Look for what was built for the installed torch."""
    from panna_plus.native import building, torch_libraries

    if building.torch_folder() is None:
        return skipped("no torch")
    names = building.TORCH_LIBRARIES
    missing = [building.torch_library_file(name) for name in names if torch_libraries.built_library(name) is None]
    if missing:
        found = f"not built for this torch: {', '.join(missing)}"
        return warning(found, "panna-plus build; training builds its operators itself at its first use")
    return ok("operators for training and the TorchScript backend of the pair style are built for this torch")


@probe("nvcc")
def compiler() -> Verdict:
    """Look for the CUDA compiler, which only builds need."""
    found = shutil.which("nvcc") or (str(USUAL_COMPILER) if USUAL_COMPILER.is_file() else None)
    if found is None:
        return ok("none: only needed to compile CUDA code")
    finished = run([found, "--version"], COMPILER_SECONDS)
    version = re.search(r"release (\d+\.\d+)", finished.text)
    if version is None:
        reason = f"{found} does not say its version: {finished.ending}"
        return warning(reason, "reinstall the CUDA toolkit, or take it out of PATH")
    return ok(f"{version[1]} at {found}")
