"""Compile the CUDA sources with nvcc, which needs no GPU: no register may be spilled."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from panna_plus.native import cuda_building

CSRC = Path(__file__).parents[2] / "csrc"
KERNEL_FILES = [path for path in cuda_building.sources(CSRC) if path.suffix == ".cu"]
# Above this a multiprocessor holds fewer than 12 warps; the double kernels are for tests and relaxation.
MOST_REGISTERS = {"float": 128, "double": 168}
TOOLKIT = cuda_building.find_toolkit()

pytestmark = pytest.mark.skipif(TOOLKIT is None, reason="no CUDA toolkit (nvcc) to compile the kernels with")


def compiled(source: Path, architecture: str, target: Path) -> str:
    """Return what the assembler says about a source; its code goes to `target`."""
    flags = [*cuda_building.DEVICE_FLAGS, "-I", str(CSRC), f"-arch=sm_{architecture}", "-Xptxas", "-v", "-cubin"]
    command = [str(TOOLKIT.nvcc), *flags, "-o", str(target), str(source)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def kernels_of(text: str) -> dict[str, tuple[int, int]]:
    """Return the registers and bytes spilled of every kernel; functions that it calls are counted with it."""
    found: dict[str, tuple[int, int]] = {}
    for part in re.split(r"Compiling entry function '", text)[1:]:
        name = part.partition("'")[0]
        spilled = sum(int(number) for number in re.findall(r"(\d+) bytes spill stores", part))
        registers = re.search(r"Used (\d+) registers", part)
        assert registers, f"the assembler says nothing about the registers of {name}"
        found[name] = (int(registers.group(1)), spilled)
    return found


def check_architecture(architecture: str, folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        texts = list(pool.map(lambda source: compiled(source, architecture, folder / source.stem), KERNEL_FILES))
    kernels = {name: numbers for text in texts for name, numbers in kernels_of(text).items()}
    assert len(kernels) >= 33
    print(f"\nregisters of the kernels, sm_{architecture}:")
    for name, (registers, spilled) in sorted(kernels.items()):
        print(f"{registers:5}  {spilled:3} bytes spilled  {name}")
        assert spilled == 0, f"{name} spills {spilled} bytes of registers for sm_{architecture}"
        # Template arguments in mangled names: f and d.
        number = "double" if re.search(r"kernelI(Lb\dE)?d", name) else "float"
        assert registers <= MOST_REGISTERS[number], f"{name} takes {registers} registers for sm_{architecture}"


def test_no_kernel_spills_registers(tmp_path):
    check_architecture("90", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["80", "100"])
def test_no_kernel_spills_registers_elsewhere(architecture, tmp_path):
    if architecture not in TOOLKIT.architectures:
        pytest.skip(f"{TOOLKIT.nvcc} does not compile for sm_{architecture}")
    check_architecture(architecture, tmp_path)


@pytest.mark.slow
def test_intermediate_code_for_newer_devices(tmp_path):
    for source in KERNEL_FILES:
        flags = [*cuda_building.DEVICE_FLAGS, "-I", str(CSRC), f"-arch=compute_{TOOLKIT.architectures[0]}", "-ptx"]
        target = tmp_path / f"{source.stem}.ptx"
        command = [str(TOOLKIT.nvcc), *flags, "-o", str(target), str(source)]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0 and ".entry" in target.read_text(), result.stderr


def test_flags_name_every_architecture_and_the_intermediate_code():
    flags = cuda_building.device_flags(["80", "90"])
    targets = [target for option, target in pairwise(flags) if option == "-gencode"]
    assert targets == [
        "arch=compute_80,code=sm_80",
        "arch=compute_90,code=sm_90",
        "arch=compute_90,code=compute_90",
    ]


def test_wishes_of_the_environment(monkeypatch):
    monkeypatch.setenv("PANNA_PLUS_CUDA_ARCHITECTURES", "9.0, sm_80")
    assert cuda_building.wanted_architectures(TOOLKIT) == ["80", "90"]
    monkeypatch.setenv("PANNA_PLUS_CUDA_ARCHITECTURES", "12345")
    with pytest.raises(cuda_building.ToolkitError, match=r"names 12345; .* compiles for"):
        cuda_building.wanted_architectures(TOOLKIT)
    monkeypatch.setenv("PANNA_PLUS_CUDA", "0")
    assert cuda_building.wanted_toolkit() is None
    monkeypatch.setenv("PANNA_PLUS_CUDA", "yes")
    with pytest.raises(cuda_building.ToolkitError, match="auto, 0 or 1"):
        cuda_building.wanted_toolkit()
    monkeypatch.setenv("PANNA_PLUS_CUDA", "1")
    monkeypatch.setattr(cuda_building, "candidates", lambda: [Path("/nowhere/bin/nvcc")])
    with pytest.raises(cuda_building.ToolkitError, match=r"no CUDA toolkit .* or newer"):
        cuda_building.wanted_toolkit()
