"""The small model and its calculator, for all tests of the calculator."""

import pytest

from panna_plus import PannaPlusCalculator
from tests.small_model import exported_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Path of the small model, exported."""
    return exported_small_model(tmp_path_factory.mktemp("model") / "model.pt")


@pytest.fixture(params=["native", "torch"])
def backend(request):
    """Everything holds on the native engine and on PyTorch."""
    return request.param


@pytest.fixture
def calculator(model, backend):
    return PannaPlusCalculator(model, device="cpu", backend=backend)
