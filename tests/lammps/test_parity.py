"""LAMMPS finds what PyTorch finds in float64, whatever the box, the ranks, the units and the styles beside us.

One YAML file in `cases/` per simulation; `ranks` run in the fast tier, `slow_ranks` in the other, `torch_ranks` with
`backend torch`. What LAMMPS finds for the pair style `beside` ours alone is part of what it must find for both; with
`centroid: pair` the centroid virial is that of the pair styles alone, for k-space styles, which have none.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.conftest import REFERENCE_ENERGIES
from tests.lammps.deck import Deck, Measured, measure
from tests.lammps.reference import Expected
from tests.lammps.structures import STRUCTURES

CASES = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
}
RANKS = {"ranks", "slow_ranks", "torch_ranks"}
NOT_OF_THE_DECK = RANKS | {"what", "structure", "empty_rank", "no_forces", "lennard_jones", "beside"}

# Forces relative to the largest one, energies per atom without E0 in eV, virial relative to its largest component.
TOLERANCES = {"double": (1e-10, 1e-9, 1e-9), "mixed": (5e-5, 1e-5, 5e-5)}


def runs(case: dict[str, Any]) -> list[tuple[str, int, bool]]:
    """Return (backend, ranks, is it slow) of all simulations of a case."""
    lists = (("auto", "ranks", False), ("auto", "slow_ranks", True), ("torch", "torch_ranks", False))
    return [(backend, n, slow) for backend, key, slow in lists for n in case.get(key, [])]


ALL_RUNS = [
    pytest.param(name, backend, n, id=f"{name}-{backend}-{n}", marks=[pytest.mark.slow] if slow else [])
    for name, case in CASES.items()
    for backend, n, slow in runs(case)
]


@pytest.mark.lammps
@pytest.mark.parametrize(("name", "backend", "ranks"), ALL_RUNS)
def test_agrees_with_pytorch(
    name: str,
    backend: str,
    ranks: int,
    model_path: str,
    potential: Potential,
    folder: Path,
    request: pytest.FixtureRequest,
) -> None:
    if backend == "torch":
        request.getfixturevalue("torch_backend")
    case = CASES[name]
    deck = deck_of(case)
    deck.options += f" backend {backend}"
    expected = reference.of_model(potential, deck.atoms)
    assert case.get("no_forces") or np.sqrt((expected.forces**2).mean()) > 0.1
    if "lennard_jones" in case:
        expected = expected + lennard_jones(deck, case["lennard_jones"])

    if "beside" in case:
        expected = expected + beside(case, model_path, folder / "beside")

    found, outcome = measure(deck, model_path, folder, ranks)

    compare(found, expected, deck)
    if case.get("empty_rank") == ranks:
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


def compare(found: Measured, expected: Expected, deck: Deck) -> None:
    force_limit, energy_limit, virial_limit = TOLERANCES["double" if "double" in deck.options else "mixed"]
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
    assert abs(found.virials - expected.virials).max() <= limit
    assert abs(found.centroid_virials - expected.centroid_virials).max() <= limit


def symmetric(matrix: np.ndarray) -> np.ndarray:
    return 0.5 * (matrix + matrix.T)


def test_every_case_says_what_it_is() -> None:
    assert all(case["what"] for case in CASES.values())
