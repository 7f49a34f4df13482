"""The example of the Green-Kubo formula: its integral on a series whose integral is known, and its deck."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from tests.lammps.deck import BIN, finish

pytestmark = pytest.mark.lammps

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/thermal_conductivity"


@pytest.fixture(scope="module")
def example() -> dict[str, object]:
    return runpy.run_path(str(EXAMPLE / "conductivity.py"))


def remembering(n: int, decay: float, size: float) -> np.ndarray:
    """Three series with <J(0) J(k)> = size² decay^k."""
    noise = np.random.default_rng(4).normal(size=(n, 3)) * size * np.sqrt(1 - decay**2)
    series = np.empty((n, 3))
    value = np.zeros(3)
    for k in range(n):
        value = decay * value + noise[k]
        series[k] = value
    return series


def test_integral_of_a_known_correlation(example: dict[str, object]) -> None:
    """An exponential of 0.05 ps: the integral is size² times that, in the units of the formula."""
    interval, time, size = 0.004, 0.05, 80.0
    flux = remembering(200_000, float(np.exp(-interval / time)), size)
    run = example["Sampled"](interval, flux, 1000.0, 4000.0, 216)  # type: ignore[operator]
    lags, values, integral = example["running_conductivity"](run, 0.6)  # type: ignore[operator]
    assert lags[-1] == pytest.approx(0.6)
    assert values[0] == pytest.approx(size**2, rel=0.05)
    # eV² Å² / ps² · ps / (eV / K · K² · Å³), and 1 eV / (Å ps K) = 1.602e-19 J / (1e-10 m 1e-12 s K)
    expected = size**2 * time / (8.617333262e-5 * 1000.0**2 * 4000.0) * 1602.176634
    assert integral[-1] == pytest.approx(expected, rel=0.1)


def test_deck_and_files_fit(example: dict[str, object], model_path: str, folder: Path) -> None:
    settings = {"model": model_path, "cells": 2, "warm": 5, "steps": 40, "name": "short"}
    words = [word for name, value in settings.items() for word in ("-var", name, str(value))]
    outcome = finish([str(BIN / "lmp"), "-in", str(EXAMPLE / "flux.in"), *words], folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    run = example["read"](folder / "short")  # type: ignore[operator]
    assert run.flux.shape == (11, 3)
    assert run.interval == pytest.approx(0.004)
    assert run.n_atoms == 64
    assert run.volume == pytest.approx((2 * 5.47) ** 3)
    assert 100 < run.temperature < 4000
    assert abs(run.flux).max() > 1.0


def test_a_window_longer_than_the_runs_is_refused(example: dict[str, object]) -> None:
    run = example["Sampled"](0.004, np.ones((100, 3)), 1000.0, 4000.0, 216)  # type: ignore[operator]
    with pytest.raises(SystemExit, match="give more --steps"):
        example["running_conductivity"](run, 0.3)  # type: ignore[operator]
