"""The CUDA part as it was installed: loads without a driver, and what the engine says where it cannot be used."""

import ctypes
import shutil
import subprocess

import pytest

from panna_plus.native.cuda_building import LIBRARY_NAME
from panna_plus.native.library import library_path
from tests.native.model_files import mbp_arrays, random_model, write_model

CUDA_LIBRARY = library_path().with_name(LIBRARY_NAME)


class Options(ctypes.Structure):
    """PannaPlusOptions of csrc/c_api/panna_plus.h."""

    _fields_ = (
        ("precision", ctypes.c_int),
        ("kernels", ctypes.c_char_p),
        ("device", ctypes.c_char_p),
        ("long_range_cutoff", ctypes.c_double),
        ("dispersion_damping", ctypes.c_double),
    )


@pytest.fixture(scope="module")
def engine() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    library.panna_plus_last_error.restype = ctypes.c_char_p
    return library


def opened(engine: ctypes.CDLL, path, device: str) -> str:
    """Open a model on a device and return what went wrong, empty if nothing."""
    model = ctypes.c_void_p()
    options = Options(device=device.encode())
    paths = (ctypes.c_char_p * 1)(str(path).encode())
    status = engine.panna_plus_open(paths, 1, ctypes.byref(options), ctypes.byref(model))
    if status == 0:
        engine.panna_plus_close(model)
    return engine.panna_plus_last_error().decode() if status else ""


@pytest.mark.skipif(not CUDA_LIBRARY.exists(), reason="installed without CUDA (no nvcc)")
@pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf to look into the library with")
def test_library_needs_nothing_of_cuda():
    text = subprocess.run(["readelf", "-d", str(CUDA_LIBRARY)], capture_output=True, text=True, check=True).stdout
    assert "libstdc++" in text
    assert not [line for line in text.splitlines() if "NEEDED" in line and "cuda" in line]
    ctypes.CDLL(str(CUDA_LIBRARY))


def test_cpu_is_a_device_like_others(engine, model_path):
    assert opened(engine, model_path(), "cpu") == ""
    assert 'must be "cpu", "cuda"' in opened(engine, model_path(), "gpu")


def test_missing_devices_are_explained(engine, model_path):
    if engine.panna_plus_cuda_devices() > 0:
        pytest.skip("this machine has a CUDA device")
    reason = engine.panna_plus_last_error().decode()
    expected = "no CUDA device can be used" if CUDA_LIBRARY.exists() else "built without CUDA"
    assert expected in reason and "choose the device cpu" in reason
    assert opened(engine, model_path(), "cuda") == reason
    assert opened(engine, model_path(), "cuda:3") == reason


@pytest.mark.skipif(not CUDA_LIBRARY.exists(), reason="installed without CUDA (no nvcc)")
def test_models_with_a_repulsion_are_refused(engine, tmp_path):
    card, arrays = random_model(["Si"], mbp_arrays())
    card["family_parameters"]["terms"] = {"repulsion": True}
    refusal = opened(engine, write_model(tmp_path / "repelled.pt", card, arrays), "cuda")
    assert "has a repulsion" in refusal and "use device cpu, or backend torch" in refusal
