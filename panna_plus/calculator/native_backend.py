"""Evaluation of model files by the native engine: no torch in the process."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from panna_plus.calculator.backend import Backend, Results, add_details, free_positions, require_finite
from panna_plus.calculator.guard import ClosestPair, Guard, closest_pair
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.calculator.uncertainty import uncertainty_results
from panna_plus.conventions import voigt_stress_from_virial
from panna_plus.errors import NumericalError
from panna_plus.native import Engine, Evaluation, ListedEngine, image_lists
from panna_plus.neighbors import number_in_info, species_of, volume_of
from panna_plus.remarks import common_ranges, remarks_on, require_known_states

PRECISIONS = {"float64": "double", "float32": "mixed"}
EXTRAPOLATION = "extrapolation"
COINCIDENCE = 1e-8  # Å, what the engine calls one place


@dataclass(frozen=True)
class Prepared:
    """Atoms, their pairs, the engine bound to these pairs, species (n_atoms,), total charge and unpaired electrons."""

    atoms: Atoms
    pairs: BufferedPairs
    engine: ListedEngine
    species: np.ndarray
    charge: float
    spin: float


class NativeBackend(Backend):
    """Model files opened by the native engine.

    Parameters
    ----------
    paths : list of paths of `model.pt`
        Several are one model, the mean of theirs.
    dtype : 'float64' or 'float32'
        Arithmetic of the engine; positions, displacements and sums are float64 in both.
    n_threads : int
        Threads of one evaluation.
    device : str
        'cpu', 'cuda' or 'cuda:N'.
    """

    name = "native"

    def __init__(self, paths: Sequence[str | PathLike], dtype: str, n_threads: int, device: str = "cpu"):
        super().__init__()
        self.engine = Engine([Path(path) for path in paths], PRECISIONS[dtype], device=device)
        self.elements, self.cutoff = self.engine.elements, self.engine.cutoff
        self.state_ranges = common_ranges([card.get("state_ranges", {}) for card in self.engine.cards])
        # Only `uncertainty` asks how far atoms are from the training data: that takes time.
        self.detail_names = [name for name in self.engine.details if name != EXTRAPOLATION]
        self.n_threads = n_threads
        self._bound: tuple[BufferedPairs, int, np.ndarray, ListedEngine] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Lists are made again by whoever has the copy.
        return self.__dict__ | {"_bound": None, "_said": set()}

    def prepare(self, atoms: Atoms, pairs: BufferedPairs) -> Prepared:
        species = species_of(atoms, self.elements)
        pairs.update(atoms)
        # What the model does not look at may be anything.
        states = {key: number_in_info(atoms, key) if key in self.state_ranges else 0.0 for key in ("charge", "spin")}
        require_known_states({key: [value] for key, value in states.items()}, self.state_ranges)
        return Prepared(atoms, pairs, self._bind(pairs, species), species, **states)

    def _bind(self, pairs: BufferedPairs, species: np.ndarray) -> ListedEngine:
        """Return the engine with these lists; made anew only when the pairs or the species are others."""
        bound = self._bound
        if bound and bound[0] is pairs and bound[1] == pairs.n_listings and np.array_equal(bound[2], species):
            return bound[3]
        lists = image_lists(len(species), pairs.i, pairs.j, pairs.shifts)
        engine = self.engine.bound_to(lists, species)
        self._bound = pairs, pairs.n_listings, species, engine
        return engine

    def predict(self, prepared: Sequence[Prepared], labels: Sequence[str], guard: Guard) -> list[Results]:
        results = [self._predict_one(p, label, guard) for p, label in zip(prepared, labels, strict=True)]
        self.say_once(self._remarks(prepared, results))
        return results

    def _remarks(self, prepared: Sequence[Prepared], results: Sequence[Results]) -> dict[str, str]:
        if not self.detail_names and not self.state_ranges:
            return {}
        return remarks_on(
            charges=[p.charge for p in prepared],
            is_periodic=["stress" in r for r in results],
            species=np.concatenate([p.species for p in prepared]),
            details={name: np.concatenate([r["details"][name] for r in results]) for name in self.detail_names},
            elements=self.elements,
            ranges=self.state_ranges,
        )

    def uncertainty(self, prepared: Prepared) -> Results:
        atoms = prepared.atoms
        found = prepared.engine.compute(
            atoms.positions,
            atoms.cell.array,
            self.n_threads,
            members=self.engine.n_members > 1,
            details=[name for name in self.engine.details if name == EXTRAPOLATION],
            total_charge=prepared.charge,
            unpaired_electrons=prepared.spin,
        )
        return uncertainty_results(found.member_energies, found.member_forces, found.details.get(EXTRAPOLATION))

    def _predict_one(self, prepared: Prepared, label: str, guard: Guard) -> Results:
        atoms = prepared.atoms
        try:
            found = prepared.engine.compute(
                atoms.positions,
                atoms.cell.array,
                self.n_threads,
                details=self.detail_names,
                total_charge=prepared.charge,
                unpaired_electrons=prepared.spin,
            )
        except NumericalError as error:
            guard.check(coincident_pair(atoms, prepared.pairs), label)
            raise NumericalError(f"{label}the potential gave no finite result: {error}") from error
        guard.check(closest_of(found, atoms), label)
        results = results_of(found, volume_of(atoms))
        add_details(results, dict(found.details), free_positions(atoms))
        require_finite(results, label)
        return results


def results_of(found: Evaluation, volume: float) -> Results:
    """Return an evaluation under ASE's names."""
    results: Results = {
        "energy": found.energy,
        "free_energy": found.energy,
        "energies": found.atomic_energies,
        "forces": found.forces,
    }
    if not np.isnan(volume):
        results["stress"] = voigt_stress_from_virial(found.virial, volume)
    return results


def closest_of(found: Evaluation, atoms: Atoms) -> ClosestPair | None:
    """Return the closest pair that the engine reports, the atom with the lower number first."""
    if not np.isfinite(found.closest_ratio) or found.closest_pair[0] < 0:
        return None
    i, j = sorted(found.closest_pair)
    symbols = chemical_symbols[atoms.numbers[i]], chemical_symbols[atoms.numbers[j]]
    return ClosestPair((i, j), symbols, found.closest_distance, found.closest_distance / found.closest_ratio)


def coincident_pair(atoms: Atoms, pairs: BufferedPairs) -> ClosestPair | None:
    """Return the first pair of atoms that are at one place."""
    displacements = pairs.displacements(atoms)
    displacements[np.sqrt((displacements**2).sum(axis=1)) < COINCIDENCE] = 0.0
    nothing = np.zeros(len(displacements))
    return closest_pair(displacements, pairs.i, pairs.j, np.array(atoms.get_chemical_symbols()), nothing)
