"""How far atoms of other ranks are known, what travels between layers, and what stops all ranks."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.lammps import reference
from tests.lammps.deck import UNITS, Deck, measure, run_deck
from tests.lammps.installation import recorded_installation
from tests.lammps.models import TestModel
from tests.lammps.structures import slab, triclinic
from tests.lammps.test_messages import NOT_A_NUMBER, flat

pytestmark = pytest.mark.lammps

Models = Callable[[str], TestModel]


def deck(options: str, **changes: object) -> Deck:
    changes.setdefault("atoms", triclinic())
    return Deck(types=["Si", "O"], options=f"precision double {options}", **changes)  # type: ignore[arg-type]


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.parametrize(("before", "said", "ghosts"), [([], True, "14.5"), (["comm_modify cutoff 20.0"], False, "20")])
def test_a_deep_halo_asks_for_what_it_needs(
    before: list[str], said: bool, ghosts: str, models: Models, folder: Path
) -> None:
    """Also where the skin changes between two runs; another style has its own cutoff again."""
    again = ["run 0", "neighbor 1.3 bin", "run 0", "pair_style zero 3.0", "pair_coeff * *", "run 0"]
    outcome = run_deck(deck("backend torch", lines=before, run=again), models("messages").path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    asked = re.findall(
        r"halo deep needs atoms up to 13.7 away and the skin, as by 'comm_modify cutoff (\S+)'", outcome.text
    )
    assert asked == (["14.5", "15"] if said else [])
    # LAMMPS prints it when the lists change, not with the skin.
    assert re.findall(r"ghost atom cutoff = (\S+)", outcome.text) == [ghosts, "4.3" if said else "20"]
    assert "halo deep, energies reach 13.7 angstrom" in outcome.text


REFUSED: dict[str, tuple[str, dict[str, object], str]] = {
    "layers in one program": (
        "backend torch halo layer",
        {},
        r"backend torch runs all layers in one go and cannot exchange between them: write 'halo deep', or backend",
    ),
    "ghosts that end too early": (
        "backend torch",
        {"lines": ["comm_modify cutoff 9.0"]},
        r"atoms of other ranks are known up to 9 only, but the model needs 13.7: write 'comm_modify cutoff 14.5' or",
    ),
    "tiles": (
        "backend torch",
        {"first_lines": ["comm_style tiled"], "lines": ["balance 1.0 rcb"]},
        r"atoms must be known up to 14.5 away, but comm_style tiled can do that only up to the length of the box, "
        r"[\d.]+: write 'comm_style brick', which has no such limit on any number of ranks, or replicate the box",
    ),
}


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, models: Models, folder: Path) -> None:
    options, changes, message = REFUSED[case]
    outcome = run_deck(deck(options, **changes), models("messages").path, folder, 2)
    assert outcome.returncode != 0
    assert re.search(f"ERROR: pair_style panna_plus: {message}", flat(outcome.text)), outcome.text[-2000:]


HYBRID = ["pair_style hybrid/overlay panna_plus OPTIONS zero 3.0", "pair_coeff * * zero"]


@pytest.mark.parametrize("name", [pytest.param("messages", marks=pytest.mark.slow), "charges"])
def test_ranks_and_halos_agree(name: str, models: Models, folder: Path) -> None:
    """To rounding, whatever the tables of the engine do to the distance from PyTorch, and whatever a step asks for."""
    found = []
    # Then a step without centroid virials, in which every pair is evaluated once; `measure` reads its totals.
    plain = ["undump D", "uncompute C", "dump F all custom 1 plain.dump id fx fy fz c_S[*]"]
    plain += ["dump_modify F sort id format float %.17g", "run 0"]
    for ranks, halo in ((1, "layer"), (2, "layer"), (4, "layer"), (1, "deep"), (3, "deep")):
        run, place = deck(f"halo {halo}", run=["run 0", *plain]), folder / f"{halo}{ranks}"
        found.append(measure(run, models(name).path, place, ranks)[0])
        asked, unasked = (np.loadtxt(place / f"{kind}.dump", skiprows=9) for kind in ("atoms", "plain"))
        assert abs(asked[:, 2:5] - unasked[:, 1:4]).max() < 1e-10
        assert abs(asked[:, 6:12] - unasked[:, 4:]).max() < 1e-10 * abs(unasked).max()
        assert abs(found[-1].virials.sum(0) - found[-1].virial).max() < 1e-9
    for other in found[1:]:
        assert abs(other.forces - found[0].forces).max() < 1e-10
        for kind in ("virials", "centroid_virials"):
            assert abs(getattr(other, kind) - getattr(found[0], kind)).max() < 1e-10
        assert abs(other.virial - found[0].virial).max() < 1e-9
        assert abs(other.energy - found[0].energy) < 1e-9


@pytest.mark.parametrize("pair", [None, [*HYBRID, "pair_coeff * * panna_plus MODEL NAMES"]], ids=["alone", "hybrid"])
def test_messages_wider_than_the_room_for_them(pair: list[str] | None, models: Models, folder: Path) -> None:
    """They go in several parts, each of which must fit into the buffers of LAMMPS."""
    model = models("wide")
    run = deck("halo layer", pair=pair)
    found, _ = measure(run, model.path, folder, 2)
    expected = reference.of_model(model.potential, triclinic())
    assert abs(expected.forces).max() > 0.1
    assert abs(found.forces - expected.forces).max() < 1e-9 * abs(expected.forces).max()


@pytest.mark.parametrize(("units", "length"), [("metal", 1.0), ("electron", UNITS["electron"][0])])
def test_long_range_as_the_script_says(units: str, length: float, models: Models, folder: Path) -> None:
    """The energy of a model whose file has the same lengths."""
    potential = copy.deepcopy(models("charges").potential)
    for term, start in ((potential.terms.electrostatics, 0.45 * 5.5), (potential.terms.dispersion, 5.5 - 1.25)):
        term.cutoff.fill_(5.5)
        term.switch_start.fill_(start)
    potential.cutoff = 5.5
    expected = reference.of_model(potential, triclinic())
    given = f"lr_cutoff {5.5 * length:.12g} damping {1.25 * length:.12g}"
    run = deck(given, units=units)
    found, _ = measure(run, models("charges").path, folder, 2)
    plain, _ = measure(deck(""), models("charges").path, folder / "plain")
    assert abs(plain.forces - found.forces).max() > 1e-3
    assert abs(found.forces - expected.forces).max() < 1e-9
    assert abs(found.energy - expected.energies.sum()) < 1e-8


@pytest.mark.parametrize(("halo", "name"), [("layer", "messages"), ("layer", "charges"), ("deep", "charges")])
def test_every_rank_exchanges_equally_often(halo: str, name: str, models: Models, recorder: Path, folder: Path) -> None:
    """Ranks with atoms, with none, and with ghosts only; three evaluations each."""
    model = models(name)
    loading = [*recorded_installation(folder, recorder), "processors 1 1 *"]
    lines = ["fix move all nve", "run 2"]
    outcome = run_deck(deck(f"halo {halo}", atoms=slab(), first_lines=loading, run=lines), model.path, folder, 4)
    assert outcome.returncode == 0, outcome.text[-2000:]
    records = [path.read_text().splitlines() for path in folder.glob("exchanges.*")]
    assert len(records) == 4
    assert all(len(record) == 3 for record in records)
    centers = [int(record[0].split()[0]) for record in records]
    assert min(centers) == 0
    assert sum(centers) == len(slab())
    calls = {" ".join(line.split()[1:]) for record in records for line in record}
    assert len(calls) == 1, calls
    # Features between layers, charges and ratios before the long range, and derivatives between layers on the way back.
    between = model.potential.config.n_layers - 1
    n_messages = 2 * between + 1 if halo == "layer" else 0
    assert len(re.findall(r"\b(to|from):", calls.pop())) == n_messages


@pytest.mark.parametrize("halo", ["layer", "deep"])
def test_a_position_that_is_not_a_number_stops_all_ranks(halo: str, models: Models, folder: Path) -> None:
    """The others must not wait for messages of the rank that found it."""
    outcome = run_deck(deck(f"halo {halo}", run=NOT_A_NUMBER), models("charges").path, folder, 3)
    assert outcome.returncode != 0
    assert re.search(
        r"ERROR: pair_style panna_plus: the position of atom 17 \(Si\) is not a finite number at step \d",
        flat(outcome.text),
    ), outcome.text[-2000:]


@pytest.mark.parametrize("name", ["charges", "several"])
def test_atoms_that_coincide_stop_all_ranks(name: str, models: Models, folder: Path) -> None:
    """A fault that the engine finds itself, on one of three ranks; of several files in the first, which is local."""
    atoms = triclinic()
    atoms.positions[1] = atoms.positions[0]
    outcome = run_deck(deck("halo layer", atoms=atoms), models(name).path, folder, 3)
    assert outcome.returncode != 0
    assert re.search(r"ERROR: pair_style panna_plus: atom rows \d+ and \d+ coincide", flat(outcome.text)), outcome.text


def test_the_log_says_how_ranks_work_together(models: Models, folder: Path) -> None:
    outcome = run_deck(deck("charge -1 lr_cutoff 5.5 damping 1.25"), models("charges").path, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "halo layer, energies reach 11.7 angstrom" in outcome.text
    assert "charge -1, spin 0, lr_cutoff 5.5 angstrom, damping 1.25 angstrom, charges off" in outcome.text
