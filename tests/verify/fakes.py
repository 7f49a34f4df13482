"""Programs and packages that are not what they seem."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from panna_plus.verify.processes import Finished


def script(path: Path, *lines: str) -> Path:
    """Write a shell script that anybody may run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def python_package(folder: Path, name: str, *lines: str) -> None:
    """Write a package that shadows an installed one in child processes, see `shadow`."""
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("\n".join([*lines, ""]))


def shadow(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))


def finished(returncode: int = 0, error: str = "", **reports: Any) -> Finished:
    """Return what a task leaves that made these reports."""
    lines = [json.dumps({name: value}) for name, value in reports.items()]
    return Finished(returncode, "\n".join(lines), error)


def always(value: Any):
    """Return a function that ignores its arguments."""
    return lambda *_args, **_kwargs: value
