"""`panna-plus train config.yaml`: train, report, export."""

import argparse
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panna_plus.commands.display import Display
    from panna_plus.training.config import RunConfig
    from panna_plus.training.run import Prepared, Run
    from panna_plus.training.run_directory import RunDirectory


def add_parser(subparsers: Any) -> None:
    """Add `train` to the command line."""
    parser = subparsers.add_parser(
        "train",
        help="train a potential as a config.yaml says and export it as model.pt",
        description="Train a potential and export it. Ctrl-C ends the training early: a checkpoint and the best "
        "model so far are written, and --restart auto goes on from there.",
    )
    parser.add_argument("config", help="configuration, as panna-plus init writes it")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change an option, e.g. training.epochs=100"
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N; same as --set training.device=...")
    parser.add_argument(
        "--dry-run", action="store_true", help="read the data, take a few steps, print sizes and times, write nothing"
    )
    parser.add_argument(
        "--restart", choices=("auto", "never"), default="never", help="auto: go on from the last checkpoint, if any"
    )
    parser.add_argument("--force-resume", action="store_true", help="go on although configuration or data changed")
    parser.add_argument("--overwrite", action="store_true", help="replace the results of an earlier run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train as the configuration says; return the exit code."""
    import torch

    from panna_plus.commands.display import Display
    from panna_plus.errors import ConfigError, require
    from panna_plus.training.config import load_run_config
    from panna_plus.training.run_directory import opened

    is_restart = args.restart == "auto" or args.force_resume
    require(
        not (args.overwrite and is_restart),
        ConfigError,
        "--overwrite starts anew and --restart auto goes on: give one of them",
    )
    overrides = args.set + ([f"training.device={args.device}"] if args.device else [])
    config = load_run_config(args.config, overrides)
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    config_path = Path(args.config)
    display = Display()
    if args.dry_run:
        return dry_run(config, config_path.parent, display)
    with opened(results_folder(config_path, config.output), config_path, is_restart, args.overwrite) as directory:
        return train(config, config_path, directory, is_restart, args.force_resume, display)


def results_folder(config_path: Path, output: str) -> Path:
    """Return the folder of the results as seen from the working directory, without detours such as a/../b."""
    folder = (config_path.parent / output).resolve()
    near = os.path.relpath(folder)
    return folder if near.startswith("..") else Path(near)


def started(config: "RunConfig", base_directory: Path, display: "Display") -> "Run":
    """Read the data, show the report, build the potential."""
    from panna_plus.data import data_report, render
    from panna_plus.training.run import build_run, read_dataset

    dataset = read_dataset(config, base_directory)
    display.console.print(render(data_report(dataset)))
    run = build_run(config, dataset, display.say)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in config.training.loss_weights.model_dump().items())
    display.say(
        f"\n{config.family}: {run.potential.n_parameters} parameters, cutoff {run.potential.cutoff:g} Å, on "
        f"{run.device}. Loss weights: {weights}; energy x{config.training.late_energy_factor:g} from "
        f"{config.training.late_start:.0%} of the run on."
    )
    return run


def train(
    config: "RunConfig",
    config_path: Path,
    directory: "RunDirectory",
    is_restart: bool,
    force_resume: bool,
    display: "Display",
) -> int:
    """Train in an opened directory, write the results, print them."""
    from panna_plus.errors import NumericalError
    from panna_plus.training.checkpoint import restore
    from panna_plus.training.run import prepare, write_start

    run = started(config, config_path.parent, display)
    checkpoint = checkpoint_to_resume(run, directory, is_restart, force_resume, display)
    write_start(run, directory)
    start = time.monotonic()
    with display.counting_frames() as on_progress:
        prepared = prepare(run, on_progress)
    n_frames = sum(len(examples) for examples in prepared.examples.values())
    display.say(f"Prepared {n_frames} frames in {time.monotonic() - start:.0f} s.")
    if checkpoint is not None:
        restore(prepared.trainer, checkpoint)
        display.say(f"going on from {checkpoint.path} (epoch {prepared.trainer.position.epoch})")
    with StopRequest() as stop:
        try:
            fit(run, prepared, directory, stop, display)
        except NumericalError:
            # The weights are those before the bad step, and the best ones are untouched.
            if prepared.trainer.best is not None:
                finish(run, prepared, directory, display)
            raise
        finish(run, prepared, directory, display)
    if stop.signal_number is not None:
        display.say(f"Stopped early. Go on with: panna-plus train {config_path} --restart auto")
        return 128 + stop.signal_number
    return 0


def checkpoint_to_resume(run: "Run", directory: "RunDirectory", is_restart: bool, force: bool, display: "Display"):
    """Return the checkpoint to go on from, or None; say which damaged ones were passed over."""
    from panna_plus.training.checkpoint import check_identity, latest_checkpoint

    if not is_restart:
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoint = latest_checkpoint(directory.checkpoints)
    for warning in caught:
        display.warn(str(warning.message))
    if checkpoint is None:
        display.say("no checkpoint yet: starting from the beginning")
    elif not force:
        check_identity(checkpoint, run.identity)
    return checkpoint


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is only noted; a second one ends the process at once."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        self._previous = {n: signal.signal(n, self._note) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)
        print("\nstopping after this step; once more to stop at once", file=sys.stderr)


def fit(run: "Run", prepared: "Prepared", directory: "RunDirectory", stop: StopRequest, display: "Display") -> None:
    """Train until the end or a signal, with checkpoints on the way and one at the end."""
    from panna_plus.training.checkpoint import write_checkpoint
    from panna_plus.training.report import metrics_csv
    from panna_plus.training.run_directory import write_text

    trainer, identity = prepared.trainer, run.identity
    seconds_between = 60.0 * run.config.training.checkpoint_minutes
    last_checkpoint = time.monotonic()

    def on_step(_trainer) -> bool:
        nonlocal last_checkpoint
        live.step()
        if time.monotonic() - last_checkpoint > seconds_between:
            last_checkpoint = time.monotonic()
            try:
                write_checkpoint(directory.checkpoints, trainer, identity)
            except OSError as error:
                display.warn(f"no checkpoint could be written ({error}); the one before is kept, training goes on")
        return stop.signal_number is None

    def on_record(record) -> None:
        write_text(directory.metrics, metrics_csv(trainer.history))
        live.record(record)

    with display.training(trainer) as live:
        trainer.fit(on_step, on_record)
    write_checkpoint(directory.checkpoints, trainer, identity)
    if trainer.best is None:
        # After the checkpoint: going on from it must not know of this extra validation.
        trainer.validate()


def finish(run: "Run", prepared: "Prepared", directory: "RunDirectory", display: "Display") -> None:
    """Write all results and say where they are and what to do with them."""
    from panna_plus.commands.info import engine_rows
    from panna_plus.model_file import read_model
    from panna_plus.training.run import write_results

    with display.counting_frames() as on_progress:
        tables = write_results(run, prepared, directory, on_progress)
    display.say("")
    display.tables(tables)
    best = prepared.trainer.best
    if best is not None:
        display.say(f"Exported the averaged weights of epoch {best.epoch}, the best by validation.")
    for name, text in engine_rows(read_model(directory.model).card):
        display.say(f"{name}: {text}")
    display.say(next_steps(directory, run.potential.elements))


def next_steps(directory: "RunDirectory", elements: list[str]) -> str:
    """Return the commands that a user needs next."""
    model = directory.model
    return f"""Results in {directory.path}: model.pt, errors.md, metrics.csv, learning_curve.png, parity.png

Next:
  panna-plus info {model}
  panna-plus evaluate {model} frames.xyz -o predicted.xyz
  ASE:     from panna_plus import PannaPlusCalculator
           atoms.calc = PannaPlusCalculator("{model}")
  LAMMPS:  pair_style panna_plus
           pair_coeff * * {model} {" ".join(elements)}
"""


def dry_run(config: "RunConfig", base_directory: Path, display: "Display") -> int:
    """Take a few steps and say what the run will take; nothing is written."""
    from panna_plus.commands.display import duration
    from panna_plus.training.trial import trial

    run = started(config, base_directory, display)
    found = trial(run)
    display.say(
        f"\nDry run: {found.n_steps} steps of {1e3 * found.step_seconds:.1f} ms, "
        f"validation {found.validation_seconds:.1f} s each.\n"
        f"Preparing the frames takes about {duration(found.prepare_seconds)} and "
        f"{found.memory_bytes / 2**20:.0f} MiB; training about {duration(found.training_seconds)}.\n"
        f"Nothing was written; results would go to {base_directory / config.output}."
    )
    return 0
