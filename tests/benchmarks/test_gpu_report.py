"""What benchmarks/speed/gpu makes of numbers that only a machine with a GPU gives: read, judged, printed."""

import pytest
from speed.gpu import kernels, report, sizes
from speed.gpu.machine import ProgramError, find_tool, run_program
from speed.gpu.models import TimedModel, timed_models
from speed.gpu.through import error_line

SORT = "void panna_plus::cuda::(anonymous namespace)::sort_kernel<float>(panna_plus::cuda::PositionSource, int)"
FORCES = "void panna_plus::cuda::(anonymous namespace)::gather_kernel<(bool)0, double>(panna_plus::cuda::X)"
MASK = "panna_plus::cuda::(anonymous namespace)::mask_kernel(long const*, long)"


def event(name: str, category: str, duration: float) -> dict:
    args = {"registers per thread": 96, "est. achieved occupancy %": 37}
    return {"ph": "X", "cat": category, "name": name, "dur": duration, "args": args}


def test_kernels_of_a_trace():
    events = [event(SORT, "kernel", 10.0)] * 4 + [event(FORCES, "kernel", 30.0)] * 8 + [event(MASK, "kernel", 5.0)]
    events += [event("Memcpy HtoD (Pinned -> Device)", "gpu_memcpy", 1.0)] * 4
    events += [{"ph": "M", "name": "process_name"}, event("cudaLaunchKernel", "cuda_runtime", 9.0)]
    rows = kernels.kernel_rows({"traceEvents": events}, atoms=1000, evaluations=4)
    found = {row["name"]: (row["kind"], row["calls"], row["ns_per_atom"]) for row in rows}
    assert found["sort_kernel<float>"] == ("kernel", 4, pytest.approx(10.0))
    assert found["gather_kernel<0, double>"] == ("kernel", 8, pytest.approx(60.0))
    assert found["mask_kernel"][0] == "list"
    assert found["Memcpy HtoD"][0] == "copy"
    assert rows[0]["name"] == "gather_kernel<0, double>" and rows[0]["registers"] == 96


NCU = f"""==PROF== Connected to process 1
{{"atoms": 64}}
==PROF== Disconnected
"ID","Process ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","1","{SORT}","smsp__inst_executed.sum","inst","12,800"
"1","1","{SORT}","smsp__inst_executed.sum","inst","12,800"
"2","1","{MASK}","smsp__inst_executed.sum","inst","64"
"""


def test_instructions_that_ncu_counts():
    found = kernels.instructions_per_atom(NCU, atoms=64, evaluations=2)
    assert found == {"sort_kernel<float>": 200.0, "mask_kernel": 0.5}
    with pytest.raises(ProgramError, match="no table"):
        kernels.instructions_per_atom("==ERROR== ERR_NVGPUCTRPERM", atoms=64, evaluations=2)


SASS = """
\t\tFunction : _Z11sort_kernelv
\t.headerflags\t@"EF_CUDA_SM90"
        /*0000*/                   LDC R1, c[0x0][0x28] ;                 /* 0x00000a00ff017b82 */
                                                                          /* 0x000fc20000000800 */
        /*0010*/              @!P0 FFMA.FTZ R4, R2, R3, R4 ;              /* 0x0000000302047223 */
        /*0020*/              @UP1 MUFU.RSQ R5, R4 ;                      /* 0x0000000400057308 */
        /*0030*/                   FFMA R4, R2, R3, R4 ;                  /* 0x0000000302047223 */
\t\tFunction : other
        /*0000*/                   EXIT ;                                 /* 0x000000000000794d */
"""


def test_instructions_of_compiled_code():
    found = kernels.static_counts(SASS)
    assert found == {"_Z11sort_kernelv": {"all": 4, "FFMA": 2, "MUFU": 1}, "other": {"all": 1}}


def model(tmp_path, name: str) -> TimedModel:
    return next(each for each in timed_models(tmp_path) if each.name == name)


def test_sizes_that_do_not_fit_are_left_out(tmp_path):
    case_a = model(tmp_path, "case A")
    assert sizes.too_large(case_a, 10, "mixed", 80 << 30) == ""
    assert "GiB of device memory, 1.0 GiB are free" in sizes.too_large(case_a, 80, "mixed", 1 << 30)
    # 4,096,000 atoms fit into 80 GiB in mixed precision.
    assert sizes.listed_pairs(case_a, 80) * sizes.PAIR_BYTES["mixed"] * sizes.RESERVE < 60 << 30


def test_steps_and_tools():
    plan = sizes.Plan("cuda", 1, [5, 50], 5, 5, 10, 5, 1)
    assert plan.steps_for(5) > plan.steps_for(20) > plan.steps_for(50) >= 20
    assert find_tool("no_such_tool") is None
    assert find_tool("ls") is not None
    with pytest.raises(ProgramError, match="ended with status 1"):
        run_program(["false"])
    with pytest.raises(ProgramError, match="does not start"):
        run_program(["/nowhere/program"])
    with pytest.raises(ProgramError, match="longer than"):
        run_program(["sleep", 5], seconds=0.1)


def test_errors_of_lammps_are_found_in_its_log():
    log = "LAMMPS (22 Jul 2025)\nERROR: pair_style panna_plus: no device\nLast input line: pair_style panna_plus\n"
    assert error_line(f"lmp stopped with status 1:\n{log}") == "ERROR: pair_style panna_plus: no device"
    assert error_line("killed") == "killed"


def measured(rate: float, atoms: int = 1_000_000) -> dict:
    """Return a result as a GPU might give it."""
    time = 1e6 / rate
    common = {"model": "case A", "precision": "mixed", "atoms": atoms, "kernels": "gather", "device": "cuda:0"}
    differences = {"force_difference": 2e-6, "energy_difference": 1e-8, "virial_difference": 1e-7}
    parts = dict.fromkeys(("step_us", "list_us", "evaluate_new_us", "evaluate_us", "gather_us", "integrate_us"), time)
    size = common | parts | {"one_kept_evaluation_us": time, "atom_steps_per_s": rate, "kept_atom_steps_per_s": rate}
    agreement = common | differences | {"worst": 2e-6, "asked": 1e-5, "agrees": True, "one_core_us": 5.0}
    energy = {"energy_drift_meV_per_atom_and_ps": 0.1, "energy_noise_meV_per_atom": None, "temperature_K": 990.0}
    kernel = {"name": "sort_kernel", "kind": "kernel", "calls": 12, "ns_per_atom": 4.0, "registers": 64}
    times = {"atoms": atoms, "rows": [kernel | {"occupancy_percent": None}], "kernels_ns_per_atom": 4.0}
    operator = {
        f"{part}_{what}": 0.1 for part in ("descriptor", "backward", "tangent") for what in ("us", "difference")
    }
    return {
        "agreement": {"rows": [agreement | {"one_kept_evaluation_us": time}], "all_agree": True},
        "sizes": {"rows": [size], "left_out": {"mlearn, mixed, 4096000 atoms": "needs more"}},
        "conservation": {"rows": [common | energy | {"steps": 1000}]},
        "angular_cutoff": {"rows": [{"angstrom": 3.1, "neighbors": 6.0, "atoms": atoms, "kept_us": 0.05}]},
        "kernels": {"case A": times | {"floor_ns_per_atom": 9.0, "fraction_of_floor": 0.5}, "mlearn": times},
        "executed_instructions": {"case A": {"sort_kernel": 200.0}},
        "compiled_instructions": {"sort_kernel": {"all": 300, "FFMA": 20}},
        "operators": {
            "device": "cuda",
            "atoms": 65536,
            "rows": [{"name": "double"} | operator],
            "training": [{"precision": "double", "frames_per_second": 1234.0}],
        },
        "lammps": {"rows": [{"model": "case A", "atoms": 8000, "step_us": 0.1, "pair": 0.05}]},
        "ceilings": {"copy_bytes_per_s": 3e12, "float_fma_per_s": 3e13},
        "sanitizer": {"tools": {"memcheck, dynamics": "clean"}, "is_clean": True},
    }


@pytest.mark.parametrize("part", measured(1e7))
def test_every_part_is_printed(part):
    found = measured(3e7)[part]
    text = report.text_of(part, found)
    assert any(word in text for word in ("mixed", "sort_kernel", "1234", "0.05", "3e+13", "clean", "3.1"))
    assert report.text_of(part, {"skipped": "no such tool"}) == f"{part}: skipped: no such tool"
    assert report.text_of(part, {"failed": "out of order"}) == f"{part}: failed: out of order"
    assert report.text_of(part, {"rows": [], "failed": "all of them"}).endswith("failed: all of them")


def test_what_fails_does_not_cost_the_rest():
    def measure(n: int) -> dict:
        if n == 2:
            raise ProgramError("no second one")
        return {"n": n}

    found = sizes.gathered([(1,), (2,), (3,)], measure)
    assert found == {"rows": [{"n": 1}, {"n": 3}], "failed": "no second one"}
    text = report.text_of("sizes", measured(3e7)["sizes"] | {"failed": "no second one"})
    assert "case A" in text and text.endswith("sizes: failed: no second one")


def test_goals_are_judged():
    quick, slow = (report.goals(measured(rate)) for rate in (3e7, 1e7))
    assert [holds for _, _, holds in quick] == [True, True, True, True]
    assert [holds for _, _, holds in slow] == [False, False, True, True]
    assert "NO" in report.of_goals(measured(1e7)) and "NO" not in report.of_goals(measured(3e7))
    # Neither small systems nor what was not measured are judged.
    assert len(report.goals(measured(1e6, atoms=1000))) == 2
    assert report.of_goals({"sizes": {"skipped": "x"}}) == ""


def test_columns_are_aligned():
    lines = report.table("title", ("a", "long head"), [("first", 1), ("b", 22)]).splitlines()
    assert lines[-2:] == ["first          1", "b             22"]


def test_figure(tmp_path):
    file = tmp_path / "figure.png"
    rows = [measured(rate, atoms)["sizes"]["rows"][0] for rate, atoms in ((1e6, 1000), (3e7, 1_000_000))]
    rows.append(rows[0] | {"model": "mlearn", "one_kept_evaluation_us": None})
    report.draw(rows, "title", file)
    assert file.stat().st_size > 1000
