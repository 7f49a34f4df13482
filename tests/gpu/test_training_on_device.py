"""Training on a CUDA device: the compiled operators are chosen, and take the step of the PyTorch reference."""

import gc

import numpy as np
import pytest
import torch

from tests.gpu import devices

pytest.importorskip("matplotlib", reason="training needs matplotlib")
pytest.importorskip("rich", reason="training needs rich")
pytest.importorskip("safetensors", reason="training needs safetensors")

from panna_plus.training import run as training
from panna_plus.training.config import parse_run_config
from panna_plus.training.evaluation import evaluate_frames
from tests.training.small_runs import content, write_data

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_elements")
    write_data(folder, n=8)
    return folder


@pytest.fixture
def prepared(device, data, monkeypatch):
    """Return a function that prepares a run on the device, and what it said."""
    monkeypatch.setattr(training, "resolved_device", lambda _name: device)

    def make(backend: str, dtype: str = "float64", **options):
        options = content(data, backend=backend, epochs=2, **options)
        options["model"]["dtype"] = dtype
        config = parse_run_config(options, "test")
        said: list[str] = []
        run = training.build_run(config, training.read_dataset(config, data), said.append)
        return run, training.prepare(run), said

    return make


def step_gradients(prepared) -> torch.Tensor:
    prepared.trainer.step([0, 1, 3, 5])
    return torch.cat([p.grad.detach().cpu().double().flatten() for p in prepared.trainer.parameters])


def test_auto_takes_the_compiled_operators_and_says_nothing(prepared):
    run, _, said = prepared("auto")
    assert run.potential.backend == "native" and said == []


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
def test_one_step_is_that_of_the_reference(prepared, dtype, tolerance, cache):
    by_operators = step_gradients(prepared("native", dtype, cache=cache)[1])
    by_reference = step_gradients(prepared("torch", dtype, cache=False)[1])
    scale = by_reference.abs().max()
    assert scale > 0.1
    assert (by_operators - by_reference).abs().max() < tolerance * scale


def test_float32_weights_take_float32_forces(prepared):
    for dtype, precision in (("float32", "mixed"), ("float64", "double")):
        assert prepared("native", dtype)[0].potential.jacobian_precision() == precision


def test_a_short_training_ends_with_what_evaluates_on_the_cpu(prepared, device):
    run, ready, _ = prepared("native", "float32")
    assert ready.trainer.fit()
    potential = ready.trainer.best_potential()
    on_device = evaluate_frames(potential, run.dataset.test, device)
    potential.to("cpu")
    for a, b in zip(on_device, evaluate_frames(potential, run.dataset.test), strict=True):
        assert np.sqrt(np.mean(b.forces**2)) > 0.01
        assert np.abs(a.forces - b.forces).max() < 1e-4


def test_memory_is_released(prepared):
    def trained() -> None:
        step_gradients(prepared("native")[1])

    trained()
    gc.collect()
    devices.synchronize()
    before = devices.allocated()
    trained()
    gc.collect()
    devices.synchronize()
    assert devices.allocated() <= before
