"""Learning rate and loss weights as functions of the progress of a run, a number from 0 to 1."""

import math

from panna_plus.training.config import LossWeights, TrainingConfig


def learning_rate(config: TrainingConfig, progress: float, one_step: float) -> float:
    """Return the learning rate: a linear rise, then a cosine down to zero.

    Parameters
    ----------
    progress : float in [0, 1]
        Before the step.
    one_step : float
        Part of the run that one step is; keeps the first rate above zero.
    """
    rise = min(1.0, (progress + one_step) / (config.warmup + one_step))
    return config.learning_rate * rise * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def is_late(config: TrainingConfig, progress: float) -> bool:
    """Return whether energies count more."""
    return progress >= config.late_start


def early_weights(config: TrainingConfig) -> LossWeights:
    """Return the weights of the first part of a run."""
    return config.loss_weights


def late_weights(config: TrainingConfig) -> LossWeights:
    """Return the weights of the last part of a run; validation scores use them throughout, to stay comparable."""
    weights = config.loss_weights
    return weights.model_copy(update={"energy": weights.energy * config.late_energy_factor})


def loss_weights(config: TrainingConfig, progress: float) -> LossWeights:
    """Return the weights that count at `progress`."""
    return late_weights(config) if is_late(config, progress) else early_weights(config)
