"""Programs run in child processes: bounded in time, with nothing left behind, whatever they do."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGE_PARENT = Path(__file__).parents[2]
TASKS = Path(__file__).with_name("tasks.py")


@dataclass(frozen=True)
class Finished:
    """A program that came to its end, or to its time limit.

    Attributes
    ----------
    returncode : int
        Negative: the signal that ended it, as with `subprocess`. 127: it could not be started.
    out, error : str
        What it printed.
    timed_out : bool
        It was killed after its time limit.
    """

    returncode: int
    out: str
    error: str
    timed_out: bool = False

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return self.out + self.error

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.timed_out:
            return "it did not finish in time and was ended"
        if self.returncode < 0:
            return f"it was ended by {signal_name(-self.returncode)}"
        return f"exit code {self.returncode}"


def signal_name(number: int) -> str:
    """Return the name of a signal, also of one without a name."""
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def run(
    command: Sequence[str], seconds: float, folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> Finished:
    """Run a program to its end.

    Parameters
    ----------
    command : sequence of str
    seconds : float
        After this time the program and all that it started are ended.
    folder : Path, optional
        Where it runs.
    variables : mapping, optional
        Environment variables beside those of this process.
    """
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # A group of its own: `lmp` and `mpiexec` start others, which would keep the pipes open.
            start_new_session=True,
        )
    except OSError as error:
        return Finished(127, "", str(error))
    try:
        out, error_text = process.communicate(timeout=seconds)
        return Finished(process.returncode, out, error_text)
    except subprocess.TimeoutExpired:
        end_group(process)
        out, error_text = process.communicate()
        return Finished(process.returncode, out, error_text, timed_out=True)
    except BaseException:
        end_group(process)
        raise


def end_group(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_task(name: str, *arguments: str, seconds: float, sees_this_package: bool = True) -> Finished:
    """Run a task of `panna_plus.verify.tasks` in another interpreter.

    Parameters
    ----------
    name : str
    arguments : str
    seconds : float
        Its time limit.
    sees_this_package : bool
        The child imports this very package, wherever it was imported from; without, the one that any program of
        the environment would import.
    """
    path = os.pathsep.join([str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])])
    variables = {"PYTHONPATH": path} if sees_this_package else {}
    # By its file name, without the file's folder on the path: the task itself imports nothing but Python's own.
    command = [sys.executable, "-P", str(TASKS), name, *arguments]
    return run(command, seconds, variables=variables)


def reports_of(finished: Finished) -> dict[str, Any]:
    """Return what a task reported before it ended, one name and value per line."""
    found: dict[str, Any] = {}
    for line in finished.out.splitlines():
        with contextlib.suppress(ValueError):
            report = json.loads(line)
            if isinstance(report, dict):
                found |= report
    return found
