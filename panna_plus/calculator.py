"""ASE calculator of a model file."""

import warnings
from collections.abc import Iterator, Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from panna_plus.conventions import voigt_from_matrix
from panna_plus.errors import ConfigError, DataError, NumericalError, require
from panna_plus.families import load_potential, potential_from_model
from panna_plus.graph import AtomicGraph, graph_from_atoms, pair_list, species_of, volume_of
from panna_plus.potential import Potential, Prediction

DTYPES = {"float64": torch.float64, "float32": torch.float32}
# Fractions of the shortest distance of the training data: below the first the model extrapolates, below the second
# a simulation has already gone wrong.
WARNING_FRACTION = 0.95
STOP_FRACTION = 0.6


class PannaPlusCalculator(Calculator):
    """Energy, forces and stress of a trained potential.

    Parameters
    ----------
    model : path or Potential
        A `model.pt`, from which nothing is executed; or a potential in memory, which is copied.
    dtype : {'float64', 'float32'}
        Precision of the perceptrons; geometry and sums are always float64. 'float32' is meant for dynamics,
        'float64' for relaxations, phonons and everything that takes differences.
    device : str
        'auto' (CUDA where there is a device, else the CPU), 'cpu', 'cuda' or 'cuda:N'.
    skin : float, Å
        Pairs are listed this much beyond the cutoff and listed again when an atom has moved by half of it, or the
        cell, its periodicity or the atoms have changed. Results do not depend on it; 0 lists them every time.
    guard : bool
        Compare distances with the shortest one of the training data, per pair of elements: warn once below 0.95 of
        it, raise NumericalError below 0.6.

    Raises
    ------
    ModelFileError
        If the model file cannot be used.
    ConfigError
        If an option is wrong or the device is absent.

    Notes
    -----
    `energies` contain the reference energies of the isolated atoms and add up to `energy`; `free_energy` equals
    `energy`. `stress` (eV/Å³, tension positive, xx, yy, zz, yz, xz, xy) exists where the cell has three vectors and
    at least one direction is periodic; elsewhere asking for it raises PropertyNotImplementedError.
    """

    # ASE reads both on the class.
    implemented_properties = ["energy", "energies", "free_energy", "forces", "stress"]  # noqa: RUF012
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012

    def __init__(
        self,
        model: str | PathLike | Potential,
        dtype: str = "float64",
        device: str = "auto",
        skin: float = 0.5,
        guard: bool = True,
    ):
        require(dtype in DTYPES, ConfigError, f"dtype must be 'float64' or 'float32', found {dtype!r}")
        require(np.isfinite(skin) and skin >= 0, ConfigError, f"skin must be a length of 0 Å or more, found {skin}")
        super().__init__()
        self.dtype, self.device, self.skin, self.guard = dtype, str(device), float(skin), bool(guard)
        target = torch_device(self.device)
        if isinstance(model, Potential):
            self.model = f"{model.family} potential in memory"
            self.potential = rebuilt(*described(model), dtype, target)
        else:
            self.model = fspath(model)
            self.potential = load_potential(self.model, DTYPES[dtype], target)[0]
        self._pairs = BufferedPairs(self.potential.cutoff, self.skin)
        self._has_warned = False

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that the model knows."""
        return list(self.potential.elements)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute all properties in one pass; `atoms` is not changed."""
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise DataError("the calculator needs atoms: call calculate(atoms)")
        if "stress" in properties and np.isnan(volume_of(atoms)):
            raise PropertyNotImplementedError(no_stress_message(atoms))
        self.results = {}
        super().calculate(atoms, properties, system_changes)
        graph = self._pairs.graph(atoms, self.potential.elements)
        self._check_distances(graph, "")
        (self.results,) = self._results(graph)

    def evaluate(self, frames: Sequence[Atoms], batch_size: int = 8) -> list[dict[str, Any]]:
        """Evaluate many frames, several at a time.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            Not changed, nor are their calculators asked; the cache of this calculator is left alone.
        batch_size : int
            Frames evaluated together.

        Returns
        -------
        list of dict
            One per frame, with the keys and units of `results`; `stress` only where the frame has a volume.

        Raises
        ------
        DataError
            Naming the frame, if it cannot be used.
        NumericalError
            Naming the frame, if atoms come too close (see `guard`) or a result is not finite.
        """
        require(batch_size >= 1, ConfigError, f"batch_size must be 1 or more, found {batch_size}")
        results = []
        for start in range(0, len(frames), batch_size):
            graphs = [self._graph_of(a, n) for n, a in enumerate(frames[start : start + batch_size], start)]
            results += self._results(AtomicGraph.concatenate(graphs), first_frame=start)
        return results

    def _graph_of(self, atoms: Atoms, number: int) -> AtomicGraph:
        try:
            graph = graph_from_atoms(atoms, self.potential.elements, self.potential.cutoff)
        except DataError as error:
            raise DataError(f"frame {number}: {error}") from error
        self._check_distances(graph, f"frame {number}: ")
        return graph

    def _results(self, graph: AtomicGraph, first_frame: int | None = None) -> list[dict[str, Any]]:
        """Return the results of every frame of a graph."""
        prediction = self.potential.predict(graph.to(self.potential.reference_energies.device))
        results = list(results_of_frames(graph, prediction))
        for n, result in enumerate(results):
            frame = "" if first_frame is None else f"frame {first_frame + n}: "
            finite = np.isfinite(result["energy"]) and np.isfinite(result["forces"]).all()
            require(
                bool(finite),
                NumericalError,
                f"{frame}the potential gave an energy or a force that is not finite; energy {result['energy']} eV: "
                "look for atoms that came too close or flew apart",
            )
        return results

    def _check_distances(self, graph: AtomicGraph, frame: str) -> None:
        """Stop at distances that cannot be; warn once about those that the training data did not reach."""
        found = closest_pair(graph, self.potential.shortest_distances.cpu() if self.guard else None)
        if found is None:
            return
        i, j, distance, shortest = found
        symbols = "-".join(self.potential.elements[int(graph.species[a])] for a in (i, j))
        where = f"{frame}atoms {i} and {j} ({symbols}) are {distance:.3f} Å apart"
        require(distance > 0, NumericalError, f"{where}: two atoms at one place have no forces; move one of them")
        message = f"{where}, the shortest {symbols} distance of the training data is {shortest:.3f} Å"
        require(
            distance >= STOP_FRACTION * shortest,
            NumericalError,
            f"{message}: below {STOP_FRACTION} of it the model says nothing. Check the structure and the time step, "
            "add such distances to the training data, or pass guard=False",
        )
        if distance < WARNING_FRACTION * shortest and not self._has_warned:
            self._has_warned = True
            warnings.warn(f"{message}: the model extrapolates (said once; guard=False is silent)", stacklevel=5)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, as ASE's trajectories and databases store them."""
        return {
            "model": self.model,
            "dtype": self.dtype,
            "device": self.device,
            "skin": self.skin,
            "guard": self.guard,
        }

    def __getstate__(self) -> dict[str, Any]:
        # Arrays instead of a module: a copy made in another process chooses its device there, and shares no memory.
        state = {k: v for k, v in self.__dict__.items() if k not in ("potential", "_pairs")}
        return state | {"_described": described(self.potential)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        card, arrays = state.pop("_described")
        self.__dict__.update(state)
        self.potential = rebuilt(card, arrays, self.dtype, torch_device(self.device))
        self._pairs = BufferedPairs(self.potential.cutoff, self.skin)


class BufferedPairs:
    """List of the pairs within cutoff + skin that is made anew only when a pair could be missing from it.

    Parameters
    ----------
    cutoff, skin : float, Å
    """

    def __init__(self, cutoff: float, skin: float):
        self.cutoff, self.skin = cutoff, skin
        self.n_listings = 0
        self._listed: Atoms | None = None
        self._i = self._j = np.empty(0, dtype=np.int64)
        self._shifts = np.empty((0, 3), dtype=np.int64)

    def graph(self, atoms: Atoms, elements: Sequence[str]) -> AtomicGraph:
        """Return the graph of all pairs below the cutoff, in an order that does not depend on the skin."""
        species = species_of(atoms, elements)
        finite = np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()
        require(bool(finite), DataError, "positions and cell must be finite, found NaN or infinity")
        if not self._holds(atoms):
            self._list(atoms)
        positions = atoms.positions
        displacements = positions[self._j] - positions[self._i] + self._shifts @ atoms.cell.array
        near = np.flatnonzero((displacements**2).sum(axis=1) < self.cutoff**2)
        return AtomicGraph(
            species=torch.from_numpy(species),
            centers=torch.from_numpy(self._i[near]),
            neighbors=torch.from_numpy(self._j[near]),
            displacements=torch.from_numpy(displacements[near]),
            frames=torch.zeros(len(atoms), dtype=torch.int64),
            n_frames=1,
            volumes=torch.tensor([volume_of(atoms)], dtype=torch.float64),
        )

    def _holds(self, atoms: Atoms) -> bool:
        """Tell whether every pair below the cutoff is in the list."""
        listed = self._listed
        if listed is None or self.skin == 0 or len(listed) != len(atoms):
            return False
        if (listed.pbc != atoms.pbc).any() or (listed.cell.array != atoms.cell.array).any():
            return False
        moved = ((atoms.positions - listed.positions) ** 2).sum(axis=1).max(initial=0.0)
        return bool(moved < (0.5 * self.skin) ** 2)

    def _list(self, atoms: Atoms) -> None:
        i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, self.cutoff + self.skin)
        # A total order, so that sums run alike whatever the skin and the age of the list.
        order = np.lexsort((shifts[:, 2], shifts[:, 1], shifts[:, 0], j, i))
        self._i, self._j, self._shifts = i[order], j[order], shifts[order]
        self._listed = atoms.copy()
        self.n_listings += 1


def closest_pair(graph: AtomicGraph, shortest: torch.Tensor | None) -> tuple[int, int, float, float] | None:
    """Find the pair that is closest in comparison with the training data.

    Parameters
    ----------
    graph : AtomicGraph
    shortest : (n_elements, n_elements) float64, Å, or None
        Shortest distances of the training data, 0 where there is none; None compares with nothing.

    Returns
    -------
    (i, j, distance, shortest distance of this pair of elements), or None
        Two atoms at one place come first; None where there is nothing to compare.
    """
    distances = torch.linalg.vector_norm(graph.displacements, dim=1)
    if not len(distances):
        return None
    limits = torch.zeros_like(distances)
    if shortest is not None:
        limits = shortest[graph.species[graph.centers], graph.species[graph.neighbors]]
    ratio = torch.where(limits > 0, distances / limits, torch.inf)
    ratio = torch.where(distances == 0, 0.0, ratio)
    pair = int(torch.argmin(ratio))
    if torch.isinf(ratio[pair]):
        return None
    return int(graph.centers[pair]), int(graph.neighbors[pair]), float(distances[pair]), float(limits[pair])


def results_of_frames(graph: AtomicGraph, prediction: Prediction) -> Iterator[dict[str, Any]]:
    """Yield the results of each frame under ASE's names; arrays own their memory."""
    ends = np.cumsum(np.bincount(graph.frames.numpy(), minlength=graph.n_frames))
    energies, forces = (t.cpu().numpy() for t in (prediction.atomic_energies, prediction.forces))
    stress = voigt_from_matrix(prediction.stress.cpu().numpy())
    for n, end in enumerate(ends):
        atoms = slice(ends[n - 1] if n else 0, end)
        energy = float(prediction.energies[n])
        result = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies[atoms].copy(),
            "forces": forces[atoms].copy(),
        }
        if not torch.isnan(graph.volumes[n]):
            result["stress"] = stress[n].copy()
        yield result


def described(potential: Potential) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what a potential is made of: the part of a card that describes it, and its arrays."""
    card = {
        "family": potential.family,
        "elements": list(potential.elements),
        "family_parameters": potential.family_parameters(),
    }
    return card, {name: array.copy() for name, array in potential.arrays().items()}


def rebuilt(card: dict[str, Any], arrays: dict[str, np.ndarray], dtype: str, device: torch.device) -> Potential:
    """Build a potential for evaluation from what `described` returned."""
    potential = potential_from_model(card, arrays)
    for parameter in potential.parameters():
        parameter.data = parameter.data.to(DTYPES[dtype])
    return potential.requires_grad_(False).eval().to(device)


def torch_device(name: str) -> torch.device:
    """Return the device of a name, 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises
    ------
    ConfigError
        If the name is not one of these or the device is absent: nothing falls back to the CPU unasked.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', found '{name}'") from error
    require(
        device.type in ("cpu", "cuda"),
        ConfigError,
        f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', found '{name}'",
    )
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        require(
            (device.index or 0) < count,
            ConfigError,
            f"device '{name}' was asked for and PyTorch sees {count} CUDA devices: use 'cpu' or 'auto', or install a "
            "PyTorch build for this GPU",
        )
    return device


def no_stress_message(atoms: Atoms) -> str:
    """Say why these atoms have no stress."""
    return (
        "stress needs a cell with three independent vectors and at least one periodic direction; found "
        f"{atoms.cell.rank} vectors and pbc {atoms.pbc.tolist()}"
    )
