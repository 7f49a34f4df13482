"""The pressure is minus the slope of the energy with the volume: six strains of a sheared cell, by differences."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.lammps.deck import UNITS, VOIGT, Deck, run_deck
from tests.lammps.models import TestModel
from tests.lammps.structures import triclinic

pytestmark = pytest.mark.lammps

STEP = 2e-5  # cutoff functions have a jump in the second derivative: few pairs may cross it
# Of the energy at -2, -1, 1 and 2 steps: the error is of the fourth order.
STENCIL = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * STEP)
ENERGY = ["run 0 post no", 'print "$(pe:%.17g)" append energies.txt']
PRESSURE = [
    "compute P all pressure NULL virial",
    "thermo_style custom step pe press c_P[*]",
    "run 0",
    'print "$(c_P[1]:%.17g) $(c_P[2]:%.17g) $(c_P[3]:%.17g) $(c_P[4]:%.17g) $(c_P[5]:%.17g) $(c_P[6]:%.17g)'
    ' $(press:%.17g)" file pressure.txt',
]


def strained(cell: np.ndarray, a: int, b: int, strain: float) -> list[str]:
    """Return the command that adds strain * x_b to x_a, which keeps the cell (3, 3) lower triangular for a <= b."""
    deformation = np.eye(3)
    deformation[b, a] += strain
    new = cell @ deformation
    edges = [f"{axis} final 0 {new[d, d]:.17g}" for d, axis in enumerate("xyz")]
    tilts = [f"{name} final {new[i, j]:.17g}" for name, i, j in (("xy", 1, 0), ("xz", 2, 0), ("yz", 2, 1))]
    return [f"change_box all {' '.join([*edges, *tilts])} remap units box"]


@pytest.mark.parametrize(
    ("name", "options", "ranks"),
    [("panna", "", 1), ("panna", "", 2), ("messages", "halo layer", 2), ("charges", "halo deep charge 1", 2)],
)
def test_pressure_is_the_slope_of_the_energy(
    name: str, options: str, ranks: int, models: Callable[[str], TestModel], folder: Path
) -> None:
    atoms = triclinic()
    cell, volume = atoms.cell.array, atoms.get_volume()
    lines = list(PRESSURE)
    for a, b in VOIGT:
        for n in (-2, -1, 1, 2):
            lines += [*strained(cell, a, b, n * STEP), *ENERGY]
        lines += strained(cell, 0, 0, 0.0)
    deck = Deck(atoms=atoms, types=["Si", "O"], options=f"precision double guard off {options}", run=lines)
    outcome = run_deck(deck, models(name).path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    slopes = np.loadtxt(folder / "energies.txt").reshape(6, 4) @ STENCIL
    *found, total = np.loadtxt(folder / "pressure.txt")
    expected = -slopes / volume * UNITS["metal"][2]
    largest = abs(expected).max()
    assert largest > 1e4, "a pressure of less than 1 GPa tests nothing"
    assert abs(found - expected).max() <= 1e-6 * largest
    # No atom moves: all of the pressure is that of the forces.
    assert abs(total - expected[:3].mean()) <= 1e-6 * largest
