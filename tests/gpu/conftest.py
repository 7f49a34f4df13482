"""Tests that need a CUDA device: all skipped where there is none, with the reason.

They need torch, numpy, ase, pydantic and pytest, and the natives built; those of the training also what it imports.
"""

import importlib.util

import pytest
import torch

from panna_plus import neighbors
from tests.gpu import devices
from tests.gpu.pairs import listed_pairs


@pytest.fixture(scope="session", autouse=True)
def pairs_without_vesin():
    """GPU machines may lack vesin, which lists pairs for the package."""
    if importlib.util.find_spec("vesin") is None:
        neighbors.vesin_pairs = listed_pairs


@pytest.fixture(scope="session")
def device() -> torch.device:
    reason = devices.missing()
    if reason:
        pytest.skip(reason)
    return devices.device()
