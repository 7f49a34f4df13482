"""Train on a public set exactly as a user would, and print the test errors beside those of peers.

    python benchmarks/accuracy/run.py mlearn_si [--set training.epochs=200 ...]
    python benchmarks/accuracy/run.py aspirin_so3krates --output FOLDER --slice 9

Runs `panna-plus init`, `panna-plus train` and `panna-plus evaluate` with the options of `sets.py`. With `--slice` the
training is interrupted after so many minutes; the same command again goes on from there.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy.learning_curve import learning_curve
from accuracy.sets import SETS, AccuracySet
from accuracy.snap import snap_errors
from hardware import write_result

from panna_plus.data.files import read_atoms
from panna_plus.model_file import read_model

COMMAND = str(Path(sys.executable).parent / "panna-plus")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, help="keep the training here (default: a temporary folder)")
    parser.add_argument("--slice", type=float, metavar="MINUTES", help="interrupt the training after this time")
    arguments = parser.parse_args()
    chosen = SETS[arguments.set]
    missing = [str(f) for f in chosen.files if not f.exists()]
    if missing:
        print(f"not run: {', '.join(missing)} not found; set PANNA_PLUS_DATA to the folder with the data sets")
        return 1
    if arguments.slice and not arguments.output:
        parser.error("--slice needs --output, where the training is kept")
    overrides = [*chosen.overrides, *arguments.overrides]
    with tempfile.TemporaryDirectory() as folder:
        output = arguments.output or Path(folder) / "run"
        if not train(chosen, output, overrides, arguments.slice):
            print("not finished: run the same command again")
            return 0
        result = measure(chosen, output, overrides)
    print_table(arguments.set, chosen, result)
    print(f"written: {write_result(f'accuracy_{arguments.set}', result)}")
    return 0


def train(chosen: AccuracySet, output: Path, overrides: list[str], minutes: float | None) -> bool:
    """Train, or go on with a training that was interrupted; return whether it came to its end."""
    output.mkdir(parents=True, exist_ok=True)
    config = output / "config.yaml"
    is_new = minutes is None or not config.exists()
    if is_new:
        named = ["--test", chosen.test, "--family", chosen.family, "-o", config, "--force"]
        panna_plus("init", *chosen.train, *named)
    options = [f"output={output.resolve() / 'run'}", *overrides]
    settings = [part for option in options for part in ("--set", option)]
    begin = ["--overwrite"] if is_new else ["--restart", "auto"]
    training = subprocess.Popen([COMMAND, "train", str(config), *begin, *settings])
    try:
        code = training.wait(None if minutes is None else 60.0 * minutes)
    except subprocess.TimeoutExpired:
        training.send_signal(signal.SIGINT)
        code = training.wait()
    if code not in (0, 128 + signal.SIGINT):
        raise subprocess.CalledProcessError(code, training.args)
    return code == 0


def measure(chosen: AccuracySet, output: Path, overrides: list[str]) -> dict:
    """Return errors, minutes and options of a training that came to its end."""
    run = output / "run"
    further = {name: errors_on(run / "model.pt", path, output) for name, path in chosen.further_tests.items()}
    frames = list(read_atoms(chosen.test))
    return {
        "family": chosen.family,
        "minutes": read_model(run / "model.pt").card["provenance"]["training_minutes"],
        "overrides": overrides,
        "learning_curve": learning_curve(run / "metrics.csv"),
        "errors": json.loads((run / "errors.json").read_text()),
        "further_tests": further,
        "peers_same_run": {
            name: snap_errors(stem, frames) for name, stem in chosen.snap.items() if stem.parent.exists()
        },
    }


def errors_on(model: Path, frames: Path, folder: Path) -> dict:
    """Evaluate a model on a file and return the errors of all frames."""
    table = folder / "further_errors.json"
    panna_plus("evaluate", model, frames, "--errors", table, "--plot", "none")
    (errors,) = json.loads(table.read_text())["splits"].values()
    return errors["all"]


def panna_plus(*arguments: object) -> None:
    """Run one command of the command line of this environment."""
    subprocess.run([COMMAND, *map(str, arguments)], check=True)


def print_table(name: str, chosen: AccuracySet, result: dict) -> None:
    table = Table(title=f"{name}: test errors (MAE)")
    for column in ("method", "energy (meV/atom)", "forces (meV/Å)", "source"):
        table.add_column(column, justify="left" if column in ("method", "source") else "right")
    ours = {"panna_plus": result["errors"]["splits"]["test"]["all"]}
    ours |= {f"panna_plus, {test}": errors for test, errors in result["further_tests"].items()}
    for method, errors in ours.items():
        numbers = f"{errors['energy']['mae']:.2f}", f"{errors['forces']['mae']:.1f}"
        table.add_row(method, *numbers, f"{result['minutes']:.1f} min")
    for method, errors in result["peers_same_run"].items():
        table.add_row(method, f"{errors['energy']:.2f}", f"{errors['forces']:.1f}", "this run, LAMMPS")
    for method, (energy, forces) in chosen.published.items():
        table.add_row(method, f"{energy:.2f}", f"{forces:.1f}", "published")
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
