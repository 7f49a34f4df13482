"""Partial charges, total charge, spin and Hirshfeld ratios: what LAMMPS is given, and what people are told."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.export import export_model
from panna_plus.graph import graph_from_atoms, pair_list
from tests.lammps import reference
from tests.lammps.deck import MEASURE, REPORT, Deck, measure, read_results, run_deck
from tests.lammps.models import ELEMENTS, TestModel
from tests.lammps.structures import cluster, triclinic
from tests.lammps.test_messages import flat

pytestmark = pytest.mark.lammps

Models = Callable[[str], TestModel]
QUIET = "precision double guard off"
WITH_CHARGES = ["fix room all property/atom q ghost yes"]
# With all sums in one program `backend torch` takes one rank.
ROUTES = [("torch", 1), pytest.param("native", 1, marks=pytest.mark.slow), ("native", 3)]
ALL_ROUTES = pytest.mark.parametrize(("backend", "ranks"), ROUTES)


@pytest.fixture(autouse=True)
def _needs_its_backend(request: pytest.FixtureRequest) -> None:
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("backend") == "torch":
        request.getfixturevalue("torch_backend")


def deck(options: str = "", **changes: object) -> Deck:
    changes.setdefault("atoms", triclinic())
    return Deck(types=["O", "Si"], options=f"{QUIET} {options}", **changes)  # type: ignore[arg-type]


def charged(atoms: Atoms, charge: float = 1.0, spin: float = 0.0) -> Atoms:
    atoms.info.update(charge=charge, spin=spin)
    return atoms


def column(folder: Path, name: str, frame: int = -1) -> np.ndarray:
    """Read one number per atom, sorted by id, from a frame of `numbers.dump`."""
    head, *lines = (folder / "numbers.dump").read_text().split("ITEM: ATOMS")[frame].splitlines()
    lines = [line for line in lines if not line.startswith("ITEM")]
    n_atoms = len(triclinic())
    place = head.split().index(name)
    return np.array([float(line.split()[place]) for line in lines[:n_atoms]])


DUMP = ["dump N all custom 1 numbers.dump id q f_h[*]", "dump_modify N sort id format float %.17g"]


@ALL_ROUTES
def test_charges_reach_atoms_and_computes(backend: str, ranks: int, models: Models, folder: Path) -> None:
    model = models("charges")
    asks = "fix h all pair 1 panna_plus charges 0 hirshfeld_ratios 1 electrostatic_energies 1"
    run = deck(f"charges on charge 1 backend {backend}", first_lines=WITH_CHARGES, run=[asks, *DUMP, "run 0"])
    run.units = "real"
    outcome = run_deck(run, model.path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    atoms = charged(triclinic())
    charges = reference.detail_of(model.potential, atoms, "charges")
    assert np.ptp(charges) > 0.1
    assert charges.sum() == pytest.approx(1.0)
    for found in ("q", "f_h[1]"):
        np.testing.assert_allclose(column(folder, found), charges, rtol=0, atol=1e-9)
    ratios = reference.detail_of(model.potential, atoms, "hirshfeld_ratios")
    np.testing.assert_allclose(column(folder, "f_h[2]"), ratios, rtol=0, atol=1e-9)
    energies = 23.0605501 * reference.detail_of(model.potential, atoms, "electrostatic_energies")
    np.testing.assert_allclose(column(folder, "f_h[3]"), energies, rtol=1e-7, atol=1e-7)
    assert abs(energies).max() > 0.1


@pytest.mark.parametrize("ranks", [1, 3])
def test_styles_that_come_later_find_charges_on_all_atoms(ranks: int, models: Models, folder: Path) -> None:
    """Also on those of other ranks and on images: forces of point charges in the same step."""
    model, cutoff = models("charges"), 4.0
    style = f"pair_style hybrid/overlay panna_plus OPTIONS coul/cut {cutoff}"
    pair = [style, "pair_coeff * * panna_plus MODEL NAMES", "pair_coeff * * coul/cut"]
    found, _ = measure(deck("charges on charge 1", first_lines=WITH_CHARGES, pair=pair), model.path, folder, ranks)
    atoms = charged(triclinic())
    q = reference.detail_of(model.potential, atoms, "charges")
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    r = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    energies = 0.5 * 14.399645 * q[i] * q[j] / np.linalg.norm(r, axis=1)
    gradients = -(energies / (r**2).sum(1))[:, None] * r
    of_charges = reference.from_pairs(np.bincount(i, energies, len(atoms)), i, j, r, gradients)
    assert np.sqrt((of_charges.forces**2).mean()) > 0.1
    expected = reference.of_model(model.potential, atoms) + of_charges
    assert abs(found.forces - expected.forces).max() <= 1e-8
    assert abs(found.energy - expected.energies.sum()) <= 1e-7


@ALL_ROUTES
def test_a_trigger_says_in_which_steps(backend: str, ranks: int, models: Models, folder: Path) -> None:
    """`fix pair` asks every other step; between, it keeps what it has."""
    asks = "fix h all pair 2 panna_plus charges 1 hirshfeld_ratios 1"
    lines = [asks, "fix move all nve", "velocity all create 900 3", *DUMP, "run 3"]
    run = deck(f"charges on backend {backend}", first_lines=WITH_CHARGES, run=lines)
    outcome = run_deck(run, models("charges").path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    frames = {step: (column(folder, "q", step + 1), column(folder, "f_h[1]", step + 1)) for step in range(4)}
    for step, (q, asked) in frames.items():
        np.testing.assert_allclose(asked, frames[step - step % 2][0], rtol=0, atol=1e-12)
        assert step % 2 == 0 or abs(q - asked).max() > 1e-6


def test_an_unknown_name_is_refused(models: Models, folder: Path) -> None:
    run = deck(run=["fix h all pair 1 panna_plus dipoles 0", "run 0"])
    outcome = run_deck(run, models("messages").path, folder)
    assert outcome.returncode != 0
    assert re.search(r"ERROR.*[Ff]ix pair", outcome.text)


MOLECULE = "ion\n\n2 atoms\n\nCoords\n\n1 0 0 0\n2 1.7 0 0\n\nTypes\n\n1 1\n2 2\n"


@ALL_ROUTES
def test_deposit_of_a_charged_molecule(backend: str, ranks: int, models: Models, folder: Path) -> None:
    """Sums over all atoms follow the atoms that a run adds; the total charge is what the script says."""
    model = models("charges")
    folder.joinpath("ion.mol").write_text(MOLECULE)
    rain = [
        "molecule ion ion.mol",
        "region air block 3 27 3 27 10 27",
        "fix rain all deposit 3 0 3 991 region air near 2.0 attempt 5000 mol ion",
    ]
    moving = ["velocity all create 300 3", "timestep 0.0001", "fix move all nve", "run 12"]
    run = deck(f"charge 1 backend {backend}", atoms=cluster())
    run.run = [*rain, *moving, *MEASURE, "run 0", REPORT]
    outcome = run_deck(run, model.path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    frame = (folder / "atoms.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    types = [int(line.split()[1]) for line in frame]
    assert len(types) == len(cluster()) + 6
    run.atoms = charged(Atoms([run.types[t - 1] for t in types], cell=cluster().cell))
    found = read_results(run, folder)
    run.atoms.positions = found.positions
    expected = reference.of_model(model.potential, run.atoms)
    assert np.sqrt((expected.forces**2).mean()) > 0.1
    assert abs(found.forces - expected.forces).max() <= 1e-9
    assert abs(found.energy - expected.energies.sum()) <= 1e-8


@ALL_ROUTES
def test_types_that_change_change_the_sums(backend: str, ranks: int, models: Models, folder: Path) -> None:
    model = models("charges")
    before = ["run 0", "set atom 1*9 type 2"]
    found, _ = measure(deck(f"charge 1 spin 1 backend {backend}"), model.path, folder, ranks, before)
    atoms = charged(triclinic(), spin=1.0)
    atoms.symbols[:9] = "Si"
    assert str(atoms.symbols) != str(triclinic().symbols)
    expected = reference.of_model(model.potential, atoms)
    assert abs(found.forces - expected.forces).max() <= 1e-9
    assert abs(found.energy - expected.energies.sum()) <= 1e-8


@pytest.mark.parametrize("backend", [pytest.param("torch", marks=pytest.mark.slow), "native"])
def test_forces_are_the_slope_of_the_energy(backend: str, models: Models, folder: Path) -> None:
    """Central differences of what LAMMPS prints, for one coordinate of four atoms."""
    lines = ["group one empty"]
    for atom in (1, 8, 17, 30):
        lines += [f"group one id {atom}", "run 0 post no", f"print '$(fx[{atom}]:%.17g)' append forces.txt"]
        for step in ("1e-4", "-2e-4"):
            lines += [f"displace_atoms one move {step} 0 0", "run 0 post no", "print '$(pe:%.17g)' append energies.txt"]
        lines += ["displace_atoms one move 1e-4 0 0", "group one clear"]
    run = deck(f"charge -1 backend {backend}", first_lines=["atom_modify map yes"], run=lines)
    outcome = run_deck(run, models("charges").path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    energies = np.loadtxt(folder / "energies.txt").reshape(-1, 2)
    forces = np.loadtxt(folder / "forces.txt")
    assert abs(forces).max() > 0.1
    np.testing.assert_allclose((energies[:, 1] - energies[:, 0]) / 2e-4, forces, rtol=0, atol=1e-6)


REFUSED: dict[str, tuple[str, str, dict[str, object], str]] = {
    "half a charge": (
        "charges",
        "charge 0.5",
        {},
        r"option charge is a whole number, the total charge in e, found '0.5'",
    ),
    "no number": ("charges", "spin singlet", {}, r"option spin is a whole number, how many electrons are unpaired"),
    "negative spin": ("charges", "spin -1", {}, r"option spin is a whole number.*found '-1'"),
    "no cutoff": ("charges", "lr_cutoff 0", {}, r"option lr_cutoff is a positive length, found '0'"),
    "charge of a local model": (
        "panna",
        "charge 1",
        {},
        r"charge 1 means nothing to the model \S+ \(family panna\), whose energy does not depend on the total charge",
    ),
    "spin of a model without": ("messages", "spin 1", {}, r"spin 1 means nothing to the model"),
    "spin beyond the training": (
        "charges",
        "spin 3",
        {},
        r"spin is 3 unpaired electrons; the model \S+ \(family so3krates\) was trained with 0 to 2 and means nothing "
        r"beyond \(0 is a singlet: give the number of unpaired electrons, not the multiplicity\)",
    ),
    "lengths of a program": (
        "charges",
        "backend torch lr_cutoff 6.0",
        {},
        r"a long-range cutoff or damping was given, but models of the family so3krates have no long-range terms here",
    ),
    "charges of a model without": (
        "messages",
        "charges on",
        {},
        r"charges on, but the model \S+ .* has no partial charges",
    ),
    "atoms without charges": (
        "charges",
        "charges on",
        {},
        r"charges on, but atoms of this atom style have no charge: write 'atom_style charge'",
    ),
}


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, models: Models, folder: Path) -> None:
    name, options, changes, message = REFUSED[case]
    outcome = run_deck(deck(options, **changes), models(name).path, folder)
    assert outcome.returncode != 0
    assert re.search(f"ERROR: pair_style panna_plus: {message}", flat(outcome.text)), outcome.text[-2000:]


@pytest.mark.usefixtures("torch_backend")
def test_torch_adds_up_charges_on_one_rank(models: Models, folder: Path) -> None:
    outcome = run_deck(deck("backend torch"), models("charges").path, folder, 2)
    assert outcome.returncode != 0
    assert "backend torch can add up the charges of all atoms on one rank only, found 2 ranks" in flat(outcome.text)


FAR = r"WARNING: pair_style panna_plus: total charge 2: no reference with a charge other than -1 to 1 stands behind"
CELL = r"WARNING: pair_style panna_plus: a periodic cell with a total charge: its partial charges add up to that charge"


@pytest.mark.parametrize(("atoms", "charge", "said"), [(triclinic, 2, [1, 1]), (triclinic, 1, [0, 1]),
                                                       (cluster, 2, [1, 0]), (cluster, -1, [0, 0])])  # fmt: skip
def test_warnings_of_charge(
    atoms: Callable[[], Atoms], charge: int, said: list[int], models: Models, folder: Path
) -> None:
    run = deck(f"charge {charge}", atoms=atoms(), run=["run 0", "run 0"])
    outcome = run_deck(run, models("charges").path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert [len(re.findall(text, flat(outcome.text))) for text in (FAR, CELL)] == said
    assert f"charge {charge}, spin 0, lr_cutoff 4.4 angstrom, damping 1.5 angstrom, charges off" in outcome.text


@pytest.fixture(scope="session")
def shrunk(models: Models, tmp_path_factory: pytest.TempPathFactory) -> TestModel:
    """The model with Hirshfeld ratios of oxygen that go below 0.3."""
    potential = copy.deepcopy(models("charges").potential)
    ratios = reference.detail_of(potential, triclinic(), "hirshfeld_ratios")
    is_oxygen = np.array(triclinic().get_chemical_symbols()) == "O"
    potential.terms.ratios.offset.weight.data[1] += 0.3 - float(np.median(ratios[is_oxygen]))
    path = tmp_path_factory.mktemp("shrunk") / "model.pt"
    export_model(potential, path, [graph_from_atoms(triclinic(), ELEMENTS, potential.cutoff)])
    return TestModel(str(path), potential)


@ALL_ROUTES
def test_low_ratios_are_counted_once(backend: str, ranks: int, shrunk: TestModel, folder: Path) -> None:
    graph = graph_from_atoms(triclinic(), ELEMENTS, shrunk.potential.cutoff)
    said = shrunk.potential.remarks(graph, shrunk.potential.predict(graph))["ratios"]
    assert re.search(r"below 0.3 for \d+ of \d+ O", said)
    outcome = run_deck(deck(f"backend {backend}", run=["run 0", "run 1"]), shrunk.path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert (
        flat(outcome.text).count(f"WARNING: pair_style panna_plus: step 0, {said}. This warning is printed once") == 1
    )
    assert outcome.text.count("Hirshfeld") == 1
