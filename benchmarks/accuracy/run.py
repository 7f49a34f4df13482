"""Train on a public set exactly as a user would, and print the test errors beside those of peers.

    python benchmarks/accuracy/run.py mlearn_si [--set training.epochs=200 ...]

Runs `panna-plus init`, `panna-plus train` and `panna-plus evaluate` with the options of `sets.py`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy.sets import SETS, AccuracySet
from accuracy.snap import snap_errors
from hardware import write_result

from panna_plus.data.files import read_atoms


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=sorted(SETS))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--output", type=Path, help="keep the training here (default: a temporary folder)")
    arguments = parser.parse_args()
    chosen = SETS[arguments.set]
    missing = [str(f) for f in (chosen.train, chosen.test) if not f.exists()]
    if missing:
        print(f"not run: {', '.join(missing)} not found; set PANNA_PLUS_DATA to the folder with the data sets")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        output = arguments.output or Path(folder) / "run"
        result = measure(chosen, output, [*chosen.overrides, *arguments.overrides])
    print_table(arguments.set, chosen, result)
    print(f"written: {write_result(f'accuracy_{arguments.set}', result)}")
    return 0


def measure(chosen: AccuracySet, output: Path, overrides: list[str]) -> dict:
    """Train and test; return errors, minutes and options."""
    output.mkdir(parents=True, exist_ok=True)
    config = output / "config.yaml"
    panna_plus("init", chosen.train, "--test", chosen.test, "-o", config, "--force")
    options = [f"output={output / 'run'}", *overrides]
    start = time.perf_counter()
    panna_plus("train", config, "--overwrite", *(part for option in options for part in ("--set", option)))
    minutes = (time.perf_counter() - start) / 60
    errors = json.loads((output / "run/errors.json").read_text())
    frames = list(read_atoms(chosen.test))
    measured = {name: snap_errors(stem, frames) for name, stem in chosen.snap.items() if stem.parent.exists()}
    return {"minutes": minutes, "overrides": overrides, "errors": errors, "peers_same_run": measured}


def panna_plus(*arguments: object) -> None:
    """Run one command of the command line of this environment."""
    subprocess.run([str(Path(sys.executable).parent / "panna-plus"), *map(str, arguments)], check=True)


def print_table(name: str, chosen: AccuracySet, result: dict) -> None:
    table = Table(title=f"{name}: test errors (MAE)")
    for column in ("method", "energy (meV/atom)", "forces (meV/Å)", "source"):
        table.add_column(column, justify="left" if column in ("method", "source") else "right")
    test = result["errors"]["splits"]["test"]["all"]
    table.add_row(
        "panna_plus", f"{test['energy']['mae']:.2f}", f"{test['forces']['mae']:.1f}", f"{result['minutes']:.1f} min"
    )
    for method, errors in result["peers_same_run"].items():
        table.add_row(method, f"{errors['energy']:.2f}", f"{errors['forces']:.1f}", "this run, LAMMPS")
    for method, (energy, forces) in chosen.published.items():
        table.add_row(method, f"{energy:.2f}", f"{forces:.1f}", "published")
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
