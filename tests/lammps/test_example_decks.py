"""The decks of examples/lammps run, and what they write has the columns that they promise."""

from pathlib import Path

import numpy as np
import pytest

from tests.lammps.deck import BIN, finish

pytestmark = pytest.mark.lammps

DECKS = Path(__file__).resolve().parents[2] / "examples" / "lammps"
# What shortens each deck, and the shape of the table that it writes.
SHORT = {
    "melting": ({"cells": 2, "steps": 80}, (40, 5)),
    "npt": ({"cells": 2, "steps": 40}, (20, 4)),
    "recoil": ({"cells": 2, "steps": 20}, None),
    "surface": ({"steps": 20}, None),
}


def test_every_deck_is_run_here() -> None:
    assert sorted(SHORT) == sorted(path.stem for path in DECKS.glob("*.in"))


@pytest.mark.parametrize("name", SHORT)
def test_deck(name: str, model_path: str, folder: Path) -> None:
    settings, shape = SHORT[name]
    words = [word for key, value in {"model": model_path, **settings}.items() for word in ("-var", key, str(value))]
    outcome = finish([str(BIN / "lmp"), "-in", str(DECKS / f"{name}.in"), *words], folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "WARNING: Detected non-ASCII" not in outcome.text
    if shape is not None:
        table = np.loadtxt(folder / f"{name}.txt")
        assert table.shape == shape
        assert np.isfinite(table).all()
        assert (table[:, 1] > 0).all()


def test_decks_are_plain_text() -> None:
    """LAMMPS warns of other characters in its input."""
    for path in DECKS.parent.glob("*/*.in"):
        assert path.read_text().isascii(), path
