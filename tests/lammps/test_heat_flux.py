"""`compute heat/flux` with centroid virials is what defines the heat flux: the rate of change of sum_i x_i e_i."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import Deck, run_deck
from tests.lammps.models import REFERENCE_ENERGIES
from tests.lammps.structures import STRUCTURES

pytestmark = pytest.mark.lammps

MVV2E = 1.0364269e-4  # eV of 1 g/mol (Å/ps)² in `units metal`
FLUX = [
    "velocity all create 1200 11 loop geom",
    "compute K all ke/atom",
    "compute E all pe/atom",
    "compute C all centroid/stress/atom NULL virial",
    "compute J all heat/flux K E C",
    "thermo_style custom step c_J[1] c_J[2] c_J[3]",
    "dump V all custom 1 velocities.dump id vx vy vz",
    "dump_modify V sort id format float %.17g",
    "run 0",
    'print "$(c_J[1]:%.17g) $(c_J[2]:%.17g) $(c_J[3]:%.17g)" file flux.txt',
]


def flux_of(structure: str, newton: str, ranks: int, model_path: str, folder: Path) -> tuple[Deck, np.ndarray]:
    """Return the deck with velocities in its atoms (Å/ps), and the flux that LAMMPS found, eV Å/ps."""
    atoms = STRUCTURES[structure]()
    deck = Deck(atoms=atoms, types=["Si", "O"], newton=newton, options="precision double guard off", run=FLUX)
    outcome = run_deck(deck, model_path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    frame = (folder / "velocities.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    atoms.arrays["velocity"] = np.array([line.split()[1:] for line in frame], dtype=float)
    return deck, np.array((folder / "flux.txt").read_text().split(), dtype=float)


def masses(deck: Deck) -> np.ndarray:
    """As written in the data file, g/mol."""
    return np.array([round(deck.mass_of(deck.types.index(s) + 1), 6) for s in deck.atoms.get_chemical_symbols()])


def barycenter(deck: Deck, atoms: Atoms, velocity: np.ndarray, potential: Potential) -> np.ndarray:
    """Return sum_i x_i e_i without the energies of lone atoms, eV Å."""
    kinetic = 0.5 * MVV2E * masses(deck) * (velocity**2).sum(1)
    return (kinetic + reference.of_model(potential, atoms).energies - lone_atoms(deck)) @ atoms.positions


def lone_atoms(deck: Deck) -> np.ndarray:
    """Return the constants that atoms carry along: large, and no test of anything."""
    of_symbol = dict(zip(("Si", "O"), REFERENCE_ENERGIES, strict=True))
    return np.array([of_symbol[symbol] for symbol in deck.atoms.get_chemical_symbols()])


@pytest.mark.parametrize("ranks", [1, 2])
def test_flux_of_a_free_cluster_is_the_rate_of_its_definition(
    ranks: int, model_path: str, potential: Potential, folder: Path
) -> None:
    deck, found = flux_of("cluster", "on", ranks, model_path, folder)
    velocity = deck.atoms.arrays["velocity"]
    forces = reference.of_model(potential, deck.atoms).forces
    assert np.sqrt((forces**2).mean()) > 0.1
    acceleration = forces / (MVV2E * masses(deck)[:, None])
    step, sides = 1e-5, []
    for t in (step, -step):
        atoms = deck.atoms.copy()
        atoms.positions += velocity * t + 0.5 * acceleration * t**2
        sides.append(barycenter(deck, atoms, velocity + acceleration * t, potential))
    rate = (sides[0] - sides[1]) / (2 * step)
    interatomic = np.einsum("nab,nb->a", reference.of_model(potential, deck.atoms).centroid_virials, velocity)
    assert abs(interatomic).max() > 0.3 * abs(rate).max(), "the part that could be wrong is too small to see"
    assert abs(found - lone_atoms(deck) @ velocity - rate).max() <= 1e-6 * abs(rate).max()


@pytest.mark.parametrize(("newton", "ranks"), [("on", 2), ("off", 3)])
def test_flux_of_a_periodic_box_comes_from_the_pair_gradients(
    newton: str, ranks: int, model_path: str, potential: Potential, folder: Path
) -> None:
    """Where x_i is not defined the flux is sum_i e_i v_i + W_i v_i."""
    deck, found = flux_of("triclinic", newton, ranks, model_path, folder)
    velocity = deck.atoms.arrays["velocity"]
    expected = reference.of_model(potential, deck.atoms)
    kinetic = 0.5 * MVV2E * masses(deck) * (velocity**2).sum(1)
    interatomic = np.einsum("nab,nb->a", expected.centroid_virials, velocity)
    assert abs(interatomic).max() > 1.0
    assert abs(found - (kinetic + expected.energies) @ velocity - interatomic).max() <= 1e-8 * abs(found).max()
