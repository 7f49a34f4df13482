"""The training loop; it knows potentials only through their base class."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from panna_plus.data.batches import batch_order
from panna_plus.errors import NumericalError
from panna_plus.potential import Potential
from panna_plus.training.average import WeightAverage
from panna_plus.training.config import TrainingConfig
from panna_plus.training.examples import Example, atoms_per_batch, batches_by_atoms
from panna_plus.training.loss import errors_of, mean_squares, weighted_sum
from panna_plus.training.metrics import FACTORS, QUANTITIES, ErrorSums
from panna_plus.training.schedule import is_late, late_weights, learning_rate, loss_weights

_COMPONENTS = [0, 4, 8, 5, 2, 1]
# A later validation counts as the best unless its score is this much above the lowest: a few validation frames cannot
# rank what differs by less, and the weights of a decayed learning rate are the better ones.
SCORE_TOLERANCE = 0.05

Record = dict[str, float | int | None]


@dataclass
class Position:
    """Where a run stands; all that the order of frames and the schedule depend on."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    is_done: bool = False


@dataclass
class Best:
    """The averaged weights that are exported.

    Attributes
    ----------
    score : float
        The lowest validation score so far; weights within `SCORE_TOLERANCE` of it take the place of earlier ones.
    is_late : bool
        Whether energies counted more by then; weights of before are no candidates any more.
    """

    score: float
    epoch: int
    state: dict[str, Tensor]
    is_late: bool


@dataclass
class SquareSums:
    """Sums of squared training errors since the last validation, by quantity, and the numbers of values."""

    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])

    def rmse(self, quantity: str) -> float | None:
        """Return the root mean square in the units of the metrics, None without values."""
        k = QUANTITIES.index(quantity)
        return FACTORS[quantity] * math.sqrt(self.sums[k] / self.counts[k]) if self.counts[k] else None


class Trainer:
    """Optimises a potential.

    Parameters
    ----------
    potential : Potential
        On the device of the examples. Its weights change.
    train, validation : sequence of Example
        One frame each.
    names : sequence of str
        Of the training frames, for messages.
    config : TrainingConfig
    seed : int
        Of the order of the frames.
    """

    def __init__(
        self,
        potential: Potential,
        train: Sequence[Example],
        validation: Sequence[Example],
        names: Sequence[str],
        config: TrainingConfig,
        seed: int,
    ):
        self.potential = potential
        self.train = train
        self.validation = batches_by_atoms(validation, atoms_per_batch(potential.reference_energies.device))
        self.names = names
        self.config = config
        self.seed = seed
        self.parameters = list(potential.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.averaged = WeightAverage(potential, config.ema_decay)
        self.batches_per_epoch = math.ceil(len(train) / config.batch_size)
        self.n_steps = self.batches_per_epoch * config.epochs
        self.position = Position()
        self.training_errors = SquareSums()
        self.best: Best | None = None
        self.history: list[Record] = []

    @property
    def progress(self) -> float:
        """The part of the run that is done, by epochs or by time, whichever is further."""
        by_steps = self.position.step / self.n_steps
        if self.config.max_minutes is None:
            return by_steps
        return min(1.0, max(by_steps, self.position.seconds / (60.0 * self.config.max_minutes)))

    @property
    def has_run_out(self) -> bool:
        """Whether no step is left, by epochs or by time."""
        return self.progress >= 1.0

    def fit(
        self,
        on_step: Callable[["Trainer"], bool] = lambda _: True,
        on_record: Callable[[Record], None] = lambda _: None,
    ) -> bool:
        """Train from the present position to the end.

        Parameters
        ----------
        on_step : callable (trainer) -> bool
            Called after every step; False ends the training there, ready to go on later.
        on_record : callable (record)
            Called after every validation.

        Returns
        -------
        bool
            Whether the end was reached.

        Raises
        ------
        NumericalError
            If the loss or its gradient is not finite; the weights are those before the step.
        """
        while not self.position.is_done:
            batches = batch_order(len(self.train), self.config.batch_size, self.seed, self.position.epoch)
            while self.position.batch < len(batches) and not self.has_run_out:
                start = time.monotonic()
                self.step(batches[self.position.batch])
                self.position.seconds += time.monotonic() - start
                if not on_step(self):
                    return False
            if self.position.batch == len(batches):
                self.position.epoch, self.position.batch = self.position.epoch + 1, 0
            if self.has_run_out or self.position.epoch % self.config.validation_interval == 0:
                start = time.monotonic()
                record = self.validate()
                self.position.seconds += time.monotonic() - start
                self.position.is_done = self.has_run_out
                on_record(record)
        return True

    def step(self, frames: Iterable[int]) -> None:
        """Change the weights by one mini-batch."""
        progress = self.progress
        batch = Example.concatenate([self.train[k] for k in frames])
        weights = loss_weights(self.config, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, progress, 1.0 / self.n_steps)
        prediction = self.potential.predict(batch.inputs, create_graph=True)
        terms = mean_squares(errors_of(prediction, batch.labels, needs_stress=weights.stress > 0.0))
        loss = weighted_sum(terms, weights)
        if isinstance(loss, Tensor):
            self.optimizer.zero_grad(set_to_none=True)
            # The displacements also require gradients, which nobody reads.
            loss.backward(inputs=self.parameters)
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip, foreach=True)
            self._count(terms, norm, batch, frames)
            self.optimizer.step()
            self.averaged.update()
        self.position.batch += 1
        self.position.step += 1

    def _count(self, terms: Sequence[Tensor | None], norm: Tensor, batch: Example, frames: Iterable[int]) -> None:
        """Add the terms to the running errors; stop before the optimizer if anything is not finite."""
        present = {k: t.detach() for k, t in enumerate(terms) if t is not None}
        # One transfer from the device for all numbers.
        *values, norm_value = torch.stack([*present.values(), norm.to(torch.float64)]).tolist()
        if not math.isfinite(sum(values) + norm_value):
            raise NumericalError(
                f"step {self.position.step} (epoch {self.position.epoch}): the loss or its gradient is not finite. "
                f"Frames of this step: {', '.join(self.names[k] for k in frames)}. Check their labels and shortest "
                "distances, or lower training.learning_rate"
            )
        counts = (batch.labels.n_energies, 3 * batch.labels.n_forces, 9 * batch.labels.n_stresses)
        for k, value in zip(present, values, strict=True):
            self.training_errors.sums[k] += value * counts[k]
            self.training_errors.counts[k] += counts[k]

    def validate(self) -> Record:
        """Evaluate the averaged weights, keep them if they are as good as the best so far, and return the record."""
        errors, score = self.validation_errors()
        late = is_late(self.config, self.progress - 1.0 / self.n_steps)  # when the last step was taken
        rival = self.best if self.best is None or self.best.is_late == late else None
        is_best = math.isfinite(score) and (rival is None or score <= (1.0 + SCORE_TOLERANCE) * rival.score)
        if is_best:
            state = {name: value.detach().clone() for name, value in self.averaged.potential.state_dict().items()}
            lowest = score if rival is None else min(score, rival.score)
            self.best = Best(lowest, self.position.epoch, state, late)
        record = self._record(errors, score, is_best)
        self.history.append(record)
        self.training_errors = SquareSums()
        return record

    def validation_errors(self) -> tuple[dict[str, ErrorSums], float]:
        """Return the errors of the averaged weights by quantity and their score, the loss with its late weights."""
        sums = {quantity: ErrorSums() for quantity in QUANTITIES}
        squares = SquareSums()
        for batch in self.validation:
            errors = errors_of(self.averaged.potential.predict(batch.inputs), batch.labels)
            for k, quantity in enumerate(QUANTITIES):
                values = getattr(errors, quantity)
                if values is None:
                    continue
                squares.sums[k] += float(values.square().sum())
                squares.counts[k] += values.numel()
                unique = values.flatten(1)[:, _COMPONENTS] if quantity == "stress" else values
                sums[quantity].add(FACTORS[quantity] * unique.cpu().numpy())
        means = [s / n if n else None for s, n in zip(squares.sums, squares.counts, strict=True)]
        has_score = any(n > 0 for n in squares.counts)
        return sums, float(weighted_sum(means, late_weights(self.config))) if has_score else math.nan

    def _record(self, errors: dict[str, ErrorSums], score: float, is_best: bool) -> Record:
        record: Record = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "minutes": self.position.seconds / 60.0,
            "learning_rate": learning_rate(self.config, self.progress, 1.0 / self.n_steps),
        }
        for quantity in QUANTITIES:
            has_labels = errors[quantity].count > 0
            record[f"train_{quantity}_rmse"] = self.training_errors.rmse(quantity)
            record[f"validation_{quantity}_rmse"] = errors[quantity].rmse if has_labels else None
            record[f"validation_{quantity}_mae"] = errors[quantity].mae if has_labels else None
        return {**record, "score": score, "is_best": int(is_best)}

    def best_potential(self) -> Potential:
        """Return a copy of the potential with the best averaged weights; with the latest before any validation."""
        potential = copy.deepcopy(self.averaged.potential)
        if self.best is not None:
            potential.load_state_dict(self.best.state)
        return potential
