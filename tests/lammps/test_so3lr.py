"""The published SO3LR weights in LAMMPS: upstream's numbers on any number of ranks, and the example runs."""

import re
import shutil
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from panna_plus.commands.main import main
from tests.lammps.deck import Deck, launch, measure
from tests.lammps.test_messages import flat

pytestmark = [pytest.mark.lammps, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples/water_so3lr"
ELEMENTS = {"atat": ["C", "H", "N", "O"], "water": ["O", "H"]}


@pytest.fixture(scope="module")
def model(reference_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("so3lr") / "so3lr.pt"
    assert main(["import", "so3lr", str(reference_folder / "so3lr"), "-o", str(path)]) == 0
    return str(path)


def system(folder: Path, name: str) -> tuple[Atoms, float, np.ndarray]:
    """Return atoms with the energy and forces that upstream computed; one of the eight boxes of water that it did."""
    stored = np.load(folder / f"{name}_reference.npz")
    if name == "water":
        atoms, factor = ase.io.read(folder / "water_64.extxyz"), 8
    else:
        atoms, factor = ase.io.read(folder / "atat.extxyz"), 1
        atoms.pbc = False
        atoms.positions += 2.0 - atoms.positions.min(axis=0)
        atoms.cell = np.diag(atoms.positions.max(axis=0) + 2.0)
    return atoms, float(stored["energy_float64"]) / factor, stored["forces_float64"][: len(atoms)]


@pytest.mark.parametrize(("name", "halo"), [("atat", "layer"), ("atat", "deep"), ("water", "layer")])
def test_published_numbers(name: str, halo: str, model: str, reference_folder: Path, tmp_path: Path) -> None:
    atoms, energy, forces = system(reference_folder / "so3lr", name)
    assert np.sqrt((forces**2).mean()) > 0.1
    found = []
    for ranks in (1, 2, 4):
        deck = Deck(atoms, ELEMENTS[name], options=f"precision double halo {halo}")
        result, outcome = measure(deck, model, tmp_path / str(ranks), ranks)
        assert abs(result.energy - energy) < 1e-6 + 1e-7 * abs(energy)
        assert abs(result.forces - forces).max() < 5e-6
        assert ("Hirshfeld ratios below 0.3 for 64 of 64 O atoms" in flat(outcome.text)) == (name == "water")
        found.append(result)
    for other in found[1:]:
        assert abs(other.forces - found[0].forces).max() < 1e-10
        assert abs(other.virial - found[0].virial).max() < 1e-8
        assert abs(other.energy - found[0].energy) < 1e-10 * abs(energy)


def test_the_example_runs(model: str, tmp_path: Path) -> None:
    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "in.lammps").write_text(f'variable model index "{model}"\nvariable steps index 20\ninclude nvt.in\n')
    outcome = launch(tmp_path, 2)
    assert outcome.returncode == 0, outcome.text[-3000:]
    assert re.search(r"Hirshfeld ratios below 0.3 for \d+ of 64 O atoms", flat(outcome.text))
    rows = re.findall(r"^ +(\d+) +([\d.]+) +(-\S+) +(-\S+) +(\S+) +(-\S+) +(\S+) +(\S+) *$", outcome.text, re.MULTILINE)
    table = np.array(rows, dtype=float)
    assert len(table) == 3
    assert (table[:, 1] < 900).all()
    # Charges of oxygen, Hirshfeld ratios.
    assert (table[:, 5] < -0.2).all()
    assert (table[:, 6] < 0.6).all()
