"""What is tried in a child process because it may crash: `python -P tasks.py NAME ARGUMENTS`.

Every line on standard output is a JSON object; what was reported before a crash is known afterwards.
"""

import ctypes
import importlib
import json
import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

OPENMP_RUNTIME = re.compile(r"/lib(gomp|iomp5|omp)\b[^/]*$")


def report(**values: Any) -> None:
    """Write results at once: the next line may crash."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def import_packages(*names: str) -> None:
    """Import packages one by one and report each error; `importing` names the one that crashed."""
    for name in names:
        report(importing=name)
        try:
            importlib.import_module(name)
        except Exception as error:
            report(**{name: f"{type(error).__name__}: {error}"})
    report(importing="")


def open_engine(folder: str) -> None:
    """Load the engine and evaluate the tiny model, which is written into a folder."""
    from panna_plus.native.library import library_path, load_module

    report(abi=ctypes.CDLL(str(library_path())).panna_plus_abi_version())
    load_module()
    report(module="loaded")
    from panna_plus.verify.tiny import tiny_atoms, tiny_energy, write_tiny_model

    energy, kernels = tiny_energy(write_tiny_model(Path(folder)), tiny_atoms())
    report(energy=energy, kernels=kernels)


def load_libraries(*libraries: str) -> None:
    """Load shared libraries one after the other as LAMMPS would; `torch` stands for the Python package.

    Reports the MPI and the LAMMPS that are among them and the OpenMP runtimes that came along.
    """
    for name in libraries:
        report(loading=name)
        if name == "torch":
            importlib.import_module(name)
            continue
        try:
            library = ctypes.CDLL(name, ctypes.RTLD_GLOBAL)
        except OSError as error:
            report(error=str(error))
            break
        describe_library(library)
    report(openmp=mapped_openmp_runtimes())


def describe_library(library: ctypes.CDLL) -> None:
    """Report what an MPI library or LAMMPS calls itself."""
    if hasattr(library, "MPI_Get_library_version"):
        text, length = ctypes.create_string_buffer(8192), ctypes.c_int()
        library.MPI_Get_library_version(text, ctypes.byref(length))
        report(mpi=text.value.decode(errors="replace"))
    if hasattr(library, "lammps_version"):
        descriptor = library["_ZN9LAMMPS_NS6LAMMPS14git_descriptorEv"]  # static member of the class LAMMPS
        descriptor.restype = ctypes.c_char_p
        report(lammps=descriptor().decode())


def mapped_openmp_runtimes() -> list[str]:
    """List the OpenMP runtimes in this process; an empty list where the system does not tell."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    files = {line.split(maxsplit=5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}
    return sorted(file for file in files if OPENMP_RUNTIME.search(file))


def call_entry_points() -> None:
    """Call what LAMMPS calls at its start, as it does: {name: [origin, folder, error]}."""
    for entry in metadata.entry_points(group="lammps.plugins"):
        try:
            report(**{entry.name: [entry.value, entry.load()(), ""]})
        except Exception as error:
            report(**{entry.name: [entry.value, "", f"{type(error).__name__}: {error}"]})


def describe_torch() -> None:
    """Report the version of torch, what it was built for and the devices that it sees."""
    import torch

    report(version=torch.__version__, built_for=torch.version.cuda, file=torch.__file__)
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    report(devices=[torch.cuda.get_device_name(n) for n in range(n_devices)])


def ask_cuda_driver() -> None:
    """Report the CUDA version of the driver (12040 is 12.4) and the number of devices."""
    driver = ctypes.CDLL("libcuda.so.1")
    report(driver=True)
    version, count = ctypes.c_int(), ctypes.c_int()
    code = driver.cuInit(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    if code == 0:
        driver.cuDeviceGetCount(ctypes.byref(count))
    report(code=code, version=version.value, devices=count.value)


def ask_engine_for_devices() -> None:
    """Report the CUDA devices that the engine can use, and why there are none."""
    from panna_plus.native.library import library_path

    engine = ctypes.CDLL(str(library_path()))
    engine.panna_plus_last_error.restype = engine.panna_plus_cuda_device_name.restype = ctypes.c_char_p
    count = engine.panna_plus_cuda_devices()
    names = [engine.panna_plus_cuda_device_name(n) or engine.panna_plus_last_error() for n in range(count)]
    reason = "" if count else engine.panna_plus_last_error().decode(errors="replace")
    report(devices=[name.decode(errors="replace") for name in names], reason=reason)


TASKS: dict[str, Callable[..., None]] = {
    "import": import_packages,
    "engine": open_engine,
    "libraries": load_libraries,
    "entry-points": call_entry_points,
    "torch": describe_torch,
    "cuda-driver": ask_cuda_driver,
    "engine-devices": ask_engine_for_devices,
}


if __name__ == "__main__":
    TASKS[sys.argv[1]](*sys.argv[2:])
