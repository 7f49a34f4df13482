"""The CUDA part as it was installed: loads without a driver, and what the engine says where it cannot be used."""

import ctypes
import shutil
import subprocess

import pytest

from panna_plus.native.cuda_building import LIBRARY_NAME
from panna_plus.native.library import library_path
from tests.native.c_interface import engine_library, opened_model
from tests.native.model_files import mbp_arrays, random_model, write_model

CUDA_LIBRARY = library_path().with_name(LIBRARY_NAME)


@pytest.fixture(scope="module")
def engine() -> ctypes.CDLL:
    return engine_library()


def refusal(engine: ctypes.CDLL, path, device: str) -> str:
    """Open a model on a device and return why that failed."""
    with pytest.raises(ValueError) as failure, opened_model(engine, path, device):
        pass
    return str(failure.value)


@pytest.mark.skipif(not CUDA_LIBRARY.exists(), reason="installed without CUDA (no nvcc)")
@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf to look into the library with")
def test_library_needs_nothing_of_cuda():
    text = subprocess.run(["readelf", "-d", str(CUDA_LIBRARY)], capture_output=True, text=True, check=True).stdout
    assert "libstdc++" in text
    assert not [line for line in text.splitlines() if "NEEDED" in line and "cuda" in line]
    ctypes.CDLL(str(CUDA_LIBRARY))


def test_cpu_is_a_device_like_others(engine, model_path):
    with opened_model(engine, model_path(), "cpu"):
        pass
    assert 'must be "cpu", "cuda"' in refusal(engine, model_path(), "gpu")


def test_missing_devices_are_explained(engine, model_path):
    if engine.panna_plus_cuda_devices() > 0:
        pytest.skip("this machine has a CUDA device")
    reason = engine.panna_plus_last_error().decode()
    expected = "no CUDA device can be used" if CUDA_LIBRARY.exists() else "built without CUDA"
    assert expected in reason and "choose the device cpu" in reason
    assert refusal(engine, model_path(), "cuda") == reason
    assert refusal(engine, model_path(), "cuda:3") == reason


@pytest.mark.skipif(not CUDA_LIBRARY.exists(), reason="installed without CUDA (no nvcc)")
def test_models_with_a_repulsion_are_refused(engine, tmp_path):
    card, arrays = random_model(["Si"], mbp_arrays())
    card["family_parameters"]["terms"] = {"repulsion": True}
    reason = refusal(engine, write_model(tmp_path / "repelled.pt", card, arrays), "cuda")
    assert "has a repulsion" in reason and "use device cpu, or backend torch" in reason
