"""Splits and batches: complete, disjoint, in proportion, and a function of the seed."""

from collections import Counter

import numpy as np
import pytest

from panna_plus.data import batch_order, split_frames
from panna_plus.errors import ConfigError, DataError
from tests.data.labelled_structures import frame

TYPES = ["bulk"] * 60 + ["liquid"] * 30 + ["surface"] * 9 + ["dimer"]
FRAMES = [frame("Si", config_type=t) for t in TYPES]


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.25, 0.5, 0.9, 0.9999])
def test_split_is_complete_disjoint_and_of_the_right_size(fraction):
    kept, drawn = split_frames(FRAMES, fraction, seed=3)
    assert sorted([*kept, *drawn]) == list(range(100))
    assert len(drawn) == min(max(round(100 * fraction), 1), 99)


def test_split_takes_from_each_config_type_in_proportion():
    _, drawn = split_frames(FRAMES, 0.1, seed=3)
    assert Counter(TYPES[k] for k in drawn) == {"bulk": 6, "liquid": 3, "surface": 1}


def test_a_config_type_with_one_frame_stays_in_training():
    for seed in range(10):
        kept, _ = split_frames(FRAMES, 0.5, seed)
        assert {TYPES[k] for k in kept} == set(TYPES)


def test_same_seed_same_split_other_seed_other_split():
    first, again, other = (split_frames(FRAMES, 0.2, seed)[1] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_split_of_unlabelled_types_is_random_over_all():
    frames = [frame("Si") for _ in range(50)]
    _, drawn = split_frames(frames, 0.2, seed=1)
    assert len(drawn) == 10
    assert list(drawn) != list(range(10))


def test_one_frame_of_each_type_still_splits():
    frames = [frame("Si", config_type=str(k)) for k in range(4)]
    kept, drawn = split_frames(frames, 0.25, seed=0)
    assert (len(kept), len(drawn)) == (3, 1)


@pytest.mark.parametrize("n_frames", [0, 1])
def test_too_few_frames_are_refused(n_frames):
    with pytest.raises(DataError, match=f"{n_frames} structure.* cannot be split"):
        split_frames(FRAMES[:n_frames], 0.5, seed=0)


def test_batches_hold_every_frame_once():
    batches = batch_order(23, batch_size=5, seed=1, epoch=4)
    assert [len(b) for b in batches] == [5, 5, 5, 5, 3]
    assert sorted(np.concatenate(batches)) == list(range(23))


def test_batches_are_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return np.concatenate(batch_order(40, 4, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(s, e)) for s in range(3) for e in range(3)}) == 9


def test_batch_size_zero_is_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        batch_order(3, 0, 0, 0)
