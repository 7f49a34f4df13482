"""Decks with what only tests need: several models of units, ids with gaps, bonds, lines anywhere.

The environment variable PANNA_PLUS_LAMMPS=LMP:FOLDER names another `lmp` to run them with, and the folder of the pair
style that was built for it. What it cannot do, for want of MPI or of a package, is skipped.
"""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from panna_plus.verify import deck as package
from panna_plus.verify.deck import (
    CENTROID,
    MEASURE,
    REPORT,
    UNITS,
    VOIGT,
    Measured,
    matrices,
    read_results,
)
from panna_plus.verify.processes import run
from panna_plus.verify.programs import NO_MPI, SMALL_RUN, build_of, lammps_command

__all__ = [
    "BIN",
    "CENTROID",
    "MEASURE",
    "REPORT",
    "UNITS",
    "VOIGT",
    "Deck",
    "Measured",
    "Outcome",
    "finish",
    "launch",
    "matrices",
    "measure",
    "need_stock_lammps",
    "read_results",
    "run_deck",
    "write",
]

BIN = Path(sys.executable).parent
OTHER_LAMMPS, OTHER_PLUGIN = (
    map(Path, text.split(":")) if (text := os.environ.get("PANNA_PLUS_LAMMPS")) else (None, None)
)
NO_PACKAGE = re.compile(r"(?:is part of the|without) (\S+) package (?:which is not enabled|installed)")
TIME_LIMIT = 120  # s: a rank that waits for another one must not hang the tests


@dataclass
class Deck(package.Deck):
    """One LAMMPS simulation.

    `names` is what pair_coeff is told (default: `types`). `lines` stand between the definition of the system and
    the pair style, `run` after everything. `bonds` are pairs of ids; they exert no force. The centroid virial
    is taken of what `centroid` says.
    """

    names: list[str] | None = None
    pair: list[str] | None = None
    first_lines: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    gaps_in_ids: bool = False
    masses: dict[int, float] = field(default_factory=dict)
    bonds: list[tuple[int, int]] = field(default_factory=list)
    centroid: str = "virial"

    def measures(self) -> list[str]:
        """Return what prints the results, with the part of the centroid virial that this deck wants."""
        return package.measures(self.centroid)

    @property
    def atom_style(self) -> str:
        return "bond" if self.bonds else "atomic"

    def ids(self) -> np.ndarray:
        """Ids of the atoms; with gaps they also stand in no order."""
        n = len(self.atoms)
        return np.random.default_rng(0).permutation(n) * 7 + 5 if self.gaps_in_ids else super().ids()

    def mass_of(self, atom_type: int) -> float:
        return self.masses[atom_type] if atom_type in self.masses else super().mass_of(atom_type)

    def pair_lines(self, model: str) -> list[str]:
        names = " ".join(self.names or self.types)
        lines = self.pair or ["pair_style panna_plus OPTIONS", "pair_coeff * * MODEL NAMES"]
        for word, value in (("OPTIONS", self.options), ("MODEL", model), ("NAMES", names)):
            lines = [line.replace(word, value) for line in lines]
        return lines

    def box_lines(self) -> list[str]:
        before, after = (["bond_style zero"], ["bond_coeff * 1.5"]) if self.bonds else ([], [])
        return [*self.style_lines(), *self.first_lines, *before, f"read_data {package.DATA}", *after, *self.lines]

    def count_lines(self) -> list[str]:
        bonds = [f"{len(self.bonds)} bonds", "1 bond types", "4 extra special per atom"] if self.bonds else []
        return [*super().count_lines(), *bonds]

    def atom_lines(self) -> list[str]:
        if not self.bonds:
            return super().atom_lines()
        lines = [f"{number} 1 {rest}" for number, rest in (line.split(" ", 1) for line in super().atom_lines())]
        return [*lines, "", "Bonds", "", *(f"{n} 1 {a} {b}" for n, (a, b) in enumerate(self.bonds, 1))]


@dataclass
class Outcome:
    """What a finished `lmp` left behind."""

    returncode: int
    text: str
    folder: Path


def need_stock_lammps() -> None:
    """Skip what copies or changes the installed pair style, where the tests run another LAMMPS."""
    if OTHER_LAMMPS:
        pytest.skip("about the pair style of the stock LAMMPS")


def launch(
    folder: Path, ranks: int = 1, environment: dict[str, str] | None = None, seconds: float = TIME_LIMIT
) -> Outcome:
    """Run `in.lammps` in a folder; one rank runs without mpiexec, as people do."""
    if ranks > 1 and OTHER_LAMMPS and build_of(OTHER_LAMMPS).mpi.family == NO_MPI:
        pytest.skip(f"{OTHER_LAMMPS} was compiled without MPI")
    environment = {**({"LAMMPS_PLUGIN_PATH": str(OTHER_PLUGIN)} if OTHER_PLUGIN else {}), **(environment or {})}
    outcome = finish(lammps_command(ranks, OTHER_LAMMPS), folder, environment, seconds)
    if OTHER_LAMMPS and (missing := NO_PACKAGE.search(re.sub(r"\s+", " ", outcome.text))):
        pytest.skip(f"{OTHER_LAMMPS} was compiled without the package {missing[1]}")
    return outcome


def finish(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, seconds: float = TIME_LIMIT
) -> Outcome:
    """Run a command to its end and keep what it printed."""
    done = run(command, seconds, folder, {**SMALL_RUN, **(environment or {})})
    assert not done.timed_out, f"{command} took longer than {seconds} s: {done.text[-3000:]}"
    return Outcome(done.returncode, done.text, folder)


def write(deck: Deck, model: str, folder: Path) -> None:
    deck.write(model, folder)


def run_deck(deck: Deck, model: str, folder: Path, ranks: int = 1) -> Outcome:
    write(deck, model, folder)
    return launch(folder, ranks)


def measure(
    deck: Deck, model: str, folder: Path, ranks: int = 1, before: Sequence[str] = ()
) -> tuple[Measured, Outcome]:
    """Run a deck and read energies, forces and virials after its last step; `before` runs unmeasured.

    A run that fails shows what it printed.
    """
    deck.run = [*before, *deck.measures(), *deck.run, REPORT]
    outcome = run_deck(deck, model, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-3000:]
    return read_results(deck, folder), outcome
