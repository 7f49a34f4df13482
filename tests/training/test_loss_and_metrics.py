"""Loss, masks and error tables against numbers worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.conventions import GPA_PER_EV_PER_CUBIC_ANGSTROM
from panna_plus.data.frame import Frame
from panna_plus.potential import Prediction
from panna_plus.training.config import LossWeights, TrainingConfig
from panna_plus.training.loss import Labels, errors_of, labels_of, mean_squares, weighted_sum
from panna_plus.training.metrics import FrameResult, error_table, shown
from panna_plus.training.schedule import late_weights, learning_rate, loss_weights


def frame(symbols, energy=None, forces=None, stress=None, config_type=""):
    n = len(Atoms(symbols))
    atoms = Atoms(symbols, positions=np.arange(3 * n).reshape(n, 3))
    return Frame(atoms, energy, forces, stress, "made", config_type)


def prediction_of(energies, forces, stress):
    tensors = [torch.tensor(np.array(a), dtype=torch.float64) for a in (energies, forces, stress)]
    return Prediction(tensors[0], torch.zeros(len(tensors[1]), dtype=torch.float64), tensors[1], tensors[2])


def test_loss_of_two_frames_by_hand():
    parts = [
        frame("H2", energy=1.0, forces=np.zeros((2, 3)), stress=np.zeros((3, 3))),
        frame("H", energy=2.0, forces=np.ones((1, 3)), stress=np.eye(3)),
    ]
    labels = Labels.concatenate([labels_of(f) for f in parts])
    prediction = prediction_of([1.4, 2.5], [[1, 0, 0], [0, 0, 0], [1, 1, 3]], [np.zeros((3, 3)), np.zeros((3, 3))])
    terms = mean_squares(errors_of(prediction, labels))
    # Energies: 0.4 / 2 atoms and 0.5 / 1 atom; forces: 1 and 2 among 9; stress: three ones among 18.
    assert [float(t) for t in terms] == pytest.approx([(0.04 + 0.25) / 2, 5 / 9, 3 / 18])
    loss = weighted_sum(terms, LossWeights(energy=2.0, forces=3.0, stress=6.0))
    assert float(loss) == pytest.approx(0.29 + 5 / 3 + 1.0)


def test_missing_labels_do_not_count_nor_pass_a_gradient():
    parts = [frame("H2", forces=np.zeros((2, 3))), frame("H", energy=2.0), frame("H")]
    labels = Labels.concatenate([labels_of(f) for f in parts])
    assert (labels.n_energies, labels.n_forces, labels.n_stresses) == (1, 2, 0)
    prediction = prediction_of([5.0, 2.5, np.nan], [[1.0, 0, 0]] * 2 + [[np.nan] * 3] * 2, np.full((3, 3, 3), np.nan))
    prediction.forces.requires_grad_(True)
    errors = errors_of(prediction, labels)
    assert errors.stress is None
    loss = weighted_sum(mean_squares(errors), LossWeights())
    assert loss.item() == pytest.approx(0.25 + 1 / 3)
    loss.backward()
    assert torch.equal(prediction.forces.grad[2:], torch.zeros(2, 3, dtype=torch.float64))


def test_error_table_by_hand():
    results = [
        FrameResult(
            frame("HO", energy=0.0, forces=np.zeros((2, 3)), config_type="a"), 0.002, np.eye(3)[:2] * 0.1, None
        ),
        FrameResult(
            frame("O2", energy=0.0, forces=np.zeros((2, 3)), stress=np.zeros((3, 3)), config_type="b"),
            -0.006,
            np.zeros((2, 3)),
            np.eye(3) * 0.01,
        ),
    ]
    table = error_table(results).as_dict()
    assert table["all"]["energy"] == pytest.approx({"mae": 2.0, "rmse": np.sqrt(5), "max": 3.0, "count": 2})
    assert table["all"]["forces"] == pytest.approx(
        {"mae": 200 / 12, "rmse": np.sqrt(20000 / 12), "max": 100.0, "count": 12}
    )
    gigapascal = 0.01 * GPA_PER_EV_PER_CUBIC_ANGSTROM
    assert table["all"]["stress"]["mae"] == pytest.approx(gigapascal / 2)
    assert table["config_types"]["a"]["energy"]["mae"] == pytest.approx(1.0)
    assert "stress" not in table["config_types"]["a"]
    assert table["elements"]["H"]["forces"]["mae"] == pytest.approx(100 / 3)
    assert table["elements"]["O"]["forces"]["count"] == 9


def test_a_nan_prediction_shows_in_the_table():
    result = FrameResult(frame("H", energy=0.0), float("nan"), np.zeros((1, 3)), None)
    assert np.isnan(error_table([result]).as_dict()["all"]["energy"]["max"])


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1234.5, "1234"), (12.34, "12.3"), (0.01234, "0.0123"), (1e-7, "1.00e-07")]
)
def test_numbers_are_shown_with_three_digits(value, text):
    assert shown(value) == text


def test_schedule_rises_then_falls_to_zero_and_late_weights_come_last():
    config = TrainingConfig(learning_rate=1.0, warmup=0.1, late_start=0.5, late_energy_factor=10.0)
    rates = [learning_rate(config, p, 0.001) for p in np.linspace(0.0, 1.0, 101)]
    assert 0.0 < rates[0] < 0.02
    assert np.argmax(rates) in (10, 11)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)
    assert all(a > b for a, b in pairwise(rates[11:]))
    assert loss_weights(config, 0.499) == config.loss_weights
    assert loss_weights(config, 0.5) == late_weights(config)
    assert late_weights(config).energy == 10.0 * config.loss_weights.energy
