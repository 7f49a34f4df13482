"""What machine this is, and which tools it has."""

import csv
import importlib.util
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from panna_plus.native import cuda_building

# In a process of its own: a context in this one would hold memory of the device while others are timed.
ASK_TORCH = """
import json, torch
found = {"torch_cuda": torch.version.cuda, "is_usable": torch.cuda.is_available()}
if found["is_usable"]:
    free, total = torch.cuda.mem_get_info()
    major, minor = torch.cuda.get_device_capability()
    found |= {"name": torch.cuda.get_device_name(), "architecture": f"{major}{minor}", "free_bytes": free,
              "total_bytes": total, "multiprocessors": torch.cuda.get_device_properties(0).multi_processor_count}
print(json.dumps(found))
"""
SMI_COLUMNS = ["driver_version", "clocks.max.sm", "clocks.max.mem", "power.limit", "mig.mode.current"]


class Skipped(Exception):
    """A measurement that cannot be made here; the text says why."""


class ProgramError(Exception):
    """A program that failed; the text holds the end of what it said."""


def run_program(command: Sequence[object], seconds: float = 300.0) -> str:
    """Return what a program prints.

    Raises
    ------
    ProgramError
        If it fails, or takes longer.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{words[0]} took longer than {seconds:.0f} s: {' '.join(words[1:])}") from error
    except OSError as error:
        raise ProgramError(f"{words[0]} does not start: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-3000:]
        raise ProgramError(f"{' '.join(words)} ended with status {done.returncode}:\n{said}")
    return done.stdout


def run_json(command: Sequence[object], seconds: float = 300.0) -> dict[str, Any]:
    """Return the JSON object on the last line that a program prints."""
    lines = run_program(command, seconds).strip().splitlines()
    return json.loads(lines[-1])


def device_facts() -> dict[str, Any]:
    """Return what torch and nvidia-smi say about the first CUDA device.

    Raises
    ------
    Skipped
        If torch cannot use one.
    """
    facts = run_json([sys.executable, "-c", ASK_TORCH])
    if not facts["is_usable"]:
        built = facts["torch_cuda"] or "the CPU alone"
        raise Skipped(f"torch (built for {built}) finds no CUDA device: run this where there is one, or --emulate")
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(SMI_COLUMNS)}", "--format=csv,noheader"]
        try:
            row = next(csv.reader(io.StringIO(run_program(query, 60))))
            facts |= {name: value.strip() for name, value in zip(SMI_COLUMNS, row, strict=False)}
        except ProgramError as error:
            facts["nvidia-smi"] = str(error)
    return facts


def find_tool(name: str) -> Path | None:
    """Return a program of the CUDA toolkit: on the PATH, beside nvcc, or in the triton that torch brings along."""
    toolkit = cuda_building.find_toolkit()
    triton = importlib.util.find_spec("triton")
    places = [shutil.which(name), toolkit and toolkit.nvcc.with_name(name)]
    places += [
        Path(folder) / "backends/nvidia/bin" / name for folder in (triton and triton.submodule_search_locations) or []
    ]
    return next((Path(place) for place in places if place and Path(place).exists()), None)


def free_host_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024 * int(line.split()[1])
    return sys.maxsize


def missing_packages(names: Sequence[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name) is None]
