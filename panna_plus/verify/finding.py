"""What a check of the installation found."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Literal

Status = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """What a check says: made by `ok`, `warning`, `problem` or `skipped`."""

    status: Status
    found: str
    fix: str


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis.

    Attributes
    ----------
    name : str
        What was looked at.
    status : {'ok', 'warning', 'problem', 'skipped'}
        'warning': works, but not as well as it could, or not everything; 'problem': something will fail.
    found : str
        What is there; for 'skipped' the reason.
    fix : str
        What to do; empty for 'ok' and 'skipped'.
    """

    name: str
    status: Status
    found: str
    fix: str


Probe = Callable[..., Finding]


def ok(found: str) -> Verdict:
    """Say that all is well."""
    return Verdict("ok", found, "")


def warning(found: str, fix: str) -> Verdict:
    """Say that something could be better."""
    return Verdict("warning", found, fix)


def problem(found: str, fix: str) -> Verdict:
    """Say that something will fail."""
    return Verdict("problem", found, fix)


def skipped(reason: str) -> Verdict:
    """Say why nothing was looked at."""
    return Verdict("skipped", reason, "")


def probe(name: str) -> Callable[[Callable[..., Verdict]], Probe]:
    """Name a check and make sure that it never raises: its own failure becomes a problem."""

    def decorate(check: Callable[..., Verdict]) -> Probe:
        @wraps(check)
        def guarded(*subject: Path) -> Finding:
            try:
                verdict = check(*subject)
            except ImportError as error:
                verdict = problem(
                    f"needs a package that cannot be imported: {error}",
                    "pip install --force-reinstall that package; see packages above",
                )
            except Exception as error:
                verdict = problem(
                    f"the check itself failed: {type(error).__name__}: {error}",
                    "report this, with the output of panna-plus doctor --json",
                )
            return Finding(name, verdict.status, verdict.found, verdict.fix)

        return guarded

    return decorate
