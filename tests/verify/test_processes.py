"""Child processes are bounded, and what they said before a crash is known."""

import sys
import time

from panna_plus.verify.finding import ok, probe
from panna_plus.verify.processes import PACKAGE_PARENT, reports_of, run, run_task


def test_a_program_that_hangs_is_ended_with_its_children():
    start = time.monotonic()
    done = run(["sh", "-c", "echo begun; sleep 60 & sleep 60"], seconds=0.5)
    assert time.monotonic() - start < 20
    assert done.timed_out
    assert done.out == "begun\n"
    assert done.ending == "it did not finish in time and was ended"


def test_a_crash_is_named_by_its_signal():
    done = run([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"], seconds=20)
    assert done.ending == "it was ended by SIGSEGV"


def test_a_program_that_does_not_exist_is_no_exception(tmp_path):
    done = run([str(tmp_path / "absent")], seconds=5)
    assert done.returncode == 127
    assert "absent" in done.error


def test_variables_and_folder_reach_the_program(tmp_path):
    done = run(["sh", "-c", "echo $COLOR $PWD"], 20, tmp_path, {"COLOR": "green"})
    assert done.out.split() == ["green", str(tmp_path)]


def test_reports_before_a_crash_are_kept():
    done = run(["sh", "-c", """echo '{"a": 1}'; echo noise; echo '3'; echo '{"b": [2]}'; kill -9 $$"""], 20)
    assert reports_of(done) == {"a": 1, "b": [2]}
    assert done.returncode == -9


def test_tasks_import_nothing_of_the_package_before_they_must():
    done = run_task("import", "json", seconds=30)
    assert reports_of(done) == {"importing": ""}, done.error


def test_a_check_that_fails_is_a_problem_and_not_an_exception():
    @probe("anything")
    def broken():
        raise ZeroDivisionError("division by zero")

    found = broken()
    assert (found.name, found.status) == ("anything", "problem")
    assert "ZeroDivisionError: division by zero" in found.found
    assert "--json" in found.fix


def test_a_check_that_lacks_a_package_says_so():
    @probe("anything")
    def broken():
        raise ModuleNotFoundError("No module named 'numpy'")

    found = broken()
    assert found.status == "problem"
    assert found.found == "needs a package that cannot be imported: No module named 'numpy'"


def test_the_checks_themselves_need_no_package():
    """What is missing is a finding: it must not keep the others from being made."""
    program = "import sys, panna_plus.verify.probes, panna_plus.commands.doctor; "
    program += "print({'torch', 'numpy', 'ase', 'rich', 'pydantic'} & set(sys.modules))"
    done = run([sys.executable, "-c", program], 60, variables={"PYTHONPATH": str(PACKAGE_PARENT)})
    assert done.out.strip() == "set()", done.error


def test_a_check_that_is_content_needs_no_fix():
    found = probe("anything")(lambda: ok("here"))()
    assert (found.name, found.status, found.found, found.fix) == ("anything", "ok", "here", "")
