"""The pair style lets a device keep species, centers and neighbor lists, and only as long as they are the same.

An engine that writes down whether that promise is kept stands before the real one, on the CPU.
"""

import re
from pathlib import Path

import pytest

from tests.lammps.deck import Deck, run_deck
from tests.lammps.installation import recorded_installation
from tests.lammps.structures import triclinic, with_helium

pytestmark = pytest.mark.lammps

START = ["velocity all create 900 3", "timestep 0.0005", "thermo 1000"]
MOVE = [*START, "fix move all nve"]
HYBRID = [
    "pair_style hybrid/overlay panna_plus OPTIONS panna_plus OPTIONS lj/cut 4.0",
    "pair_coeff * * panna_plus 1 MODEL NAMES",
    "pair_coeff * * panna_plus 2 MODEL NULL O NULL",
    "pair_coeff * 3 lj/cut 0.01 2.0",
]
REGION = "region some block 1 6 1 6 1 6"
DUMP = ["dump T all custom 3 track.dump id type x y z", "run 9", "undump T", "rerun track.dump dump x y z"]


def notes_of(deck: Deck, recorder: Path, model_path: str, folder: Path, ranks: int = 2) -> tuple[list[list[str]], str]:
    """Run a deck; return what was noted on each rank, and the output."""
    deck.first_lines = recorded_installation(folder, recorder)
    outcome = run_deck(deck, model_path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    notes = [path.read_text().split() for path in folder.glob("generations.*")]
    assert len(notes) == ranks
    return notes, outcome.text


def deck(**changes: object) -> Deck:
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], "options": "guard off", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("newton", ["on", "off"])
def test_lists_are_sent_when_they_were_built(newton: str, recorder: Path, model_path: str, folder: Path) -> None:
    rule = "neigh_modify every 1 delay 0 check yes"
    notes, text = notes_of(deck(run=[*MOVE, rule, "run 60"], newton=newton), recorder, model_path, folder)
    n_builds = int(re.search(r"Neighbor list builds = (\d+)", text)[1])  # type: ignore[index]
    assert 0 < n_builds < 30
    for noted in notes:
        assert len(noted) == 61
        assert noted.count("new") == 1 + n_builds
        assert noted.count("kept") == 60 - n_builds


# Changes of the deck, its commands, and whether a list must have been kept at least once.
SCENES: dict[str, tuple[dict[str, object], list[str], bool]] = {
    "runs one after the other": ({}, [*MOVE, "run 0", "run 0", "run 3", "run 3 pre no"], True),
    "lists of a fixed age": ({}, [*MOVE, "neigh_modify every 3 delay 0 check no", "run 10"], True),
    "lists of every step": ({}, [*MOVE, "neigh_modify every 1 delay 0 check no", "run 5"], False),
    "atoms moved between runs": ({}, ["run 0", "displace_atoms all random 0.9 0.9 0.9 77", "run 0"], False),
    "new atoms": (
        {},
        [*MOVE, REGION, "fix put all deposit 3 1 3 777 region some near 1.2 attempt 200", "run 12"],
        True,
    ),
    "deleted atoms": ({}, [*MOVE, "run 3", "group few id 1:5", "delete_atoms group few", "run 3"], True),
    "swapped types": (
        {},
        [*MOVE, "fix swap all atom/swap 3 6 9 5000.0 types 1 2 ke no", "run 10"],
        True,
    ),
    "types set by hand": ({}, [*MOVE, "run 3", "set atom 1*9 type 2", "run 3 pre no"], True),
    "trial moves": ({}, [*MOVE, "fix mc all gcmc 2 6 0 2 4321 300.0 -107.0 0.1 full_energy", "run 6"], True),
    "types that are not seen, two models": (
        {"atoms": with_helium(), "types": ["Si", "O", "He"], "names": ["Si", "O", "NULL"], "pair": HYBRID},
        [*MOVE, "run 9"],
        True,
    ),
    "minimization with a model of its own": ({}, [*MOVE, "run 3", "minimize 0.0 0.0 3 20", "run 3"], True),
    "lists of computes": (
        {},
        [*MOVE, "compute g all rdf 20", "thermo_style custom step c_g[1][1]", "thermo 2", "run 8"],
        True,
    ),
    "respa": ({"run": []}, [*MOVE, "run_style respa 2 2 pair 1", "run 6"], True),
    "rerun": ({}, [*MOVE, *DUMP], True),
}


@pytest.mark.parametrize("scene", SCENES)
def test_a_list_that_is_kept_is_the_same(scene: str, recorder: Path, model_path: str, folder: Path) -> None:
    changes, commands, keeps = SCENES[scene]
    notes, _ = notes_of(deck(**{**changes, "run": commands}), recorder, model_path, folder)
    for noted in notes:
        assert "broken" not in noted
        assert ("kept" in noted) == keeps
