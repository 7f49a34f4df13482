"""Compile the C++ tests of csrc/tests with sanitizers and run them."""

import shutil
from pathlib import Path

import pytest

from tests.native.compiled import CSRC, READER, THOROUGH, Builder, engine_sources, run, sanitized
from tests.native.model_files import bp_arrays, committee, mbp_arrays, random_model, write_model

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the C++ tests with"),
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def quick(request) -> Builder:
    return sanitized(request.config)


@pytest.fixture(scope="module")
def model_paths(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    small = mbp_arrays((4.5, 0.5, 2, 2.0), (3.5, 0.5, 2, 2.0), n_theta=2, zeta=4.0)
    models = {
        "small.pt": random_model(["Si", "O"], small, hidden=(3,)),
        "mbp.pt": random_model(["Si", "O", "H"], mbp_arrays(n_theta=5, zeta=8.5)),
        "bp.pt": random_model(["Si", "O"], bp_arrays(), activation="tanh"),
        "radial.pt": random_model(["Si", "O"], mbp_arrays(angular=(3.0, 0.5, 0, 1.0)), dtype="float32"),
        "angular.pt": random_model(["Si", "O"], mbp_arrays(radial=(3.0, 0.5, 0, 1.0)), activation="gaussian"),
        "cusp.pt": random_model(["Si"], mbp_arrays((3.0, 0.5, 9, 16.0), (4.0, 0.5, 3, 0.5), 3, 2.0, 0.0), seed=3),
    }
    for name, elements, descriptor in (
        ("mbp", ["Si", "O", "H"], mbp_arrays(n_theta=5, zeta=8.5)),
        ("bp", ["Si"], bp_arrays()),
    ):
        members = [
            random_model(elements, descriptor, hidden, seed=n) for n, hidden in enumerate([(13, 7), (5,), (4, 9)])
        ]
        models[f"committee_{name}.pt"] = committee(members)
    return [str(write_model(folder / name, *model)) for name, model in models.items()]


def test_reading_of_json_checksums_and_arrays(quick):
    reader = [line for line in engine_sources(portable_only=True) if line.startswith("model_file/")]
    assert "all passed" in run([quick.program("test_reading", *reader)])


def test_elementary_functions(tmp_path):
    """Optimized, since it sweeps; for the widest registers of this machine and for the portable ones."""
    builder = Builder(tmp_path, f"{(CSRC / 'flags.txt').read_text()} -DPANNA_ISA=portable -DPANNA_VECTOR_BYTES=16")
    assert "all passed" in run([builder.program("test_elementary")])
    sizes = {"avx512f": 64, "avx2": 32}
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    widest = next((flag for flag in sizes if flag in flags), None)
    if widest:
        (tmp_path / widest).mkdir()
        native = f"-march=x86-64-{'v4' if widest == 'avx512f' else 'v3'} -DPANNA_ISA=wide"
        flags = f"{(CSRC / 'flags.txt').read_text()} {native} -DPANNA_VECTOR_BYTES={sizes[widest]}"
        assert "all passed" in run([Builder(tmp_path / widest, flags).program("test_elementary")])


def test_mutated_model_files(quick, model_paths):
    sources = [line for line in engine_sources(portable_only=True) if line.startswith(READER)]
    output = run([quick.program("fuzz_model_file", *sources), "100", model_paths[0], model_paths[2], model_paths[-1]])
    assert "all passed" in output


@pytest.mark.parametrize("test", ["test_kernels", "test_descriptor", "test_mean_potential"])
def test_kernels(quick, model_paths, test):
    program = quick.program(test, *engine_sources(portable_only=True))
    assert "all passed" in run([program, *model_paths])


def test_energy_terms(quick):
    assert "all passed" in run([quick.program("test_energy_terms", *engine_sources(portable_only=True))])


@pytest.fixture(scope="module")
def message_paths(so3krates_path) -> list[str]:
    """Models with messages; the first one has all terms and embeddings."""
    return [str(so3krates_path(variant)) for variant in ("all terms", "plain", "other switches", "one layer")]


def test_so3krates(quick, message_paths):
    program = quick.program("test_so3krates", *engine_sources(portable_only=True))
    assert "all passed" in run([program, *message_paths])


@pytest.mark.slow
def test_everything_with_all_instruction_sets(request, model_paths, message_paths):
    builder = Builder(request.config.cache.mkdir("native_sanitized_all"), THOROUGH)
    sources = engine_sources(portable_only=False)
    assert "all passed" in run([builder.program("test_energy_terms", *sources)])
    assert "all passed" in run([builder.program("test_so3krates", *sources), *message_paths])
    for test in ("test_kernels", "test_descriptor"):
        assert "all passed" in run([builder.program(test, *sources), *model_paths])
    fuzz = [line for line in sources if line.startswith(READER)]
    assert "all passed" in run([builder.program("fuzz_model_file", *fuzz), "5000", *model_paths])


@pytest.mark.slow
def test_threads_do_not_race(request, model_paths, message_paths):
    builder = Builder(
        request.config.cache.mkdir("native_threads"), "-std=c++17 -O1 -g1 -fsanitize=thread -DPANNA_PORTABLE_ONLY"
    )
    for test in ("test_kernels", "test_descriptor", "test_energy_terms"):
        program = builder.program(test, *engine_sources(portable_only=True))
        assert "all passed" in run([program, model_paths[1]])
    program = builder.program("test_so3krates", *engine_sources(portable_only=True))
    assert "all passed" in run([program, *message_paths[:2]])
