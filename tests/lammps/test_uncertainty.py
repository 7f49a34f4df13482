"""Committees in LAMMPS: fix pair and compute pair give what PyTorch finds, on the steps that ask and on no others."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.calculator.uncertainty import force_deviation
from panna_plus.families import build_potential, load_potential
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.config import PannaConfig
from panna_plus.families.panna.model import PannaPotential
from panna_plus.graph import graph_from_atoms
from panna_plus.mean_potential import mean_of
from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import Deck, launch, run_deck, write
from tests.lammps.installation import recorded_installation
from tests.lammps.models import DESCRIPTOR, ELEMENTS, REFERENCE_ENERGIES
from tests.lammps.structures import SHORTEST, STRUCTURES, crystal, slab, triclinic, with_helium
from tests.small_model import write_unchecked

pytestmark = pytest.mark.lammps

N_MEMBERS = 7  # more than one message has room for
ASK = [
    "fix u all pair 1 panna_plus force_deviation 1 extrapolation 1",
    "compute c all pair panna_plus",
    f"thermo_style custom step pe {' '.join(f'c_c[{n}]' for n in range(1, N_MEMBERS + 4))}",
    "thermo_modify format float %.17g line one",
]
WRITE = "write_dump all custom u.dump id f_u[1] f_u[2] fx fy fz modify sort id format float %.17g"


def member(seed: int, **options: object) -> PannaPotential:
    """Return one untrained model; all have one descriptor and one training set."""
    network = {"network": {"hidden": [6]}, "dtype": "float64"}
    config = PannaConfig.model_validate({"descriptor": DESCRIPTOR, **network, **options})
    potential = build_potential("panna", config, ELEMENTS, seed=seed)
    graphs = [graph_from_atoms(STRUCTURES[name](), ELEMENTS, potential.cutoff) for name in ("crystal", "triclinic")]
    potential.initialize([potential.prepare(graph) for graph in graphs])
    potential.reference_energies[0], potential.reference_energies[1] = REFERENCE_ENERGIES[0], seed
    potential.shortest_distances.fill_(SHORTEST)
    return potential


def merged(members: list[PannaPotential], path: Path) -> str:
    """Write a committee and return its path."""
    return str(write_unchecked(committee_of(members, [str(n) for n in range(len(members))]), path))


@pytest.fixture(scope="module")
def committee_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    members = [member(seed) for seed in range(N_MEMBERS)]
    return merged(members, tmp_path_factory.mktemp("committee") / "committee.pt")


@pytest.fixture(scope="module")
def several_paths(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same number of members in three files, as pair_coeff names them: of two descriptors, one a committee."""
    folder = tmp_path_factory.mktemp("several")
    other = member(8, descriptor={**DESCRIPTOR, "radial_cutoff": 4.2, "n_radial": 6})
    alone = [str(write_unchecked(each, folder / f"{n}.pt")) for n, each in enumerate((member(7), other))]
    return " ".join([alone[0], merged([member(seed) for seed in range(N_MEMBERS - 2)], folder / "five.pt"), alone[1]])


def potential_of(paths: str) -> Potential:
    files = paths.split()
    return mean_of([load_potential(path)[0] for path in files], files)


def deck(**changes: object) -> Deck:
    quiet = "precision double guard off"
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], "options": quiet, **changes})  # type: ignore[arg-type]


def thermo(text: str) -> np.ndarray:
    """Return the lines of numbers that follow the header of thermo output."""
    rows = re.findall(r"^ +\d+(?: +-?[\d.e+-]+){" + str(N_MEMBERS + 4) + "} *$", text, re.MULTILINE)
    return np.array([row.split() for row in rows], dtype=float)


def per_atom(folder: Path) -> np.ndarray:
    return np.loadtxt(folder / "u.dump", skiprows=9)[:, 1:]


def check(folder: Path, text: str, paths: str, atoms: Atoms, units: tuple[float, float] = (1.0, 1.0)) -> None:
    """Compare everything with PyTorch; `units`: 1 eV and 1 eV/Å in those of the deck.

    Atoms of other elements have zeros and count nowhere.
    """
    model = potential_of(paths)
    seen = np.isin(atoms.get_chemical_symbols(), ELEMENTS)
    graph = graph_from_atoms(atoms[seen], ELEMENTS, model.cutoff)
    members = model.predict_members(graph)
    energies = np.array([float(p.energies[0]) for p in members])
    deviation = force_deviation(np.array([p.forces.numpy() for p in members]))
    extrapolation = model.extrapolation(graph)
    assert extrapolation is not None
    assert np.sqrt((model.predict(graph).forces.numpy() ** 2).mean()) > 0.1
    assert deviation.min() > 1e-3
    assert not per_atom(folder)[~seen].any()
    found, (energy, force) = per_atom(folder)[seen], units
    np.testing.assert_allclose(found[:, 0], force * deviation, rtol=1e-9)
    np.testing.assert_allclose(found[:, 1], extrapolation.numpy(), rtol=1e-9)
    largest, mean, *rest = thermo(text)[-1][2:]
    np.testing.assert_allclose([largest, mean], [force * deviation.max(), force * deviation.mean()], rtol=1e-9)
    np.testing.assert_allclose(rest[:-1], energy * energies, rtol=1e-9)
    assert rest[-1] == pytest.approx(float(extrapolation.max()), rel=1e-9)
    assert thermo(text)[-1][1] == pytest.approx(energy * energies.mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("ranks", "newton", "atoms"),
    [(1, "on", triclinic), (2, "off", triclinic), (4, "on", crystal), (2, "on", slab), (4, "off", crystal)],
)
@pytest.mark.parametrize("files", ["committee_path", "several_paths"])
def test_parity(files: str, ranks: int, newton: str, atoms, folder: Path, request: pytest.FixtureRequest) -> None:
    paths = request.getfixturevalue(files)
    outcome = run_deck(deck(atoms=atoms(), newton=newton, run=[*ASK, "run 0", WRITE]), paths, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-3000:]
    assert "'fix pair' gives per atom: force_deviation extrapolation" in outcome.text
    assert f"committee of {N_MEMBERS}: 'compute pair' gives 1 the largest and 2 the mean force" in outcome.text
    check(folder, outcome.text, paths, atoms())


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_the_model_does_not_see(ranks: int, committee_path: str, folder: Path) -> None:
    """They have no deviation, and the mean is that of the others."""
    other = deck(atoms=with_helium(), types=["Si", "O", "He"], names=["Si", "O", "NULL"], run=[*ASK, "run 0", WRITE])
    outcome = run_deck(other, committee_path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-3000:]
    check(folder, outcome.text, committee_path, with_helium())


def test_units_and_scale(committee_path: str, folder: Path) -> None:
    """In units real with half of the energy."""
    lines = ["variable half equal 0.5", "fix s all adapt 1 pair panna_plus scale * * v_half", *ASK]
    outcome = run_deck(
        deck(units="real", run=[*lines, "thermo_modify norm no", "run 0", WRITE]), committee_path, folder
    )
    assert outcome.returncode == 0, outcome.text[-3000:]
    half = 0.5 * 8.617343e-5**-1 * 0.0019872067
    check(folder, outcome.text, committee_path, triclinic(), (half, half))


def test_mean_is_the_same_when_nobody_asks(committee_path: str, folder: Path) -> None:
    """On 2 ranks: forces of plain steps and of steps that ask, against PyTorch."""
    model, _ = load_potential(committee_path)
    expected = reference.of_model(model, triclinic()).forces
    quiet = "write_dump all custom u.dump id id id fx fy fz modify sort id format float %.17g"
    for name, lines in (("plain", ["run 0", quiet]), ("asked", [*ASK, "run 0", WRITE])):
        outcome = run_deck(deck(run=lines), committee_path, folder / name, 2)
        assert outcome.returncode == 0, outcome.text[-3000:]
        assert abs(per_atom(folder / name)[:, 2:] - expected).max() < 1e-10 * abs(expected).max()


COUNT = """
import json, sys
import panna_plus.lammps
lmp = panna_plus.lammps.load().lammps(cmdargs=["-screen", "none", "-log", "none"])
for line in open("in.lammps"):
    lmp.command(line.strip())
counts = []
def counted(*commands):
    before = lmp.extract_pair("uncertainty_evaluations")
    for command in commands:
        lmp.command(command)
    counts.append(lmp.extract_pair("uncertainty_evaluations") - before)
counted("thermo 2", "run 10")
counted("fix u all pair 5 panna_plus force_deviation 1", "run 10")
counted("fix u all pair 3 panna_plus extrapolation 1", "run 10")
counted("unfix u", "compute c all pair panna_plus", "thermo_style custom step c_c[1]", "thermo 5", "run 10")
print(json.dumps(counts))
"""


def test_steps_that_do_not_ask_do_not_compute(committee_path: str, folder: Path) -> None:
    """Members are evaluated when fix pair or the vector of compute pair wants them, and only then."""
    write(deck(run=["fix n all nve", "timestep 0.0001"]), committee_path, folder)
    done = subprocess.run([sys.executable, "-c", COUNT], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    plain, every_fifth, extrapolation, printed = json.loads(done.stdout.splitlines()[-1])
    assert plain == 0
    assert every_fifth == 3  # steps 10, 15, 20
    assert extrapolation == 0
    assert printed == 3  # steps 30, 35, 40


def test_a_compute_of_a_committee_reads_zeros_of_a_single_model(
    committee_path: str, model_path: str, folder: Path
) -> None:
    """And not what the committee said before another pair_coeff."""
    lines = [*ASK[1:], "run 0", f"pair_coeff * * {model_path} Si O", "run 0"]
    outcome = run_deck(deck(run=lines), committee_path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    of_committee, of_one = thermo(outcome.text)[:, 2:]
    assert of_committee.all()
    assert not of_one.any()


def test_a_single_model_pays_in_steps_that_ask(recorder: Path, model_path: str, folder: Path) -> None:
    """Nothing of atoms is computed in steps in which nobody asks."""
    lines = ["fix n all nve", "run 2", "fix u all pair 2 panna_plus extrapolation 1", "run 3"]
    other = deck(run=lines, first_lines=recorded_installation(folder, recorder))
    outcome = run_deck(other, model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    asked = next(folder.glob("asked.*")).read_text().splitlines()
    assert [line.split()[1:] for line in asked] == 3 * [[]] + [["extrapolation"], [], ["extrapolation"], []]


def test_halt_and_skipped_dumps(committee_path: str, folder: Path) -> None:
    """The recipe of the documentation: a dump of what is uncertain, and a stop."""
    lines = [
        "velocity all create 3000 1",
        "fix n all nve",
        "timestep 0.0005",
        "fix u all pair 2 panna_plus force_deviation 1",
        "compute largest all reduce max f_u",
        "variable deviation equal c_largest",
        "dump d all custom 2 uncertain.dump id type x y z f_u",
        'variable skip equal "v_deviation < 0.001"',
        "dump_modify d skip v_skip",
        "fix stop all halt 2 v_deviation > 0.001 error soft",
        "run 20",
    ]
    outcome = run_deck(deck(run=lines), committee_path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-3000:]
    assert re.search(r"Fix halt condition for fix-id stop met on step \d+", outcome.text)
    assert "ITEM: TIMESTEP" in (folder / "uncertain.dump").read_text()


REFUSED = {
    "one model": (
        ["fix u all pair 1 panna_plus force_deviation 1"],
        r"force_deviation is asked of the model \S+model.pt, which is evaluated as one model and not as a committee: "
        r"merge several with 'panna-plus committee' or name several files in pair_coeff, and leave out backend torch",
    ),
    "no statistics": (
        ["fix u all pair 1 panna_plus extrapolation 1"],
        r"extrapolation is asked of the model \S+model.pt, which holds no statistics of its training data",
    ),
}


@pytest.fixture(scope="module")
def old_model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model as older versions wrote them."""
    potential = member(0)
    potential.statistics = None  # type: ignore[assignment]
    return str(write_unchecked(potential, tmp_path_factory.mktemp("old") / "model.pt"))


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, old_model_path: str, folder: Path) -> None:
    lines, text = REFUSED[name]
    outcome = run_deck(deck(run=[*lines, "run 0"]), old_model_path, folder)
    assert outcome.returncode != 0
    assert re.search(text, re.sub(r"\s+", " ", outcome.text)), outcome.text[-2000:]


def test_a_fix_without_its_flag_is_told_so(committee_path: str, folder: Path) -> None:
    lines = ["fix u all pair 1 panna_plus force_deviation 0", "run 0"]
    outcome = run_deck(deck(run=lines), committee_path, folder)
    assert outcome.returncode != 0
    text = re.sub(r"\s+", " ", outcome.text)
    assert "fix pair reads force_deviation on step 0 without having asked for it: write 'fix ID all pair N" in text


def test_old_model_runs(old_model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(), old_model_path, folder)
    assert outcome.returncode == 0
    assert "fix pair" not in outcome.text


@pytest.mark.parametrize(("ranks", "newton"), [(1, "on"), (2, "off")])
def test_extrapolation_beside_other_numbers_of_atoms(ranks: int, newton: str, folder: Path) -> None:
    """One fix may ask for both, of a model with a repulsion; its atoms are close enough to feel that."""
    potential = member(0, terms={"repulsion": True})
    write_unchecked(potential, folder / "repelled.pt")
    atoms = triclinic()
    atoms.set_cell(0.8 * atoms.cell.array, scale_atoms=True)
    ask = "fix u all pair 1 panna_plus extrapolation 1 repulsion_energies 1"
    outcome = run_deck(
        deck(atoms=atoms, newton=newton, run=[ask, "run 0", WRITE]), str(folder / "repelled.pt"), folder, ranks
    )
    assert outcome.returncode == 0, outcome.text[-3000:]
    graph = graph_from_atoms(atoms, ELEMENTS, potential.cutoff)
    prediction, extrapolation = potential.predict(graph), potential.extrapolation(graph)
    assert extrapolation is not None
    repelled = prediction.details["repulsion_energies"].numpy()
    assert repelled.max() > 0.1
    assert np.sqrt((prediction.forces.numpy() ** 2).mean()) > 0.1
    expected = np.column_stack([extrapolation.numpy(), repelled, prediction.forces.numpy()])
    np.testing.assert_allclose(per_atom(folder), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("files", ["committee_path", "several_paths"])
def test_restart(files: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """What read_restart opens can be asked as well."""
    paths = request.getfixturevalue(files)
    outcome = run_deck(deck(run=["run 0", "write_restart system.restart"]), paths, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    lines = ["read_restart system.restart", "neighbor 0.8 bin", *ASK, "run 0", WRITE, ""]
    (folder / "in.lammps").write_text("\n".join(lines))
    outcome = launch(folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    check(folder, outcome.text, paths, triclinic())
