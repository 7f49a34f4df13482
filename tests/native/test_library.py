"""The compiled library: vector instructions where they belong, and nowhere else."""

import re
import shutil
import subprocess

import pytest

from panna_plus.native.library import library_path

REGISTERS = {"x86_64_v4": "%zmm", "x86_64_v3": "%ymm", "x86_64_v2": "%xmm", "portable": "%xmm"}
HOT = [
    f"{name}<{number}>"
    for name in ("chunk_windows", "add_grid", "contract_pack", "apply_layer", "pairs", "heads")
    for number in ("float", "double")
] + [f"{name}, {number}>" for name in ("multiply_panel<2", "products_back<false") for number in ("float", "double")]


@pytest.fixture(scope="module")
def functions() -> dict[str, str]:
    """Disassemble the library: name of each function -> its instructions."""
    if shutil.which("objdump") is None:
        pytest.skip("no objdump to disassemble the library with")
    library = str(library_path())
    text = subprocess.run(["objdump", "-d", "-C", "--no-show-raw-insn", library], capture_output=True, text=True).stdout
    if "x86-64" not in text:
        pytest.skip("the instruction sets are those of x86-64")
    found: dict[str, str] = {}
    for name, body in re.findall(r"^[0-9a-f]+ <(.+)>:\n((?:.+\n)*)", text, re.MULTILINE):
        found[name] = found.get(name, "") + body
    return found


@pytest.mark.parametrize("instruction_set", REGISTERS)
@pytest.mark.parametrize("function", HOT)
def test_hot_functions_use_the_registers_of_their_instruction_set(functions, instruction_set, function):
    bodies = [body for name, body in functions.items() if f"{instruction_set}::{function}" in name]
    assert len(bodies) >= 1
    assert sum(body.count(REGISTERS[instruction_set]) for body in bodies) > 50


def test_what_runs_on_every_processor_uses_no_newer_registers(functions):
    """A function of the standard library, compiled once for AVX, must not replace the one that all others call."""
    newer = [name for name, body in functions.items() if "%ymm" in body or "%zmm" in body or "vmov" in body]
    assert len(newer) > 10
    assert not [name for name in newer if "x86_64_v3::" not in name and "x86_64_v4::" not in name]


def test_no_libm_in_the_kernels(functions):
    libm = re.compile(r"call\s+\S+ <(exp|expf|pow|powf|tanh|tanhf|sin|sinf|cos|cosf|log2|log2f|exp2|exp2f)@")
    kernels = {name: body for name, body in functions.items() if re.search(r"(x86_64_v\d|portable)::", name)}
    assert len(kernels) > 40
    assert not [name for name, body in kernels.items() if libm.search(body)]
