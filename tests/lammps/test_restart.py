"""Restart files bring back model, options and elements, and say so when the model is not what it was."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from panna_plus.export import export_model
from panna_plus.graph import graph_from_atoms
from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import MEASURE, REPORT, Deck, launch, read_results, run_deck
from tests.lammps.models import TestModel
from tests.lammps.structures import triclinic

pytestmark = pytest.mark.lammps

RESTARTED = ["read_restart system.restart", "neighbor 0.8 bin", *MEASURE, "run 0", REPORT]
HYBRID = [
    "pair_style hybrid/overlay zero 4.0 panna_plus OPTIONS",
    "pair_coeff * * zero",
    "pair_coeff * * panna_plus MODEL NAMES",
]


def deck(**changes: object) -> Deck:
    changes.setdefault("run", ["run 0", "write_restart system.restart"])
    quiet = "precision double guard off"
    return Deck(**{"atoms": triclinic(), "types": ["O", "Si"], "options": quiet, **changes})  # type: ignore[arg-type]


def go_on(folder: Path, lines: list[str], ranks: int = 1) -> str:
    """Run LAMMPS again in a folder; return what it printed, whitespace made even."""
    (folder / "in.lammps").write_text("\n".join([*lines, ""]))
    outcome = launch(folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    return re.sub(r"\s+", " ", outcome.text)


def check(writing: Deck, folder: Path, potential: Potential) -> None:
    found, expected = read_results(writing, folder), reference.of_model(potential, triclinic())
    assert np.sqrt((expected.forces**2).mean()) > 0.1
    assert abs(found.forces - expected.forces).max() <= 1e-10 * abs(expected.forces).max()
    assert abs(found.energy - expected.energies.sum()) <= 1e-9 * len(writing.atoms)


@pytest.mark.parametrize("pair", [None, HYBRID], ids=["alone", "hybrid"])
def test_restart(pair: list[str] | None, model_path: str, potential: Potential, folder: Path) -> None:
    """Written by one rank and read by two; pair_style and pair_coeff are not repeated."""
    writing = deck(pair=pair)
    assert run_deck(writing, model_path, folder).returncode == 0
    # A hybrid style keeps its sub-styles, but LAMMPS does not store which of them serves which types.
    again = [] if pair is None else ["pair_coeff * * zero", f"pair_coeff * * panna_plus {model_path} O Si"]
    text = go_on(folder, [RESTARTED[0], *again, *RESTARTED[1:]], 2)
    assert "precision double, guard off" in text
    assert "types: 1 = O, 2 = Si" in text
    check(writing, folder, potential)


@pytest.mark.parametrize("pair", [None, HYBRID], ids=["alone", "hybrid"])
@pytest.mark.parametrize(
    ("backend", "options", "lengths"),
    [
        ("torch", "halo deep", "lr_cutoff 4.4 angstrom, damping 1.5"),
        ("native", "halo deep lr_cutoff 11.33835672 damping 2.36215765", "lr_cutoff 6 angstrom, damping 1.25"),
    ],
)
def test_restart_keeps_charge_spin_and_lengths(
    backend: str,
    options: str,
    lengths: str,
    pair: list[str] | None,
    models: Callable[[str], TestModel],
    folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Lengths are in the units of the script."""
    if backend == "torch":
        request.getfixturevalue("torch_backend")
    path = models("charges").path
    energy = 'print "$(pe:%.17g)" append energy.txt'
    given = f"precision double guard off backend {backend} charge -1 spin 2 charges on {options}"
    writing = deck(options=given, units="electron", pair=pair, run=["run 0", energy, "write_restart system.restart"])
    writing.first_lines = ["fix room all property/atom q ghost yes"]
    outcome = run_deck(writing, path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    again = [] if pair is None else ["pair_coeff * * zero", f"pair_coeff * * panna_plus {path} O Si"]
    text = go_on(folder, [RESTARTED[0], *writing.first_lines, *again, "run 0", energy])
    line = f"charge -1, spin 2, {lengths} angstrom, charges on"
    assert line in outcome.text
    assert line in text
    assert "halo deep" in text
    before, after = (float(value) for value in (folder / "energy.txt").read_text().split())
    assert abs(before - after) < 1e-9


def test_write_data_goes_with_the_commands_repeated(model_path: str, potential: Potential, folder: Path) -> None:
    """Data files hold no coefficients of this style."""
    writing = deck(run=["run 0", "write_data written.data"])
    assert run_deck(writing, model_path, folder, 2).returncode == 0
    assert "Pair Coeffs" not in (folder / "written.data").read_text()
    commands = writing.script(model_path).replace("system.data", "written.data").splitlines()
    go_on(folder, [*commands[:-2], *RESTARTED[1:]], 2)
    check(writing, folder, potential)


def test_a_continued_run_is_the_uninterrupted_one(model_path: str, folder: Path) -> None:
    start = ["velocity all create 600 3", "timestep 0.0005"]
    move = ["fix move all nve", "thermo_style custom step pe"]
    once = deck(run=[*start, *move, "run 10", 'print "$(pe:%.17g)" file energy.txt'])
    assert run_deck(once, model_path, folder / "once", 2).returncode == 0
    half = deck(run=[*start, *move, "run 5", "write_restart system.restart"])
    assert run_deck(half, model_path, folder / "twice", 2).returncode == 0
    go_on(folder / "twice", [*RESTARTED[:2], *move, "run 5", 'print "$(pe:%.17g)" file energy.txt'], 2)
    energies = [float((folder / name / "energy.txt").read_text()) for name in ("once", "twice")]
    assert abs(energies[0] - energies[1]) < 1e-9


def moved(folder: Path, potential: Potential) -> None:
    (folder / "own.pt").unlink()


def replaced(folder: Path, potential: Potential) -> None:
    other = copy.deepcopy(potential)
    other.reference_energies += 1.0
    export_model(other, folder / "own.pt", [graph_from_atoms(triclinic(), other.elements, other.cutoff)])


CHANGES = {
    moved: r"WARNING: pair_style panna_plus: .*own.pt.*give pair_coeff again before the run",
    replaced: r"WARNING: pair_style panna_plus: own.pt has weights [0-9a-f]{12}, the restart file was written with "
    r"[0-9a-f]{12} \(own.pt\) and the elements O Si: give pair_coeff again before the run",
}


@pytest.mark.parametrize("change", CHANGES)
def test_restart_with_another_model_asks_for_it(
    change: object, model_path: str, potential: Potential, folder: Path
) -> None:
    (folder / "own.pt").write_bytes(Path(model_path).read_bytes())
    assert run_deck(deck(), "own.pt", folder).returncode == 0
    change(folder, potential)  # type: ignore[operator]
    (folder / "in.lammps").write_text("read_restart system.restart\nrun 0\n")
    outcome = launch(folder, 2)
    assert outcome.returncode != 0
    assert re.search(CHANGES[change], re.sub(r"\s+", " ", outcome.text)), outcome.text[-2000:]  # type: ignore[index]
    assert "ERROR: All pair coeffs are not set" in outcome.text, "the run stopped for another reason"
    go_on(folder, ["read_restart system.restart", f"pair_coeff * * {model_path} O Si", "run 0"])


@pytest.mark.parametrize(("same", "names"), [(True, "O Si"), (True, "Si O"), (False, "O Si")])
def test_hybrid_compares_pair_coeff_with_the_restart_file(
    same: bool, names: str, model_path: str, potential: Potential, folder: Path
) -> None:
    (folder / "own.pt").write_bytes(Path(model_path).read_bytes())
    assert run_deck(deck(pair=HYBRID), "own.pt", folder).returncode == 0
    if not same:
        replaced(folder, potential)
    coefficients = ["pair_coeff * * zero", f"pair_coeff * * panna_plus own.pt {names}"]
    text = go_on(folder, ["read_restart system.restart", *coefficients, "run 0"], 2)
    warning = (
        r"WARNING: pair_style panna_plus: own.pt has weights .* the elements O Si: continuing with what pair_coeff"
    )
    assert bool(re.search(warning, text)) == (not same or names != "O Si")
