"""What a training shows: a live line with rich on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from panna_plus.training.loop import Record, Trainer
from panna_plus.training.metrics import QUANTITIES, UNITS, shown, table_rows
from panna_plus.training.report import quantities_in

PLAIN_WIDTH = 110
REFRESH_SECONDS = 0.2
# A log has about this many lines, however long the training.
N_LINES = 40


class Display:
    """Messages of a command on standard output."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        self.console = Console(width=None if is_terminal else PLAIN_WIDTH, highlight=False, soft_wrap=not is_terminal)
        self.is_live = self.console.is_terminal

    def say(self, text: str) -> None:
        """Print a line as it is."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", markup=False, style="yellow")

    @contextmanager
    def counting_frames(self) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
        """Give a callback per split that shows how many of its frames are done."""
        columns = (TextColumn("{task.description} frames"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, disable=not self.is_live, transient=True) as bars:

            def of_split(split: str) -> Callable[[int, int], None]:
                task = bars.add_task(split, total=None)
                return lambda done, total: bars.update(task, completed=done, total=total)

            yield of_split

    @contextmanager
    def training(self, trainer: Trainer) -> Iterator["TrainingDisplay"]:
        """Show a training while it runs."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
        with Progress(*columns, console=self.console, disable=not self.is_live, transient=True) as bars:
            yield TrainingDisplay(self, bars, trainer)

    def tables(self, tables: Mapping[str, dict[str, Any]]) -> None:
        """Print the error tables of all splits."""
        quantities = quantities_in(dict(tables))
        for split, table in tables.items():
            self.console.print(error_table(f"Errors, {split}", table_rows(table, quantities), quantities))
            self.console.print()


def error_table(title: str, rows: Sequence[Sequence[str]], quantities: Sequence[str]) -> Table:
    """Return a table that fits 80 columns: quantity and unit stand above the first of its three numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    table.add_column("\n\nframes", justify="right", no_wrap=True)
    for quantity in quantities:
        table.add_column(f"{quantity}\n{UNITS[quantity]}\nMAE", justify="right", no_wrap=True)
        for name in ("RMSE", "max"):
            table.add_column(f"\n\n{name}", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


class TrainingDisplay:
    """The live line of a training and the lines that stay."""

    def __init__(self, display: Display, bars: Progress, trainer: Trainer):
        self.display = display
        self.bars = bars
        self.task = bars.add_task("training", total=1.0, state="")
        self.start = time.monotonic()
        self.start_progress = trainer.progress
        self.last_refresh = 0.0
        self.last_line = -1.0
        self.trainer = trainer

    def step(self) -> None:
        """Refresh the live line now and then."""
        now = time.monotonic()
        if not self.display.is_live or now - self.last_refresh < REFRESH_SECONDS:
            return
        self.last_refresh = now
        trainer = self.trainer
        epoch = f"epoch {trainer.position.epoch}/{trainer.config.epochs}"
        self.bars.update(self.task, description=epoch, completed=trainer.progress, state=self._state(now))

    def _state(self, now: float) -> str:
        done = self.trainer.progress - self.start_progress
        left = (now - self.start) * (1.0 - self.trainer.progress) / done if done > 0 else 0.0
        errors = record_line(self.trainer.history[-1]) if self.trainer.history else ""
        return f"{duration(left)} left  {errors}"

    def record(self, record: Record) -> None:
        """Print a line for a validation if the last one is long enough ago."""
        progress = self.trainer.progress
        if progress < 1.0 and progress - self.last_line < 1.0 / N_LINES:
            return
        self.last_line = progress
        mark = " *" if record["is_best"] else ""
        total = self.trainer.config.epochs
        minutes = duration(60.0 * float(record["minutes"] or 0.0))
        self.display.say(f"epoch {record['epoch']:>5}/{total} {minutes:>8}  {record_line(record)}{mark}")


def record_line(record: Record) -> str:
    """Return the validation errors of a record in words."""
    parts = []
    for quantity in QUANTITIES:
        value = record[f"validation_{quantity}_mae"]
        if value is not None:
            parts.append(f"{quantity} {shown(value)} {UNITS[quantity]}")
    return "validation MAE: " + ", ".join(parts) if parts else "no validation labels"


def duration(seconds: float) -> str:
    """Return a time in the units that suit it."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
