"""What a result was measured on, and where results are written."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def describe_hardware() -> dict[str, Any]:
    """Return processor, cores and software versions."""
    import torch

    import panna_plus

    return {
        "processor": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "panna_plus": panna_plus.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def write_result(name: str, content: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write `<name>.json` with the hardware added, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"hardware": describe_hardware(), **content}, indent=1) + "\n")
    return path
