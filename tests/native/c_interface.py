"""The C interface of the engine without the Python binding: libraries, structs and models."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from panna_plus.native.library import library_path


class Options(ctypes.Structure):
    """PannaPlusOptions of csrc/c_api/panna_plus.h."""

    _fields_ = (
        ("precision", ctypes.c_int),
        ("kernels", ctypes.c_char_p),
        ("device", ctypes.c_char_p),
        ("long_range_cutoff", ctypes.c_double),
        ("dispersion_damping", ctypes.c_double),
    )


class Neighborhood(ctypes.Structure):
    """PannaPlusNeighborhood, with room for what tests leave 0."""

    _fields_ = (
        ("n_atoms", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("species", ctypes.c_void_p),
        ("n_centers", ctypes.c_int64),
        ("centers", ctypes.c_void_p),
        ("n_neighbors", ctypes.c_void_p),
        ("neighbors", ctypes.c_void_p),
        ("neighbor_mask", ctypes.c_int32),
        ("n_threads", ctypes.c_int32),
        ("rest", ctypes.c_char * 128),
    )


class Results(ctypes.Structure):
    """PannaPlusResults, with room for what tests leave 0."""

    _fields_ = (
        ("energy_and_virial", ctypes.c_double * 7),
        ("atomic_energies", ctypes.c_void_p),
        ("forces", ctypes.c_void_p),
        ("rest", ctypes.c_char * 256),
    )


def engine_library() -> ctypes.CDLL:
    """Return the engine, whose functions know what is no int."""
    library = ctypes.CDLL(str(library_path()))
    library.panna_plus_last_error.restype = ctypes.c_char_p
    library.panna_plus_close.argtypes = (ctypes.c_void_p,)
    library.panna_plus_close.restype = None
    return library


def checked(library: ctypes.CDLL, status: int) -> None:
    """Raise ValueError with the reason of the engine if a call failed."""
    if status != 0:
        raise ValueError(library.panna_plus_last_error().decode())


@contextmanager
def opened_model(library: ctypes.CDLL, path: object, device: str = "") -> Iterator[ctypes.c_void_p]:
    """Open a model file on a device; a ValueError has the reason of the engine."""
    model = ctypes.c_void_p()
    paths = (ctypes.c_char_p * 1)(str(path).encode())
    options = Options(device=device.encode())
    checked(library, library.panna_plus_open(paths, 1, ctypes.byref(options), ctypes.byref(model)))
    try:
        yield model
    finally:
        library.panna_plus_close(model)
