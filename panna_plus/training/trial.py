"""A few steps on a few frames: proves that a run works, and says what it will take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from panna_plus.data.frame import Frame
from panna_plus.training.examples import prepare_examples
from panna_plus.training.loop import Trainer
from panna_plus.training.run import Run, memory_of

N_FRAMES = 8
N_STEPS = 5


@dataclass(frozen=True)
class Trial:
    """What a trial found, extrapolated to the whole run.

    Attributes
    ----------
    prepare_seconds, step_seconds, validation_seconds : float
        For all frames; for one step; for one validation.
    memory_bytes : int
        Of the prepared training and validation frames.
    training_seconds : float
        All steps and validations, or `max_minutes` if that is less.
    """

    n_steps: int
    prepare_seconds: float
    step_seconds: float
    validation_seconds: float
    memory_bytes: int
    training_seconds: float


def trial(run: Run) -> Trial:
    """Prepare some frames and take some steps; the potential is used up by it."""
    train = spread(run.dataset.train, max(N_FRAMES, run.config.training.batch_size))
    prepare_examples(run.potential, train[:1], run.device)  # the first call is slower
    start = time.monotonic()
    examples = prepare_examples(run.potential, train, run.device, use_cache=run.config.training.cache)
    prepare_seconds = time.monotonic() - start
    run.potential.initialize([e.inputs for e in examples])
    trainer = Trainer(
        run.potential, examples, examples, [f.source for f in train], run.config.training, run.config.seed
    )
    step_seconds = timed_steps(trainer)
    start = time.monotonic()
    trainer.validate()
    seconds_per_atom = (time.monotonic() - start) / n_atoms_of(train)
    return extrapolated(run, train, prepare_seconds, step_seconds, seconds_per_atom, memory_of(examples))


def timed_steps(trainer: Trainer) -> float:
    """Return the seconds of one step; the first, which is slower, does not count."""
    frames = [n % len(trainer.train) for n in range(trainer.config.batch_size)]
    trainer.step(frames)
    start = time.monotonic()
    for _ in range(N_STEPS):
        trainer.step(frames)
    return (time.monotonic() - start) / N_STEPS


def extrapolated(
    run: Run,
    train: Sequence[Frame],
    prepare_seconds: float,
    step_seconds: float,
    seconds_per_atom: float,
    memory_bytes: int,
) -> Trial:
    """Scale what was measured on some frames to all of them, by the number of atoms."""
    dataset, settings = run.dataset, run.config.training
    scale = (n_atoms_of(dataset.train) + n_atoms_of(dataset.validation)) / n_atoms_of(train)
    n_steps = settings.epochs * -(-len(dataset.train) // settings.batch_size)
    validation_seconds = seconds_per_atom * n_atoms_of(dataset.validation)
    total = n_steps * step_seconds + settings.epochs / settings.validation_interval * validation_seconds
    return Trial(
        n_steps=n_steps,
        prepare_seconds=prepare_seconds * scale,
        step_seconds=step_seconds,
        validation_seconds=validation_seconds,
        memory_bytes=round(memory_bytes * scale),
        training_seconds=total if settings.max_minutes is None else min(total, 60.0 * settings.max_minutes),
    )


def spread(frames: Sequence[Frame], n: int) -> list[Frame]:
    """Return at most `n` frames, evenly spread over the list."""
    n = min(n, len(frames))
    return [frames[k * len(frames) // n] for k in range(n)]


def n_atoms_of(frames: Sequence[Frame]) -> int:
    """Return the number of atoms of all frames."""
    return sum(len(f) for f in frames)
