"""`compute heat/flux` with centroid virials is what defines the heat flux: the rate of change of sum_i x_i e_i.

With messages it is not, and the pair style says so.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import Deck, run_deck
from tests.lammps.models import REFERENCE_ENERGIES, TestModel
from tests.lammps.structures import STRUCTURES
from tests.lammps.test_messages import flat

pytestmark = pytest.mark.lammps

MVV2E = 1.0364269e-4  # eV of 1 g/mol (Å/ps)² in `units metal`
CENTROIDS = "compute C all centroid/stress/atom NULL virial"
FLUX = [
    "velocity all create 1200 11 loop geom",
    "compute K all ke/atom",
    "compute E all pe/atom",
    CENTROIDS,
    "compute J all heat/flux K E C",
    "thermo_style custom step c_J[1] c_J[2] c_J[3]",
    "dump V all custom 1 velocities.dump id vx vy vz",
    "dump_modify V sort id format float %.17g",
    "run 0",
    'print "$(c_J[1]:%.17g) $(c_J[2]:%.17g) $(c_J[3]:%.17g)" file flux.txt',
]
APPROXIMATE = (
    "WARNING: pair_style panna_plus: centroid virials of a model with messages are an approximation, and a heat flux "
    "made of them may be off by a third or more: what a pair does to energies of atoms further away counts as if it "
    "were done to its own. Their sum, the virial, is exact. This warning is printed once"
)


def flux_of(
    structure: str, newton: str, ranks: int, model_path: str, folder: Path, options: str = ""
) -> tuple[Deck, np.ndarray]:
    """Return the deck with velocities in its atoms (Å/ps), and the flux that LAMMPS found, eV Å/ps."""
    atoms = STRUCTURES[structure]()
    options = f"precision double guard off {options}"
    deck = Deck(atoms=atoms, types=["Si", "O"], newton=newton, options=options, run=FLUX)
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


def rate_of_change(deck: Deck, potential: Potential) -> np.ndarray:
    """Return d/dt sum_i x_i e_i of a free cluster by central differences, without lone atoms, eV Å/ps."""
    velocity = deck.atoms.arrays["velocity"]
    forces = reference.of_model(potential, deck.atoms).forces
    assert np.sqrt((forces**2).mean()) > 0.1
    acceleration = forces / (MVV2E * masses(deck)[:, None])
    step, sides = 1e-6, []
    for t in (step, -step):
        atoms = deck.atoms.copy()
        atoms.positions += velocity * t + 0.5 * acceleration * t**2
        sides.append(barycenter(deck, atoms, velocity + acceleration * t, potential))
    return (sides[0] - sides[1]) / (2 * step)


def flux_from(virials: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Return the interatomic part, sum_n W_n v_n."""
    return np.asarray(np.einsum("nab,nb->a", virials, velocity))


def convective(deck: Deck, expected: reference.Expected) -> np.ndarray:
    """Return sum_i e_i v_i."""
    velocity = deck.atoms.arrays["velocity"]
    return (0.5 * MVV2E * masses(deck) * (velocity**2).sum(1) + expected.energies) @ velocity


@pytest.mark.parametrize(
    ("name", "options", "newton", "ranks"),
    [
        ("panna", "", "on", 1),
        ("panna", "", "on", 2),
        ("one_layer", "", "on", 1),
        ("one_layer", "", "off", 2),
        ("one_layer", "backend torch", "on", 2),
    ],
)
def test_flux_of_a_free_cluster_is_the_rate_of_its_definition(
    name: str,
    options: str,
    newton: str,
    ranks: int,
    models: Callable[[str], TestModel],
    folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Of models in which the energy of an atom depends on its neighbors alone."""
    if "torch" in options:
        request.getfixturevalue("torch_backend")
    deck, found = flux_of("cluster", newton, ranks, models(name).path, folder, options)
    potential, velocity = models(name).potential, deck.atoms.arrays["velocity"]
    rate = rate_of_change(deck, potential)
    virials = reference.of_model(potential, deck.atoms).centroid_virials
    assert abs(flux_from(virials, velocity)).max() > 0.3 * abs(rate).max(), (
        "the part that could be wrong is too small to see"
    )
    assert abs(found - lone_atoms(deck) @ velocity - rate).max() <= 1e-6 * abs(rate).max()
    # The same for all velocities at once.
    assert abs(virials - reference.exact_centroid_virials(potential, deck.atoms)).max() <= 1e-10


@pytest.mark.parametrize(("newton", "ranks"), [("on", 2), ("off", 3)])
def test_flux_of_a_periodic_box_comes_from_the_pair_gradients(
    newton: str, ranks: int, model_path: str, potential: Potential, folder: Path
) -> None:
    """Where x_i is not defined the flux is sum_i e_i v_i + W_i v_i."""
    deck, found = flux_of("triclinic", newton, ranks, model_path, folder)
    expected = reference.of_model(potential, deck.atoms)
    interatomic = flux_from(expected.centroid_virials, deck.atoms.arrays["velocity"])
    assert abs(interatomic).max() > 1.0
    assert abs(found - convective(deck, expected) - interatomic).max() <= 1e-8 * abs(found).max()


@pytest.mark.parametrize(
    ("name", "options", "ranks"),
    [
        ("messages", "", 1),
        ("messages", "halo deep", 2),
        ("messages", "backend torch", 2),
        ("charges", "", 3),
        ("two_layers", "", 4),
    ],
)
def test_flux_with_messages_is_an_approximation(
    name: str,
    options: str,
    ranks: int,
    models: Callable[[str], TestModel],
    folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    """The same one whatever evaluates it. How far from the definition is what the documentation says."""
    if "torch" in options:
        request.getfixturevalue("torch_backend")
    deck, found = flux_of("cluster", "off", ranks, models(name).path, folder, options)
    model, velocity = models(name).potential, deck.atoms.arrays["velocity"]
    expected, exact = reference.of_model(model, deck.atoms), reference.exact_centroid_virials(model, deck.atoms)
    approximate = flux_from(expected.centroid_virials, velocity)
    assert abs(found - convective(deck, expected) - approximate).max() <= 1e-8 * abs(found).max()

    rate = rate_of_change(deck, model) + lone_atoms(deck) @ velocity - convective(deck, expected)
    assert abs(flux_from(exact, velocity) - rate).max() <= 1e-6 * abs(rate).max()
    assert abs(exact.sum(0) - expected.centroid_virials.sum(0)).max() <= 1e-10
    size = {"messages": 0.09, "charges": 0.11, "two_layers": 0.002}[name]
    assert reference.flux_error(model, deck.atoms) == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("messages", [CENTROIDS], 1),
        ("messages", ["compute S all stress/atom NULL"], 0),
        ("panna", [CENTROIDS], 0),
        ("one_layer", [CENTROIDS], 0),
    ],
    ids=["asked", "not asked", "local", "neighbors alone"],
)
def test_the_approximation_is_said_once(
    name: str, lines: list[str], said: int, models: Callable[[str], TestModel], folder: Path
) -> None:
    """In a script with three runs on two ranks."""
    deck = Deck(atoms=STRUCTURES["triclinic"](), types=["Si", "O"], run=["run 0", *lines, "run 1", "run 1"])
    outcome = run_deck(deck, models(name).path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert flat(outcome.text).count(APPROXIMATE) == said
