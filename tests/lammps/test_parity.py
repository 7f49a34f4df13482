"""LAMMPS finds what PyTorch finds in float64, whatever the box, the ranks, the units and the styles beside us.

One YAML file in `cases/` per simulation; `ranks` run in the fast tier, `slow_ranks` in the other, `torch_ranks` with
`backend torch`. What other models than the strictly local one do with it stands under their names in `models.py`: ranks
by the way in which they take part, `layer` or `deep` halo on the native engine or `torch`, with `slow_` before it in
the slow tier; `info` is what the system is told to have beside atoms, where the model looks at it. What LAMMPS finds
for the pair style `beside` ours alone is part of what it must find for both; with `centroid: pair` the centroid virial
is that of the pair styles alone, for k-space styles, which have none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.lammps import reference
from tests.lammps.deck import Deck, Measured, measure
from tests.lammps.models import REFERENCE_ENERGIES, TestModel
from tests.lammps.reference import Expected
from tests.lammps.structures import STRUCTURES

CASES = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
}
RANKS = {"ranks", "slow_ranks", "torch_ranks", "messages", "charges", "several"}
NOT_OF_THE_DECK = RANKS | {"what", "structure", "empty_rank", "no_forces", "lennard_jones", "beside", "info"}
WAYS = {"layer": "halo layer", "deep": "halo deep", "torch": "backend torch"}

# Forces relative to the largest one, energies per atom without E0 in eV, virial relative to its largest component.
SUM_LIMIT = 1e-10  # numbers of atoms add up to those of the system, whatever the precision
TOLERANCES = {"double": (1e-10, 1e-9, 1e-9), "mixed": (5e-5, 1e-5, 5e-5), "tables": (1e-9, 1e-9, 1e-9)}


@dataclass(frozen=True)
class Run:
    """One simulation of a case."""

    model: str
    options: str
    ranks: int
    is_slow: bool = False

    @property
    def id(self) -> str:
        return f"{self.model}-{self.options.split()[-1]}-{self.ranks}"


def runs(case: dict[str, Any]) -> list[Run]:
    """Return all simulations of a case."""
    lists = (
        ("backend auto", "ranks", False),
        ("backend auto", "slow_ranks", True),
        ("backend torch", "torch_ranks", False),
    )
    found = [Run("panna", options, n, slow) for options, key, slow in lists for n in case.get(key, [])]
    for model in ("messages", "charges", "several"):
        for key, ranks in case.get(model, {}).items():
            options, is_slow = WAYS[key.removeprefix("slow_")], key.startswith("slow_")
            found += [Run(model, options, n, is_slow) for n in ranks]
    return found


ALL_RUNS = [
    pytest.param(name, run, id=f"{name}-{run.id}", marks=[pytest.mark.slow] if run.is_slow else [])
    for name, case in CASES.items()
    for run in runs(case)
]


@pytest.mark.lammps
@pytest.mark.parametrize(("name", "run"), ALL_RUNS)
def test_agrees_with_pytorch(
    name: str, run: Run, models: Callable[[str], TestModel], folder: Path, request: pytest.FixtureRequest
) -> None:
    if "torch" in run.options:
        request.getfixturevalue("torch_backend")
    case, model = CASES[name], models(run.model)
    deck = deck_of(case)
    deck.options += f" {run.options}"
    # The native engine takes radial filters from tables.
    is_tabulated = "halo" in run.options
    for key in model.potential.info_keys:
        deck.options += f" {key} {case.get('info', {}).get(key, 0)}"
        deck.atoms.info[key] = case.get("info", {}).get(key, 0)
    expected = reference.of_model(model.potential, deck.atoms)
    assert case.get("no_forces") or np.sqrt((expected.forces**2).mean()) > 0.1
    if "lennard_jones" in case:
        expected = expected + lennard_jones(deck, case["lennard_jones"])

    if "beside" in case:
        expected = expected + beside(case, model.path, folder / "beside")

    found, outcome = measure(deck, model.path, folder, run.ranks)

    compare(found, expected, deck, "tables" if is_tabulated else "")
    if case.get("empty_rank") == run.ranks:
        assert re.search(r"Nlocal:.* ave +\d+ max +0 min", outcome.text), "no rank was empty"


def beside(case: dict[str, Any], model_path: str, folder: Path) -> Expected:
    """Measure the other styles of a case without the whole of ours; they must matter."""
    found, _ = measure(deck_of({**case, "pair": case["beside"]}), model_path, folder)
    assert np.sqrt((found.forces**2).mean()) > 0.01
    return Expected(found.energies, found.forces, found.virials, found.centroid_virials)


def deck_of(case: dict[str, Any]) -> Deck:
    settings = {key: value for key, value in case.items() if key not in NOT_OF_THE_DECK}
    return Deck(atoms=STRUCTURES[case["structure"]](), **settings)


def lennard_jones(deck: Deck, parameters: dict[str, Any]) -> Expected:
    listed = [tuple(pair.split("-")) for pair in parameters["pairs"]]
    pairs = {*listed, *((b, a) for a, b in listed)}
    return reference.of_lennard_jones(
        deck.atoms, pairs, parameters["epsilon"], parameters["sigma"], parameters["cutoff"]
    )


def compare(found: Measured, expected: Expected, deck: Deck, tolerances: str = "") -> None:
    """Check every number; the tolerances follow the precision of the deck unless they are named."""
    precision = "double" if "double" in deck.options else "mixed"
    force_limit, energy_limit, virial_limit = TOLERANCES[tolerances or precision]
    largest = max(abs(expected.forces).max(), 1.0)
    assert abs(found.forces - expected.forces).max() <= force_limit * largest
    e0 = dict(zip(("Si", "O"), REFERENCE_ENERGIES, strict=True))
    shift = np.array([e0.get(symbol, 0.0) for symbol in deck.atoms.get_chemical_symbols()])
    np.testing.assert_allclose(found.energies - shift, expected.energies - shift, rtol=0, atol=energy_limit)
    per_atom = [found.energy, found.sum_of_energies] - np.float64(expected.energies.sum())
    assert abs(per_atom / len(shift)).max() <= energy_limit

    virial = expected.virials.sum(0)
    limit = virial_limit * max(abs(virial).max(), 1.0)
    totals = [found.virial, found.virials.sum(0)]
    if deck.centroid == "virial":
        totals.append(symmetric(found.centroid_virials.sum(0)))
    for total in totals:
        assert abs(total - virial).max() <= limit
        assert abs(total - found.virial).max() <= SUM_LIMIT * limit / virial_limit
    assert abs(found.sum_of_energies - found.energy) <= SUM_LIMIT * len(shift)
    assert abs(found.virials - expected.virials).max() <= limit
    assert abs(found.centroid_virials - expected.centroid_virials).max() <= limit


def symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.T)


def test_every_case_says_what_it_is() -> None:
    assert all(case["what"] for case in CASES.values())
