"""Random splits that the seed determines and that keep every group of structures in proportion."""

from collections.abc import Sequence

import numpy as np

from panna_plus.data.frame import Frame
from panna_plus.errors import DataError, require


def split_frames(frames: Sequence[Frame], fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a fraction of the frames at random, from each config_type in proportion.

    Parameters
    ----------
    frames : sequence of Frame
    fraction : float
        Of all frames, between 0 and 1. At least one frame is drawn and one kept.
    seed : int
        The same frames, fraction and seed give the same split.

    Returns
    -------
    kept, drawn : (n_kept,), (n_drawn,) int64, ascending
        Positions in `frames`.

    Raises
    ------
    DataError
        If there are fewer than two frames.
    """
    n_frames = len(frames)
    require(
        n_frames >= 2,
        DataError,
        f"{n_frames} structure(s) cannot be split: give more structures, or separate files for "
        "data.validation and data.test",
    )
    n_drawn = min(max(round(fraction * n_frames), 1), n_frames - 1)
    rng = np.random.default_rng(seed)
    groups = [rng.permutation(members) for members in _members_by_config_type(frames)]
    quotas = _quotas([len(g) for g in groups], n_drawn)
    drawn = np.sort(np.concatenate([g[:quota] for g, quota in zip(groups, quotas, strict=True)]))
    return np.setdiff1d(np.arange(n_frames), drawn), drawn


def _members_by_config_type(frames: Sequence[Frame]) -> list[np.ndarray]:
    types = np.array([f.config_type for f in frames])
    return [np.flatnonzero(types == t) for t in np.unique(types)]


def _quotas(sizes: Sequence[int], n_drawn: int) -> np.ndarray:
    """Share `n_drawn` among groups in proportion to their sizes, by largest remainder.

    Groups of one are drawn from only when the others are used up: training should know every group.
    """
    exact = n_drawn * np.array(sizes) / sum(sizes)
    quotas = np.minimum(np.floor(exact).astype(int), sizes)
    for limit in (np.array(sizes) - 1, np.array(sizes)):
        while quotas.sum() < n_drawn and (quotas < limit).any():
            lack = np.where(quotas < limit, exact - quotas, -np.inf)
            quotas[np.argmax(lack)] += 1
    return quotas
