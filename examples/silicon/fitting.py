"""Training and evaluation through the command line, as a reader would type it."""

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynamics import program
from rich.console import Console

import panna_plus
from panna_plus.model_file import write_atomically

EXAMPLE = Path(__file__).resolve().parent
CONFIG = EXAMPLE / "config.yaml"
TRAIN, TEST = EXAMPLE / "data/train.xyz", EXAMPLE / "data/test.xyz"
PACKAGE = Path(panna_plus.__file__).resolve().parent


def panna_plus_command(console: Console, arguments: Sequence[str | Path]) -> None:
    """Show a `panna-plus` command and run it.

    Raises
    ------
    RuntimeError
        If it failed; it has said why.
    """
    words = [shown(a) for a in arguments]
    console.print(f"\n$ panna-plus {shlex.join(words)}", style="bold", markup=False, highlight=False, soft_wrap=True)
    done = subprocess.run([program("panna-plus"), *words])
    if done.returncode != 0:
        raise RuntimeError(f"panna-plus {words[0]} ended with exit code {done.returncode}")


def shown(argument: str | Path) -> str:
    """Return an argument as a reader would type it: paths relative to the working folder."""
    return os.path.relpath(argument) if isinstance(argument, Path) else argument


def train(console: Console, folder: Path) -> bool:
    """Train into `folder` unless it holds the result of the same configuration, data and code.

    Returns
    -------
    bool
        Whether a training ran.
    """
    record = folder / "made_from.json"
    inputs = fingerprint()
    if is_up_to_date(folder, record, inputs):
        short = ", ".join(f"{name} {digest[:8]}" for name, digest in inputs.items())
        console.print(
            f"Training skipped: {shown(folder)} was made from this very input ({short}). Remove it to train again."
        )
        return False
    record.unlink(missing_ok=True)
    output = os.path.relpath(folder, CONFIG.parent)
    panna_plus_command(console, ["train", CONFIG, "--set", f"output={output}", "--overwrite"])
    made = inputs | {"model": digest_of([folder / "model.pt"])}
    write_atomically(record, json.dumps(made, indent=1).encode())
    return True


def is_up_to_date(folder: Path, record: Path, inputs: dict[str, str]) -> bool:
    """Tell whether the record names these inputs and the model that lies beside it."""
    model = folder / "model.pt"
    if not (record.exists() and model.exists() and (folder / "metrics.csv").exists()):
        return False
    try:
        made = json.loads(record.read_text())
    except json.JSONDecodeError:
        return False
    return made == inputs | {"model": digest_of([model])}


def fingerprint() -> dict[str, str]:
    """Return the SHA-256 of configuration, data and the package's Python code."""
    return {
        "config": digest_of([CONFIG]),
        "data": digest_of([TRAIN, TEST]),
        "code": digest_of(sorted(PACKAGE.rglob("*.py"))),
    }


def digest_of(paths: Iterable[Path]) -> str:
    """Return one SHA-256 over the names and contents of files."""
    total = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.name} {content}\n".encode())
    return total.hexdigest()


def evaluate(console: Console, model: Path, folder: Path) -> dict[str, float]:
    """Evaluate the test set; return mean absolute errors of energy, forces, stress in meV/atom, meV/Å, GPa."""
    errors = folder / "test_errors.json"
    options = ["--plot", "none", "--errors", errors, "-o", folder / "test_predicted.xyz", "--overwrite"]
    panna_plus_command(console, ["evaluate", model, TEST, *options])
    (table,) = json.loads(errors.read_text())["splits"].values()
    return {quantity: entry["mae"] for quantity, entry in table["all"].items()}
