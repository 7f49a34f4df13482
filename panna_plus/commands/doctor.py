"""`panna-plus doctor`: what is installed, what LAMMPS, MPI and GPU see of it, what to do about problems."""

import argparse
import json
import platform
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panna_plus import __version__

if TYPE_CHECKING:
    from panna_plus.verify.finding import Finding

COLORS = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
WIDTH = 120
INDENT = " " * 10


def add_parser(subparsers: Any) -> None:
    """Add `doctor` to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation: packages, engine, LAMMPS, MPI, threads, GPU",
        description="Look at everything that training and simulations need, run LAMMPS on 16 atoms, and say for each "
        "problem what to do. Exit code 0 if nothing is a problem.",
    )
    parser.add_argument(
        "--lammps",
        type=Path,
        metavar="LMP",
        help="look at this lmp, which is not of this environment: what it is, and whether the pair style that it would "
        "load fits",
    )
    parser.add_argument("--json", action="store_true", help="print all findings as JSON, for bug reports")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run all checks and print them; return the exit code."""
    from panna_plus.verify.probes import diagnose

    say = plain if args.json else printer()
    findings, last_section = [], ""
    for section, finding in diagnose(args.lammps):
        findings.append((section, finding))
        if args.json:
            continue
        if section != last_section:
            say(section, "bold")
        last_section = section
        say(lines_of(finding), COLORS[finding.status])
    problems = sum(finding.status == "problem" for _, finding in findings)
    if args.json:
        say(as_json(findings), "")
    else:
        say(verdict([finding for _, finding in findings]), COLORS["problem" if problems else "ok"])
    return 1 if problems else 0


def plain(text: str, _style: str) -> None:
    """Print a text as it is."""
    print(text)


def printer() -> Callable[[str, str], None]:
    """Return a function that prints a text in a style; without rich, whose absence is a finding, as it is."""
    try:
        from rich.console import Console
    except ImportError:
        return plain
    console = Console(highlight=False, soft_wrap=True)
    return lambda text, style: console.print(text, markup=False, style=style)


def lines_of(finding: "Finding") -> str:
    """Return a finding as lines that fit the page."""
    text = textwrap.fill(
        f"{finding.status:<8} {finding.name}: {finding.found}",
        WIDTH,
        initial_indent="  ",
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    # One line, however long: it is there to be copied.
    return f"{text}\n{INDENT} fix: {finding.fix}" if finding.fix else text


def verdict(findings: "list[Finding]") -> str:
    """Return the last line."""
    counts = {status: sum(f.status == status for f in findings) for status in ("problem", "warning")}
    if not any(counts.values()):
        return "everything works"
    shown = " and ".join(f"{n} {status}{'s' if n > 1 else ''}" for status, n in counts.items() if n)
    return f"{shown}: see the fixes above" if counts["problem"] else f"{shown}, no problem"


def as_json(findings: "list[tuple[str, Finding]]") -> str:
    """Return everything as one JSON object."""
    rows = [{"section": section, **asdict(finding)} for section, finding in findings]
    head = {"panna_plus": __version__, "python": platform.python_version(), "platform": platform.platform()}
    return json.dumps({**head, "findings": rows}, indent=1, ensure_ascii=False)
