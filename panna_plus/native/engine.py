"""Models opened by the native engine: a thin class over the compiled module, numpy arrays in and out."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from panna_plus.errors import ModelFileError, require
from panna_plus.native.library import load_module
from panna_plus.native.neighborhood import ImageLists, NativeNeighborhood

PRECISIONS = {"mixed": 0, "double": 1}


@dataclass(frozen=True)
class Evaluation:
    """What one evaluation gave, for all rows of the neighborhood; from `ListedEngine`, for all atoms.

    Attributes
    ----------
    energy : float, eV
    virial : (6,) float64, eV
        -sum of r (x) dE/dr in the order xx, yy, zz, xy, xz, yz.
    atomic_energies : (n_rows,) float64, eV
    forces : (n_rows, 3) float64, eV/Å
        Rows of periodic images hold their own share.
    atomic_virials : (n_rows, 6) float64, eV, or None
    centroid_virials : (n_rows, 9) float64, eV, or None
    closest_ratio : float
        Shortest distance over the shortest one of these elements in the training data; infinite without a pair.
    closest_distance : float, Å
    closest_pair : (int, int)
        Rows; (-1, -1) without a pair.
    details : mapping of name to (n_rows,) float64
        Those that were asked for; 0 for rows that are no centers.
    member_energies : (n_members,) float64, eV, or None
    member_forces : (n_members, n_rows, 3) float64, eV/Å, or None
    """

    energy: float
    virial: np.ndarray
    atomic_energies: np.ndarray
    forces: np.ndarray
    atomic_virials: np.ndarray | None
    centroid_virials: np.ndarray | None
    closest_ratio: float
    closest_distance: float
    closest_pair: tuple[int, int]
    details: Mapping[str, np.ndarray] = field(default_factory=dict)
    member_energies: np.ndarray | None = None
    member_forces: np.ndarray | None = None


class Engine:
    """A model opened by the native engine.

    Safe to use from several threads at once; the interpreter lock is released while it computes. Copies share the
    model, which never changes; a pickled engine opens the file again and refuses one with other weights.

    Parameters
    ----------
    path : str or Path, or a sequence of them
        A `model.pt`. Several are one model, a committee: its results are the means of theirs, each counted as often as
        it has members. They must know the same elements, and may differ in all else, the family included.
    precision : {'double', 'mixed'}
        'mixed': arithmetic in float32, positions and sums in float64.
    kernels : str
        Implementation: 'reference' (plain loops, for tests) or an instruction set such as 'x86-64-v3'; on CUDA how
        forces are summed up, 'gather' (always in the same order) or 'atomics'. Empty: the fastest that this processor
        runs, and 'gather'.
    device : str
        'cpu', 'cuda' or 'cuda:N'.
    long_range_cutoff, dispersion_damping : float, Å
        Of models with long-range terms: where they end, and over which distance before it dispersion does. 0: as the
        file says.

    Attributes
    ----------
    family : str
    elements : list of str
        Chemical symbols in species order.
    cutoff : float, Å
        Of the lists of neighbors.
    message_cutoff : float, Å
        How far messages between atoms go; 0 for models without.
    reach : float, Å
        How far the energy of an atom depends on others.
    n_exchanges : int
        How often images must learn what became of their atoms.
    uses_charge, uses_spin : bool
        Whether the total charge and the number of unpaired electrons enter.
    details : list of str
        What it can tell of atoms beside energies and forces.
    n_members : int
        Of a committee, whose energy is the mean of theirs; 1 for a model alone.
    cards : list of dict
        The card of each file.
    weights_sha256, kernels, device : str

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or of a family that the engine does not evaluate, or the device is not there.
    PannaPlusError
        If the engine was not built.
    """

    def __init__(
        self,
        path: str | Path | Sequence[str | Path],
        precision: str = "double",
        kernels: str = "",
        device: str = "cpu",
        long_range_cutoff: float = 0.0,
        dispersion_damping: float = 0.0,
    ):
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, found '{precision}'")
        paths = [path] if isinstance(path, str | os.PathLike) else list(path)
        names = [os.fsencode(each) for each in paths]
        self._model = load_module().Model(
            names, PRECISIONS[precision], kernels, device, long_range_cutoff, dispersion_damping
        )
        about = self._model.describe()
        self.paths = [os.path.abspath(each) for each in paths]
        self.precision = precision
        self.long_range = (long_range_cutoff, dispersion_damping)
        self.family: str = about["family"]
        self.elements: list[str] = about["elements"]
        self.cutoff: float = about["cutoff"]
        self.message_cutoff: float = about["message_cutoff"]
        self.reach: float = about["reach"]
        self.n_exchanges: int = about["n_exchanges"]
        self.uses_charge: bool = about["uses_charge"]
        self.uses_spin: bool = about["uses_spin"]
        self.details: list[str] = about["details"]
        self.cards: list[dict[str, Any]] = [json.loads(card) for card in about["cards"]]
        self.weights_sha256: str = about["weights_sha256"]
        self.kernels: str = about["kernels"]
        self.device: str = about["device"]
        self.n_members: int = about["n_members"]

    @property
    def memory_usage(self) -> int:
        """Bytes held by the model."""
        return self._model.memory_usage

    def close(self) -> None:
        """Release the model; the engine cannot be used afterwards. Computations that run in other threads finish."""
        self._model.close()

    def __copy__(self) -> "Engine":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Engine":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        options = (self.precision, self.kernels, self.device, *self.long_range)
        return reopened, (self.weights_sha256, self.paths, *options)

    def compute(
        self,
        atoms: NativeNeighborhood,
        species: np.ndarray,
        atomic_virials: bool = False,
        n_threads: int = 1,
        members: bool = False,
        details: Sequence[str] = (),
        total_charge: float = 0.0,
        unpaired_electrons: float = 0.0,
    ) -> Evaluation:
        """Evaluate energy, forces and virial of every row.

        Parameters
        ----------
        atoms : NativeNeighborhood
        species : (n_rows,) int
            Positions in `elements`; -1 for atoms that the model neither counts nor sees.
        atomic_virials : bool
            Also the two virials per atom.
        n_threads : int
        members : bool
            Also energies and forces of the members, of a committee (`n_members` > 1).
        details : sequence of str
            Out of `Engine.details`: what else to return.
        total_charge : float, e
        unpaired_electrons : float
            Of the whole system; 0 is a singlet.

        Raises
        ------
        NumericalError
            If atoms coincide or something is not finite; the message names the rows.
        ValueError
            If the sizes of arrays do not fit each other.
        """
        lists = compiled_lists(atoms)
        species = np.ascontiguousarray(species, dtype=np.int32)
        return Evaluation(
            **self._model.compute(
                lists=lists,
                positions=atoms.positions,
                species=species,
                owners=atoms.owners,
                n_threads=n_threads,
                atomic_virials=atomic_virials,
                members=members,
                details=list(details),
                total_charge=total_charge,
                unpaired_electrons=unpaired_electrons,
            )
        )

    def bound_to(self, lists: ImageLists, species: np.ndarray) -> "ListedEngine":
        """Return the engine together with neighbor lists, which are then evaluated at many positions.

        Parameters
        ----------
        lists : ImageLists
        species : (n_atoms,) int
            Positions in `elements`.
        """
        return ListedEngine(self, lists, species)


class ListedEngine:
    """An engine with the neighbor lists and species of atoms whose positions change; made by `Engine.bound_to`."""

    def __init__(self, engine: Engine, lists: ImageLists, species: np.ndarray):
        self._model = engine._model
        self._lists = compiled_lists(lists)
        self._owners = lists.owners
        self._shifts = lists.shifts.astype(np.float64)
        self._species = np.ascontiguousarray(species, dtype=np.int32)

    def compute(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        n_threads: int = 1,
        members: bool = False,
        details: Sequence[str] = (),
        total_charge: float = 0.0,
        unpaired_electrons: float = 0.0,
    ) -> Evaluation:
        """Evaluate atoms; what acts on images is added to the atoms that they are images of.

        Parameters
        ----------
        positions : (n_atoms, 3) float64, Å
        cell : (3, 3) float64, Å
            Vectors as rows.
        n_threads, members, details, total_charge, unpaired_electrons
            As in `Engine.compute`.

        Returns
        -------
        Evaluation
            Per atom, without virials per atom; `closest_pair` holds atoms.

        Raises
        ------
        NumericalError
            If atoms coincide or something is not finite; the message names rows.
        """
        return Evaluation(
            **self._model.compute_images(
                lists=self._lists,
                positions=positions,
                species=self._species,
                owners=self._owners,
                offsets=self._shifts @ cell,
                n_threads=n_threads,
                members=members,
                details=list(details),
                total_charge=total_charge,
                unpaired_electrons=unpaired_electrons,
            )
        )


def compiled_lists(atoms: NativeNeighborhood | ImageLists) -> Any:
    """Return neighbor lists in the form that the compiled module keeps."""
    return load_module().Lists(atoms.centers, atoms.starts, atoms.neighbors)


def reopened(weights_sha256: str, paths: Sequence[str], *options: Any) -> Engine:
    """Open a model again in another process and make sure that it is the same."""
    engine = Engine(paths, *options)
    names = "', '".join(paths)
    require(
        engine.weights_sha256 == weights_sha256,
        ModelFileError,
        f"'{names}' has other weights (SHA-256 {engine.weights_sha256[:12]}...) than when this engine was pickled "
        f"({weights_sha256[:12]}...): keep model files that are in use, or open the new one",
    )
    return engine
