"""Find and load the compiled engine; its interface is csrc/c_api/panna_plus.h, its Python side csrc/python."""

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from panna_plus.errors import PannaPlusError, require
from panna_plus.native.building import ENGINE_NAME

MODULE_NAME = "panna_plus.native._engine"


def library_path() -> Path:
    """Return where the shared library of this installation lies, whether it exists or not."""
    return Path(__file__).with_name(ENGINE_NAME)


def is_built() -> bool:
    """Tell whether this installation has the engine and its Python module."""
    return library_path().is_file() and importlib.util.find_spec(MODULE_NAME) is not None


@cache
def load_module() -> ModuleType:
    """Load the engine.

    Raises
    ------
    PannaPlusError
        If it was not built, cannot be loaded or belongs to another version of the package.
    """
    require(
        is_built(),
        PannaPlusError,
        f"the native engine was not built: expected '{library_path()}' and {MODULE_NAME} for this Python; install with "
        "a C++ compiler (g++) at hand, `pip install --force-reinstall --no-deps panna_plus`, or "
        "`python setup.py build_ext --inplace` in a checkout",
    )
    try:
        return importlib.import_module(MODULE_NAME)
    except ImportError as error:
        raise PannaPlusError(f"the native engine cannot be loaded: {error}; build it again on this machine") from error
