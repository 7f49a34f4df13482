"""The example of active learning: its deck, its labels, and the whole loop."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from panna_plus.families import build_potential
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.config import PannaConfig
from panna_plus.graph import graph_from_atoms
from tests.lammps.deck import BIN, finish
from tests.lammps.models import DESCRIPTOR
from tests.small_model import write_unchecked

pytestmark = pytest.mark.lammps

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/active_learning"


def start() -> Atoms:
    return bulk("Si", "diamond", 5.431, cubic=True) * (2, 2, 2)


def test_deck_dumps_candidates(folder: Path) -> None:
    """With a committee that knows nothing and whose limits let everything pass."""
    config = PannaConfig.model_validate({"descriptor": DESCRIPTOR, "network": {"hidden": [4]}})
    members = [build_potential("panna", config, ["Si"], seed=seed) for seed in range(2)]
    rattled = start()
    rattled.positions += np.random.default_rng(0).normal(scale=0.1, size=(64, 3))
    for member in members:
        member.initialize([graph_from_atoms(rattled, ["Si"], member.cutoff)])
        # Forces too weak to move anything far.
        member.networks[0][-1].weight.data *= 1e-4
    write_unchecked(committee_of(members, ["a", "b"]), folder / "committee.pt")
    ase.io.write(folder / "start.data", start(), format="lammps-data")
    values = {
        "committee": "committee.pt",
        "start": "start.data",
        "low": "0",
        "high": "1e9",
        "every": "5",
        "steps": "10",
    }
    words = [word for name, value in values.items() for word in ("-var", name, value)]
    outcome = finish([str(BIN / "lmp"), "-in", str(EXAMPLE / "explore.in"), *words], folder)
    assert outcome.returncode == 0, outcome.text[-3000:]
    candidates = ase.io.read(folder / "candidates.dump", index=":", format="lammps-dump-text", specorder=["Si"])
    assert [len(frame) for frame in candidates] == [64, 64, 64]


def test_labels_are_derivatives(folder: Path) -> None:
    """The stand-in in numbers that `panna-plus train` reads: forces against finite differences of the energy."""
    labelled: Callable[[list[Atoms], Path], list[Atoms]] = runpy.run_path(str(EXAMPLE / "label.py"))["labelled"]
    frames = [start() for _ in range(3)]
    frames[0].positions += np.random.default_rng(0).normal(scale=0.1, size=(64, 3))
    for frame, sign in zip(frames[1:], (1, -1), strict=True):
        frame.positions[:] = frames[0].positions
        frame.positions[3, 1] += sign * 1e-4
    here, up, down = labelled(frames, folder)
    forces = here.arrays["REF_forces"]
    assert np.sqrt((forces**2).mean()) > 0.1
    slope = (up.info["REF_energy"] - down.info["REF_energy"]) / 2e-4
    assert forces[3, 1] == pytest.approx(-slope, abs=1e-5)
    assert here.info["REF_stress"].shape == (3, 3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_loop(folder: Path) -> None:
    """One round finds frames, and what it learns from them is better where it knew little."""
    words = [sys.executable, str(EXAMPLE / "loop.py"), "--folder", str(folder), "--epochs", "60"]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    errors = [
        float(line.split("force error ")[1].split()[0]) for line in done.stdout.splitlines() if "force error" in line
    ]
    assert len(ase.io.read(folder / "round_1/train.xyz", index=":")) > len(
        ase.io.read(folder / "round_0/train.xyz", index=":")
    )
    assert errors[1] < errors[0]
