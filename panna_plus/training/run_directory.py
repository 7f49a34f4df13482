"""The folder of a run: its files, the lock against a second process, and the refusal to overwrite."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from panna_plus.errors import ConfigError, require
from panna_plus.model_file import write_atomically


@dataclass(frozen=True)
class RunDirectory:
    """Paths of everything that a run writes."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def splits(self) -> Path:
        return self.path / "splits.json"

    @property
    def model(self) -> Path:
        return self.path / "model.pt"

    @property
    def errors_json(self) -> Path:
        return self.path / "errors.json"

    @property
    def errors_markdown(self) -> Path:
        return self.path / "errors.md"

    @property
    def learning_curve(self) -> Path:
        return self.path / "learning_curve.png"

    @property
    def parity(self) -> Path:
        return self.path / "parity.png"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def results(self) -> tuple[Path, ...]:
        """Everything but the lock."""
        return (
            self.config,
            self.checkpoints,
            self.metrics,
            self.splits,
            self.model,
            self.errors_json,
            self.errors_markdown,
            self.learning_curve,
            self.parity,
        )

    def holds_run(self) -> bool:
        return any(path.exists() for path in self.results)


@contextmanager
def opened(path: Path, config_path: Path, is_restart: bool, overwrite: bool) -> Iterator[RunDirectory]:
    """Make or enter the folder of a run and hold its lock.

    Parameters
    ----------
    path : Path
    config_path : Path
        The user's configuration, which must not lie where the resolved one is written.
    is_restart : bool
        Enter a folder that holds a run, to go on from its checkpoints.
    overwrite : bool
        Remove the results of an earlier run.

    Raises
    ------
    ConfigError
        If the folder holds a run and neither is allowed, is in use, or cannot be written.
    """
    directory = RunDirectory(path)
    require(
        directory.config.resolve() != config_path.resolve(),
        ConfigError,
        f"output '{path}' is the folder of '{config_path}' itself, which would be overwritten: give another folder",
    )
    with locked(directory):
        if directory.holds_run():
            enter_existing(directory, is_restart, overwrite)
        yield directory


def enter_existing(directory: RunDirectory, is_restart: bool, overwrite: bool) -> None:
    """Refuse, clear or accept a folder that holds a run."""
    require(
        overwrite or is_restart,
        ConfigError,
        f"'{directory.path}' already holds a run: go on with --restart auto, replace it with --overwrite, or set "
        "another output",
    )
    if overwrite:
        for path in directory.results:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def locked(directory: RunDirectory) -> Iterator[None]:
    """Hold the lock of a folder; the system releases it when the process ends, however it ends."""
    try:
        directory.path.mkdir(parents=True, exist_ok=True)
        stream = open(directory.lock, "a+", encoding="utf-8")  # noqa: SIM115 - closed by the with below
    except OSError as error:
        raise ConfigError(f"cannot write the output folder '{directory.path}': {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            stream.seek(0)
            raise ConfigError(
                f"'{directory.path}' is in use by another training ({stream.read().strip() or 'unknown process'}): "
                "wait for it, or set another output"
            ) from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
        yield
        stream.truncate(0)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, text.encode("utf-8"))
