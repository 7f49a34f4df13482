"""Libraries built against the installed torch: found, built at the first use, built again for another torch."""

import subprocess
import sys

import pytest

from panna_plus.commands.main import main
from panna_plus.errors import PannaPlusError
from panna_plus.native import torch_libraries
from panna_plus.native.building import (
    TORCH_LIBRARIES,
    record_of,
    source_hash,
    torch_build_key,
    torch_folder,
    torch_version,
)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An installation without these libraries, in a folder that cannot be written, and an empty cache."""
    folder, cache = tmp_path / "installed", tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(torch_libraries, "library_path", lambda: folder / "libpanna_plus.so")
    monkeypatch.setattr(torch_libraries.os, "access", lambda path, mode: path != folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache / "panna_plus"


@pytest.fixture
def builds(monkeypatch):
    """Write an empty library in place of compiling one; return the list of what was built."""
    done = []

    def build(name, target):
        done.append(name)
        target.write_bytes(b"")
        record_of(target).write_text(torch_build_key(torch_libraries.sources(), torch_folder()) + "\n")

    monkeypatch.setattr(torch_libraries, "build", build)
    return done


@pytest.mark.parametrize("name", TORCH_LIBRARIES)
def test_this_installation_has_the_libraries_of_its_torch(name):
    found = torch_libraries.built_library(name)
    assert found is not None and found.exists()
    assert torch_version(torch_folder()) in record_of(found).read_text()


def test_sources_count_wherever_the_checkout_lies(tmp_path):
    hashes = []
    for name, text in (("here", "a"), ("tests", "a"), ("tests", "b")):
        source = tmp_path / name / "csrc/torch/ops.cpp"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        hashes.append(source_hash(tmp_path / name / "csrc"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_first_use_builds_in_the_cache_and_the_second_finds_it(elsewhere, builds):
    said: list[str] = []
    first = torch_libraries.ensure_built("ops", said.append)
    assert first == elsewhere / "libpanna_plus_ops.so"
    assert torch_libraries.ensure_built("ops", said.append) == first
    assert builds == ["ops"] and len(said) == 1 and "once" in said[0]


def test_a_library_of_another_torch_is_built_again(elsewhere, builds):
    library = torch_libraries.ensure_built("ops")
    record_of(library).write_text("torch 1.0.0 sources 0\n")
    torch_libraries.ensure_built("ops")
    assert builds == ["ops", "ops"]


def test_a_compiler_that_fails_is_named_with_what_it_said(elsewhere, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(PannaPlusError, match=r"libpanna_plus_ops\.so cannot be built: no C\+\+ compiler 'no-such"):
        torch_libraries.ensure_built("ops")
    assert torch_libraries.built_library("ops") is None


def test_without_torch_the_reason_is_given(elsewhere, monkeypatch):
    monkeypatch.setattr("panna_plus.native.building.torch_folder", lambda: None)
    monkeypatch.setattr(torch_libraries, "torch_folder", lambda: None)
    with pytest.raises(PannaPlusError, match="install torch"):
        torch_libraries.ensure_built("ops")


@pytest.mark.slow
def test_the_operators_can_be_built_and_loaded_from_a_cache(tmp_path):
    """In a process that finds no library beside the engine."""
    code = (
        "import torch; from panna_plus.native import torch_libraries as t; real = t.places; "
        "t.places = lambda name: [real(name)[1]] * 2; t.load_ops(print); print(torch.ops.panna_plus.descriptor)"
    )
    environment = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "Building" in result.stdout and (tmp_path / "panna_plus/libpanna_plus_ops.so").exists()


def test_the_command_names_both_libraries(elsewhere, builds, capsys):
    assert main(["build"]) == 0
    out, err = capsys.readouterr()
    assert out.split() == [str(elsewhere / f"libpanna_plus_{name}.so") for name in TORCH_LIBRARIES]
    assert err.count("Building") == 2 and builds == list(TORCH_LIBRARIES)
