"""Commands that change the number of atoms, the box, the integrator or the potential during a run."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import MEASURE, REPORT, Deck, Measured, measure, read_results, run_deck
from tests.lammps.structures import triclinic

pytestmark = pytest.mark.lammps

QUIET = "precision double guard off"
BOX = 'print "$(lx:%.17g) $(ly:%.17g) $(lz:%.17g) $(xy:%.17g) $(xz:%.17g) $(yz:%.17g)" file box.txt'
MOVING = ["velocity all create 900 3", "timestep 0.0005"]


def deck(**changes: object) -> Deck:
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], "options": QUIET, **changes})  # type: ignore[arg-type]


def check(found: Measured, potential: Potential, atoms: Atoms, scale: float = 1.0) -> None:
    """Compare energy, forces and virial with PyTorch."""
    expected = reference.of_model(potential, atoms)
    assert np.sqrt((expected.forces**2).mean()) > 0.1
    largest = abs(expected.forces).max()
    assert abs(found.forces - scale * expected.forces).max() <= 1e-10 * largest
    assert abs(found.energy - scale * expected.energies.sum()) <= 1e-9 * len(atoms)
    assert abs(found.sum_of_energies - scale * expected.energies.sum()) <= 1e-9 * len(atoms)
    for name in ("virials", "centroid_virials"):
        assert abs(getattr(found, name) - scale * getattr(expected, name)).max() <= 1e-9 * largest
    assert abs(found.virial - scale * expected.virials.sum(0)).max() <= 1e-9 * len(atoms) * largest


def cell_after(folder: Path) -> np.ndarray:
    """Return the cell that `BOX` left behind, Å."""
    lx, ly, lz, xy, xz, yz = map(float, (folder / "box.txt").read_text().split())
    return np.array([[lx, 0, 0], [xy, ly, 0], [xz, yz, lz]])


def test_npt_changes_the_whole_box(model_path: str, potential: Potential, folder: Path) -> None:
    """A barostat takes the virial in every step and remaps atoms and ghosts."""
    barostat = [*MOVING, "fix move all npt temp 900 900 0.05 tri 0 0 0.1", "run 30", "unfix move"]
    found, _ = measure(deck(run=["run 0", BOX]), model_path, folder, 2, before=barostat)
    atoms = triclinic()
    cell = cell_after(folder)
    assert (abs(cell - atoms.cell.array)[np.tril_indices(3)] > 1e-3).all(), "the box did not change"
    # The corner of the box moves too, which changes no distance.
    atoms.set_cell(cell)
    atoms.positions = found.positions
    check(found, potential, atoms)


@pytest.mark.parametrize("newton", ["on", "off"])
def test_deposit_adds_atoms_during_a_run(newton: str, model_path: str, potential: Potential, folder: Path) -> None:
    """Arrays grow with the atoms; the last ones come without a new neighbor list in the same step."""
    rain = [
        "region air block 1.5 6.5 2.5 6.5 2.5 5.5",
        "fix rain all deposit 6 2 3 991 region air near 1.5 attempt 5000",
    ]
    run = deck(
        newton=newton,
        run=[*rain, *MOVING, "timestep 0.0001", "fix move all nve", "run 20", *MEASURE, "run 0", BOX, REPORT],
    )
    outcome = run_deck(run, model_path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    types = final_types(folder)
    assert len(types) == len(triclinic()) + 6
    run.atoms = Atoms([run.types[t - 1] for t in types], cell=cell_after(folder), pbc=True)
    found = read_results(run, folder)
    run.atoms.positions = found.positions
    check(found, potential, run.atoms)


def final_types(folder: Path) -> list[int]:
    """Return the types in the last frame of the dump, by id."""
    frame = (folder / "atoms.dump").read_text().split("ITEM: ATOMS")[-1].splitlines()[1:]
    return [int(line.split()[1]) for line in frame]


@pytest.mark.parametrize("ranks", [1, 2])
def test_respa_takes_the_whole_style_in_one_level(ranks: int, model_path: str, folder: Path) -> None:
    """With all forces in the outer level the trajectory is that of Verlet."""
    ends = []
    for name, style in (("verlet", "run_style verlet"), ("respa", "run_style respa 2 4 bond 1 pair 2")):
        start = [*MOVING, "timestep 0.001", style, "fix move all nve", "run 10"]
        found, _ = measure(deck(run=["run 0"]), model_path, folder / name, ranks, before=start)
        ends.append(found.positions)
    assert abs(ends[0] - triclinic().positions).max() > 0.01
    assert abs(ends[0] - ends[1]).max() < 1e-9


def test_sorting_changes_nothing(model_path: str, folder: Path) -> None:
    """Atoms change places in the arrays in every other step of a run."""
    ends = []
    for name, sort in (("never", "0 0.0"), ("often", "2 1.1")):
        start = [f"atom_modify sort {sort}", *MOVING, "neigh_modify every 1 delay 0", "fix move all nve", "run 20"]
        found, _ = measure(deck(run=["run 0"]), model_path, folder / name, 2, before=start)
        ends.append(found.positions)
    assert abs(ends[0] - ends[1]).max() < 1e-9


@pytest.mark.parametrize(("newton", "ranks"), [("on", 2), ("off", 1), ("off", 3)])
def test_fix_adapt_scales_everything(
    newton: str, ranks: int, model_path: str, potential: Potential, folder: Path
) -> None:
    """Energy, forces and every kind of virial carry the factor, which thermodynamic integration turns down."""
    adapt = ["variable s equal 0.25", "fix turn all adapt 1 pair panna_plus scale * * v_s"]
    found, _ = measure(deck(newton=newton), model_path, folder, ranks, before=["run 0", *adapt])
    check(found, potential, triclinic(), scale=0.25)


def test_fix_adapt_in_a_hybrid_leaves_null_types_alone(model_path: str, folder: Path) -> None:
    pair = [
        "pair_style hybrid/overlay panna_plus OPTIONS zero 3.0",
        "pair_coeff * * zero",
        "pair_coeff * * panna_plus MODEL Si NULL",
    ]
    adapt = ["variable s equal 0.5", "fix turn all adapt 1 pair panna_plus scale 1 1 v_s"]
    whole, _ = measure(deck(pair=pair), model_path, folder / "whole")
    half, _ = measure(deck(pair=pair), model_path, folder / "half", before=adapt)
    assert abs(whole.forces).max() > 0.1
    assert abs(half.forces - 0.5 * whole.forces).max() < 1e-12


def test_scale_of_one_pair_of_types_is_refused(model_path: str, folder: Path) -> None:
    adapt = ["variable s equal 0.5", "fix turn all adapt 1 pair panna_plus scale 1 2 v_s", "run 0"]
    outcome = run_deck(deck(run=adapt), model_path, folder, 2)
    assert outcome.returncode != 0
    text = re.sub(r"\s+", " ", outcome.text)
    assert re.search(r"scale is 1.0+ for one pair of atom types and 0.50+ for types 1 and 2: a many-body energy", text)
    assert "write 'pair panna_plus scale * * v_name' in fix adapt" in text
