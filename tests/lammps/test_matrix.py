"""Every value of every option with every value of every other one: LAMMPS finds what PyTorch finds in float64.

The fast tier runs a small set in which each pair of values occurs; the other tier the whole product. Simulations on the
same number of ranks run one after the other in one process, with `clear` between them.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from panna_plus.potential import Potential
from panna_plus.verify.programs import INPUT
from tests.lammps import reference
from tests.lammps.deck import REPORT, Deck, launch, read_results, write
from tests.lammps.models import TestModel
from tests.lammps.structures import STRUCTURES
from tests.lammps.test_parity import compare

pytestmark = pytest.mark.lammps

AXES: dict[str, list[str]] = {
    "structure": ["crystal", "sheared", "triclinic", "slab", "cluster"],
    "types": ["Si O", "O Si", "NULL O Si"],
    "style": ["alone", "overlay"],
    "newton": ["on", "off"],
    "precision": ["double", "mixed"],
    "model": ["panna", "messages", "charges", "several"],
    "evaluation": ["backend native", "halo deep", "backend torch"],
    "units": ["metal", "real", "electron"],
    "ranks": ["1", "2", "4"],
}
LENNARD_JONES = {"epsilon": 0.02, "sigma": 1.9, "cutoff": 3.5}
OVERLAY = [
    "pair_style hybrid/overlay panna_plus OPTIONS lj/cut 3.5",
    "pair_coeff * * panna_plus MODEL NAMES",
    "pair_coeff * * lj/cut 0.02 1.9",
]
Choice = dict[str, str]
# More ranks than processors wait for each other in busy loops.
SECONDS_PER_DECK = 5.0


def whole() -> Iterator[Choice]:
    for values in itertools.product(*AXES.values()):
        choice = dict(zip(AXES, values, strict=True))
        if is_possible(choice):
            yield choice


def is_possible(choice: Choice) -> bool:
    # The Lennard-Jones style of the overlay is written in metal units.
    if choice["style"] == "overlay" and choice["units"] != "metal":
        return False
    if choice["model"] == "panna":
        return choice["evaluation"] != "halo deep"
    # Charges of one system on several ranks take the native engine.
    return (
        choice["model"] not in ("charges", "several")
        or choice["evaluation"] != "backend torch"
        or choice["ranks"] == "1"
    )


def pairs_of(choice: Choice) -> set[tuple[tuple[str, str], ...]]:
    return set(itertools.combinations(choice.items(), 2))


def pairwise() -> list[Choice]:
    """Return a small part of the product in which every pair of values occurs that occurs in it at all."""
    choices = list(whole())
    wanted = set().union(*(pairs_of(choice) for choice in choices))
    chosen = []
    while wanted:
        best = max(choices, key=lambda choice: len(pairs_of(choice) & wanted))
        chosen.append(best)
        wanted -= pairs_of(best)
    return chosen


def test_pairwise_is_small_and_complete() -> None:
    chosen = pairwise()
    assert len(chosen) < 40
    for axis, values in AXES.items():
        assert {choice[axis] for choice in chosen} == set(values)


@pytest.mark.parametrize("ranks", AXES["ranks"])
@pytest.mark.usefixtures("torch_backend")
def test_pairs_of_values(ranks: str, models: Callable[[str], TestModel], folder: Path) -> None:
    check([choice for choice in pairwise() if choice["ranks"] == ranks], models, folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ranks", AXES["ranks"])
@pytest.mark.parametrize("structure", AXES["structure"])
@pytest.mark.usefixtures("torch_backend")
def test_whole_product(structure: str, ranks: str, models: Callable[[str], TestModel], folder: Path) -> None:
    chosen = [choice for choice in whole() if choice["ranks"] == ranks and choice["structure"] == structure]
    check(chosen, models, folder)


def check(choices: list[Choice], models: Callable[[str], TestModel], folder: Path) -> None:
    """Run all of them in one LAMMPS; each must find what PyTorch finds."""
    decks = [deck_of(choice) for choice in choices]
    lines = []
    for k, deck in enumerate(decks):
        deck.run = [*deck.measures(), *deck.run, REPORT]
        write(deck, models(choices[k]["model"]).path, folder / str(k))
        lines += [f"shell cd {k}", f"include {INPUT}", "clear", "shell cd .."]
    (folder / INPUT).write_text("\n".join([*lines, ""]))
    outcome = launch(folder, int(choices[0]["ranks"]), seconds=SECONDS_PER_DECK * len(choices) + 60)
    assert outcome.returncode == 0, outcome.text[-3000:]
    expected: dict[tuple[str, ...], reference.Expected] = {}
    for k, (choice, deck) in enumerate(zip(choices, decks, strict=True)):
        key = (choice["model"], choice["structure"], choice["style"])
        if key not in expected:
            expected[key] = expectation(choice, deck, models(choice["model"]).potential)
        try:
            compare(read_results(deck, folder / str(k)), expected[key], deck, tolerances_of(choice))
        except AssertionError as error:
            raise AssertionError(f"{choice}: {error}") from error


def is_tabulated(choice: Choice) -> bool:
    """Whether radial filters come from tables."""
    return choice["model"] != "panna" and choice["evaluation"] != "backend torch"


def tolerances_of(choice: Choice) -> str:
    return "tables" if is_tabulated(choice) and choice["precision"] == "double" else choice["precision"]


def expectation(choice: Choice, deck: Deck, potential: Potential) -> reference.Expected:
    found = reference.of_model(potential, deck.atoms)
    assert np.sqrt((found.forces**2).mean()) > 0.1
    if choice["style"] == "alone":
        return found
    elements = ("Si", "O")
    return found + reference.of_lennard_jones(deck.atoms, set(itertools.product(elements, elements)), **LENNARD_JONES)


def deck_of(choice: Choice) -> Deck:
    names = choice["types"].split()
    return Deck(
        atoms=STRUCTURES[choice["structure"]](),
        # No atom has the type that is NULL; it needs a mass.
        types=["He" if name == "NULL" else name for name in names],
        names=names,
        units=choice["units"],
        newton=choice["newton"],
        options=f"precision {choice['precision']} {choice['evaluation']}",
        pair=OVERLAY if choice["style"] == "overlay" else None,
    )
