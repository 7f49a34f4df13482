"""Order of mini-batches: a function of seed and epoch alone, so that a restart repeats it exactly."""

import numpy as np

from panna_plus.errors import ConfigError, require


def batch_order(n_frames: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Shuffle frames into batches.

    Parameters
    ----------
    n_frames, batch_size : int
        The last batch is smaller where the division leaves a remainder; every frame occurs exactly once.
    seed, epoch : int
        Not negative.

    Returns
    -------
    list of (batch_size,) int64
    """
    require(batch_size >= 1, ConfigError, f"the batch size must be at least 1, found {batch_size}")
    order = np.random.default_rng([seed, epoch]).permutation(n_frames)
    return [order[start : start + batch_size] for start in range(0, n_frames, batch_size)]
