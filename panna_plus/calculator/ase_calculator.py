"""The calculator: ASE's contract over one of two backends."""

import copy
import re
import warnings
from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from panna_plus.calculator.backend import Backend
from panna_plus.calculator.guard import Guard
from panna_plus.calculator.pairs import BufferedPairs
from panna_plus.errors import ConfigError, DataError, ModelFileError, require
from panna_plus.native import is_built
from panna_plus.neighbors import number_in_info, volume_of

if TYPE_CHECKING:
    from panna_plus.potential import Potential

DTYPES = ("float64", "float32")
BACKENDS = ("auto", "native", "torch")
DEVICE_NAME = re.compile(r"auto|cpu|cuda(:\d+)?")


class PannaPlusCalculator(Calculator):
    """Energy, forces and stress of a trained potential.

    Parameters
    ----------
    model : path, list of paths, or Potential
        A `model.pt`, from which nothing is executed; or a potential in memory, which is copied. Several files are one
        potential, whose results are the means of theirs, each counted as often as it has members: a committee whose
        members must know the same elements and may differ in all else, the family included.
    dtype : {'float64', 'float32'}
        Precision of the arithmetic; positions, displacements and sums are always float64. 'float32' is meant for
        dynamics, 'float64' for relaxations, phonons and everything that takes differences.
    device : str
        'auto' (the CPU for the native engine; for PyTorch CUDA where there is a device, else the CPU), 'cpu', 'cuda'
        or 'cuda:N'. CUDA means PyTorch unless `backend` is 'native'.
    skin : float, Å
        Pairs are listed this much beyond the cutoff and listed again when an atom has moved by half of it, or the
        cell, its periodicity or the atoms have changed. Results do not depend on it; 0 lists them every time.
    guard : bool
        Compare distances with the shortest one of the training data, per pair of elements: warn once below 0.95 of
        it, raise NumericalError below 0.6.
    backend : {'auto', 'native', 'torch'}
        'native': the C++ engine, which does not import torch; 'torch': the PyTorch reference; 'auto': the engine for
        files on the CPU, PyTorch for potentials in memory and on CUDA, and, after a warning, where the engine was not
        built or does not evaluate the file. `calculator.backend.name` tells which one it is.
    n_threads : int
        Threads of the native engine. PyTorch has settings of its own, which nothing here changes.

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

    Potentials with partial charges add `charges` (e) and, where nothing is periodic, `dipole` (e Å, about the origin).
    Where the total charge or unpaired electrons count, they are `atoms.info['charge']` and `atoms.info['spin']`.
    `details` holds what else the family knows of the atoms of the last calculation, such as the parts of the energy.
    """

    # ASE reads both on the class.
    implemented_properties = ["energy", "energies", "free_energy", "forces", "stress"]  # noqa: RUF012
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012

    def __init__(
        self,
        model: "str | PathLike | Sequence[str | PathLike] | Potential",
        dtype: str = "float64",
        device: str = "auto",
        skin: float = 0.5,
        guard: bool = True,
        backend: str = "auto",
        n_threads: int = 1,
    ):
        check_options(dtype, str(device), skin, backend, n_threads)
        super().__init__()
        self.skin = float(skin)
        self._options: dict[str, Any] = {
            "dtype": dtype,
            "device": str(device),
            "skin": self.skin,
            "guard": bool(guard),
            "backend": backend,
            "n_threads": int(n_threads),
        }
        source = files_or_potential(model)
        self.model = name_of(source)
        self.backend = opened(backend, source, dtype, str(device), int(n_threads))
        self.implemented_properties = [*type(self).implemented_properties, *self.backend.properties]
        self.details: dict[str, np.ndarray] = {}
        self._guard = Guard(bool(guard))
        self._pairs = self._new_pairs()

    def _new_pairs(self) -> BufferedPairs:
        return BufferedPairs(self.backend.cutoff, self.skin)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that the model knows."""
        return list(self.backend.elements)

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
        self.results, self.details = {}, {}
        super().calculate(atoms, properties, system_changes)
        prepared = self.backend.prepare(atoms, self._pairs)
        (results,) = self.backend.predict([prepared], [""], self._guard)
        self.details = results.pop("details", {})
        self.results = results

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed since the last calculation, numbers in `atoms.info` that count included."""
        changes = super().check_state(atoms, tol)
        if self.atoms is not None:
            changes += [
                key
                for key in self.backend.state_ranges
                if number_in_info(atoms, key) != number_in_info(self.atoms, key)
            ]
        return changes

    def evaluate(self, frames: Sequence[Atoms], batch_size: int = 8) -> list[dict[str, Any]]:
        """Evaluate many frames, several at a time.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            Not changed, nor are their calculators asked; the cache of this calculator is left alone.
        batch_size : int
            Frames evaluated together; the native engine takes them one by one whatever it is.

        Returns
        -------
        list of dict
            One per frame, with the keys and units of `results`; `stress` only where the frame has a volume, and
            `details` under 'details' where the family has some.

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
            batch = frames[start : start + batch_size]
            labels = [f"frame {start + n}: " for n in range(len(batch))]
            prepared = [self._prepared(atoms, label) for atoms, label in zip(batch, labels, strict=True)]
            results += self.backend.predict(prepared, labels, self._guard)
        return results

    def uncertainty(self, atoms: Atoms | None = None) -> dict[str, Any]:
        """Say how far the members of a committee disagree and how far atoms are from the training data.

        An evaluation of its own, of about twice the cost of an ordinary one for four members: `results` stay as they
        are and `calculate` takes no longer.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            Those of the last calculation by default.

        Returns
        -------
        dict
            Of a committee `energy_members` (n_members,) in eV, `forces_members` (n_members, n_atoms, 3) in eV/Å and
            `force_deviation` (n_atoms,) in eV/Å, sqrt(mean |F_m - F|²) over the members. Where the model holds
            statistics of its training data, `extrapolation` (n_atoms,): the distance of the atom's descriptor values
            from the training atoms of its element, whose root mean square is 1.

        Raises
        ------
        ConfigError
            If the model knows none of this.
        """
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise DataError("the calculator needs atoms: call uncertainty(atoms)")
        return self.backend.uncertainty(self._prepared(atoms, ""))

    def _prepared(self, atoms: Atoms, label: str) -> Any:
        try:
            return self.backend.prepare(atoms, BufferedPairs(self.backend.cutoff, 0.0))
        except DataError as error:
            raise DataError(f"{label}{error}") from error

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments, as ASE's trajectories and databases store them."""
        return {"model": self.model, **self._options}

    def __getstate__(self) -> dict[str, Any]:
        # A copy shares nothing that changes; it lists its own pairs.
        state = {name: value for name, value in self.__dict__.items() if name != "_pairs"}
        return state | {"backend": copy.copy(self.backend), "_guard": copy.copy(self._guard)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pairs = self._new_pairs()


def check_options(dtype: str, device: str, skin: float, backend: str, n_threads: int) -> None:
    """Refuse options that mean nothing."""
    require(dtype in DTYPES, ConfigError, f"dtype must be 'float64' or 'float32', found {dtype!r}")
    require(np.isfinite(skin) and skin >= 0, ConfigError, f"skin must be a length of 0 Å or more, found {skin}")
    require(
        DEVICE_NAME.fullmatch(device) is not None,
        ConfigError,
        f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', found '{device}'",
    )
    require(backend in BACKENDS, ConfigError, f"backend must be 'auto', 'native' or 'torch', found {backend!r}")
    require(n_threads >= 1, ConfigError, f"n_threads must be 1 or more, found {n_threads}")


def files_or_potential(model: "str | PathLike | Sequence[str | PathLike] | Potential") -> "list[str] | Potential":
    """Return the paths of model files, also of a single one, or the potential in memory."""
    if isinstance(model, str | PathLike):
        return [fspath(model)]
    if not isinstance(model, Sequence):
        return model
    require(len(model) > 0, ConfigError, "model must be a path, several paths or a potential, found an empty list")
    return [fspath(path) for path in model]


def name_of(source: "list[str] | Potential") -> str | list[str]:
    """Return what a calculator can be made of again: a path or several; of a potential in memory what it is."""
    if isinstance(source, list):
        return source[0] if len(source) == 1 else source
    return f"{source.family} potential in memory"


def opened(backend: str, source: "list[str] | Potential", dtype: str, device: str, n_threads: int) -> Backend:
    """Return the backend that was asked for; torch is imported only where it is needed.

    Raises
    ------
    ConfigError
        If the native engine is asked for what it does not do.
    """
    if isinstance(source, list):
        if backend == "native":
            return native_backend(source, dtype, device, n_threads)
        if backend == "auto" and device in ("auto", "cpu"):
            return native_backend_if_possible(source, dtype, device, n_threads)
    require(
        backend != "native",
        ConfigError,
        "backend 'native' reads model files, found a potential in memory: export it first",
    )
    return torch_backend(source, dtype, device)


def native_backend_if_possible(paths: list[str], dtype: str, device: str, n_threads: int) -> Backend:
    """Return the native engine or, after a warning that says why not, PyTorch."""
    if not is_built():
        warnings.warn("the native engine was not built; using the PyTorch reference, which is slower", stacklevel=4)
        return torch_backend(paths, dtype, device)
    try:
        return native_backend(paths, dtype, device, n_threads)
    except ModelFileError as error:
        reason = error
    # A file that nobody can read ends here.
    backend = torch_backend(paths, dtype, device)
    warnings.warn(f"using the PyTorch reference, which is slower, since the engine says: {reason}", stacklevel=4)
    return backend


def native_backend(paths: list[str], dtype: str, device: str, n_threads: int) -> Backend:
    """Open model files by the native engine."""
    from panna_plus.calculator.native_backend import NativeBackend

    return NativeBackend(paths, dtype, n_threads, "cpu" if device == "auto" else device)


def torch_backend(source: "list[str] | Potential", dtype: str, device: str) -> Backend:
    """Open model files, or copy a potential, in PyTorch."""
    from panna_plus.calculator.torch_backend import TorchBackend

    return TorchBackend(source, dtype, device)


def no_stress_message(atoms: Atoms) -> str:
    """Say why these atoms have no stress."""
    return (
        "stress needs a cell with three independent vectors and at least one periodic direction; found "
        f"{atoms.cell.rank} vectors and pbc {atoms.pbc.tolist()}"
    )
