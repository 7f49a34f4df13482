"""Settings of all tests, and where shared data lie."""

import os
from pathlib import Path

import pytest
import torch

# Asserts in shared test code explain themselves as those in test files do.
pytest.register_assert_rewrite(
    "tests.geometries",
    "tests.small_model",
    "tests.small_so3krates",
    "tests.potential_contract",
    "tests.potential_contract_physics",
    "tests.potential_contract_use",
)
# One thread: the same sums in every run, and several test processes share the machine.
torch.set_num_threads(1)

DATA = Path(os.environ.get("PANNA_PLUS_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def so3krates_path(tmp_path_factory):
    """Return a function that exports a small so3krates model of `tests.small_so3krates` (once) and returns its path."""
    from tests.small_so3krates import exported_so3krates

    folder = tmp_path_factory.mktemp("so3krates_models")

    def write(variant="all terms"):
        path = folder / f"{variant.replace(' ', '_')}.pt"
        return path if path.exists() else exported_so3krates(path, variant)

    return write


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the shared data sets; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no shared data at {DATA}: set PANNA_PLUS_DATA")
    return DATA


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder of numbers that other implementations computed."""
    folder = DATA.parent / "reference"
    if not folder.is_dir():
        pytest.skip(f"no reference numbers at {folder}: set PANNA_PLUS_DATA")
    return folder
