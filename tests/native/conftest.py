"""Models of the engine's tests."""

import shutil

import pytest

from panna_plus.native import is_built
from tests.native.compiled import compile_ahead
from tests.native.model_files import bp_arrays, mbp_arrays, random_model, write_model
from tests.native.systems import ELEMENTS

DESCRIPTORS = {
    "mbp": mbp_arrays((5.0, 0.5, 16, 8.0), (4.5, 0.5, 6, 4.0), 8, 32.0),
    "mbp_real_zeta": mbp_arrays(n_theta=5, zeta=9.5),
    "mbp_longer_angles": mbp_arrays((3.1, 0.5, 8, 8.0), (4.6, 0.5, 4, 6.0)),
    "mbp_cusp": mbp_arrays(epsilon=0.0),
    "mbp_wide": mbp_arrays((4.5, 0.5, 3, 0.2), (4.0, 0.5, 2, 0.1), 2, 1.0),
    "bp": bp_arrays(),
}


def pytest_collection_modifyitems(items):
    if not is_built():
        skip = pytest.mark.skip(reason="the native engine was not built (no C++ compiler at installation)")
        for item in items:
            if "tests/native" in str(item.path):
                item.add_marker(skip)


def pytest_collection_finish(session):
    """Begin to compile what tests of C++ need if some of them will run."""
    wanted = {"test_cpp.py", "test_cuda_emulated.py", "test_torch_ops_emulated.py"} & {
        item.path.name for item in session.items
    }
    if wanted and shutil.which("g++") and not session.config.option.collectonly:
        compile_ahead(session.config)


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    """Return a function that writes a random model (once) and returns its path."""
    folder = tmp_path_factory.mktemp("native_models")

    def write(descriptor="mbp", activation="silu", dtype="float64", lone_atom="reference"):
        path = folder / f"{descriptor}-{activation}-{dtype}-{lone_atom}.pt"
        if not path.exists():
            arrays = DESCRIPTORS[descriptor]
            write_model(path, *random_model(ELEMENTS, arrays, (13, 7), activation, dtype, lone_atom))
        return path

    return write
