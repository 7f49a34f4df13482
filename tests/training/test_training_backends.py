"""Compiled operators and the PyTorch reference, with and without a cache, train alike."""

import numpy as np
import pytest
import torch

from panna_plus.errors import ConfigError, PannaPlusError
from panna_plus.families.panna import model, operators
from panna_plus.families.panna.operators import DescribedGraph
from panna_plus.potential import Potential
from panna_plus.training.backend import select_backend
from panna_plus.training.evaluation import evaluate_frames
from panna_plus.training.run import memory_of
from tests.training.small_runs import prepared_run

WAYS = [("native", True), ("native", False), ("torch", True), ("torch", False)]


def trained(data, backend: str, cache: bool, **options):
    """Take four epochs in float64, where ways differ by rounding alone."""
    run, prepared = prepared_run(data, backend=backend, cache=cache, epochs=4, **options)
    prepared.trainer.fit()
    return run, prepared


@pytest.fixture(scope="module")
def expected(data):
    """Weights after training by the reference without a cache."""
    run, prepared = trained(data, "torch", False)
    assert run.potential.backend == "torch"
    return run, prepared


@pytest.mark.parametrize(("backend", "cache"), WAYS[:-1])
def test_every_way_of_training_gives_the_same_weights(data, expected, backend, cache):
    run, _ = trained(data, backend, cache)
    assert run.potential.backend == backend
    start = prepared_run(data, backend="torch")[0].potential
    moved = distance(start, expected[0].potential)
    assert moved > 0.1
    # The cached Jacobian is float32.
    tolerance = 1e-2 if (backend, cache) == ("torch", True) else 1e-5
    assert distance(run.potential, expected[0].potential) < tolerance * moved


def distance(a: Potential, b: Potential) -> float:
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return float(sum((x - y).detach().double().square().sum() for x, y in pairs).sqrt())


def test_operators_and_reference_predict_the_same(data, expected):
    run, _ = expected
    potential = run.potential.double()
    by_backend = {}
    for backend in ("torch", "native"):
        potential.use_backend(backend)
        by_backend[backend] = evaluate_frames(potential, run.dataset.test)
    potential.float().use_backend("torch")
    for a, b in zip(*by_backend.values(), strict=True):
        assert np.sqrt(np.mean(a.forces**2)) > 0.1
        assert a.energy == pytest.approx(b.energy, abs=1e-10)
        assert np.abs(a.forces - b.forces).max() < 1e-10
        assert (a.stress is None) == (b.stress is None)
        if a.stress is not None:
            assert np.abs(a.stress - b.stress).max() < 1e-11


def test_the_cache_of_the_operators_holds_no_jacobian(data):
    sizes = {}
    for backend, cache in WAYS:
        _, prepared = prepared_run(data, backend=backend, cache=cache)
        sizes[backend, cache] = memory_of(prepared.examples["train"])
        assert isinstance(prepared.examples["train"][0].inputs, DescribedGraph) == (backend == "native" and cache)
    # These frames have a few neighbors per atom; in a crystal the Jacobian is ten times as large.
    assert sizes["native", False] == sizes["torch", False] < sizes["native", True] < 0.7 * sizes["torch", True]


def test_described_frames_join_like_frames(data):
    run, prepared = prepared_run(data, backend="native")
    inputs = [e.inputs for e in prepared.examples["train"][:5]]
    joined = run.potential.predict(DescribedGraph.concatenate(inputs))
    single = [run.potential.predict(i) for i in inputs]
    assert torch.allclose(joined.energies, torch.cat([s.energies for s in single]), atol=1e-4, rtol=0)
    assert torch.allclose(joined.forces, torch.cat([s.forces for s in single]), atol=1e-4, rtol=0)


def broken(_say) -> None:
    raise PannaPlusError("no compiler\nand more")


def test_auto_falls_back_to_the_reference_and_says_so_in_one_line(data, monkeypatch):
    run, _ = prepared_run(data, backend="torch")
    monkeypatch.setattr(model, "load_ops", broken)
    said: list[str] = []
    select_backend(run.potential, "auto", said.append)
    assert run.potential.backend == "torch"
    assert len(said) == 1 and "no compiler" in said[0] and "\n" not in said[0]


def test_what_is_asked_for_by_name_is_not_replaced(data, monkeypatch):
    run, _ = prepared_run(data, backend="torch")
    monkeypatch.setattr(model, "load_ops", broken)
    with pytest.raises(PannaPlusError, match="no compiler"):
        select_backend(run.potential, "native")
    with pytest.raises(ConfigError, match="native or torch, not by 'cuda'"):
        run.potential.use_backend("cuda")


def test_operators_refuse_a_potential_on_another_device(data):
    run, _ = prepared_run(data, backend="torch")
    with pytest.raises(PannaPlusError, match="run on the CPU and cuda, the potential is on meta"):
        run.potential.to("meta").use_backend("native")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_the_cuda_part_or_its_device_a_gpu_gets_the_reference_and_one_line_says_why(data, monkeypatch):
    """The potential is where a GPU would have it; the reason is the engine's."""
    monkeypatch.setattr(operators, "DEVICE_TYPES", ["meta"])
    run, _ = prepared_run(data, backend="torch")
    said: list[str] = []
    select_backend(run.potential.to("meta"), "auto", said.append)
    assert run.potential.backend == "torch" and len(said) == 1
    assert "PyTorch reference, which is slower" in said[0]
    assert "no CUDA device can be used" in said[0] or "built without CUDA" in said[0]
    with pytest.raises(PannaPlusError, match="choose the device cpu"):
        select_backend(run.potential, "native")
