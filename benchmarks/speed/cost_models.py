"""Files of potentials that know nothing: random weights, small forces. They tell what a size costs, nothing else."""

import io
import zipfile
from pathlib import Path

import ase.io
import numpy as np

from panna_plus.export import card_of
from panna_plus.families import build_potential
from panna_plus.families.panna.config import MbpConfig, NetworkConfig, PannaConfig
from panna_plus.graph import pair_list
from panna_plus.model_file import archive_bytes, write_atomically

ELEMENTS = ("Si", "Ge", "C", "O", "N", "H")


def random_config(hidden: tuple[int, ...], descriptor: dict[str, float]) -> PannaConfig:
    """Return the options of a model; `descriptor`: those of MbpConfig that differ from the defaults."""
    return PannaConfig(descriptor=MbpConfig(**descriptor), network=NetworkConfig(hidden=hidden))


def write_random_model(path: Path, n_elements: int, hidden: tuple[int, ...], **descriptor: float) -> None:
    """Write a model file with random weights.

    Parameters
    ----------
    path : path of the file to write
    n_elements : the first ones of ELEMENTS
    hidden : widths of the hidden layers
    descriptor : see random_config
    """
    potential = build_potential("panna", random_config(hidden, descriptor), ELEMENTS[:n_elements], seed=0)
    arrays = potential.arrays()
    last = f"layer/{len(hidden)}/weight"
    # Forces of a few meV/Å: springs hold the crystal together, the model shall not tear it apart.
    arrays |= {name: 1e-3 * array for name, array in arrays.items() if name.endswith(last)}
    write_atomically(path, archive_bytes(empty_archive(), card_of(potential), arrays))


def empty_archive() -> bytes:
    """Return what stands where the TorchScript part would be; neither the engine nor LAMMPS reads it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def cutoff_with(n_neighbors: float, data: Path) -> float:
    """Return the cutoff (Å) within which the atoms of a LAMMPS data file have this many neighbors on average."""
    atoms = ase.io.read(data, format="lammps-data", atom_style="atomic")
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, 7.0)
    vectors = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    return float(np.sort(np.linalg.norm(vectors, axis=1))[round(n_neighbors * len(atoms))])


def write_uf3(path: Path, cutoff: float, leg: float, n_pair: int, n_triplet: int) -> Path:
    """Write a UF3 potential of silicon: equispaced cubic splines, the pair part purely repulsive and weak.

    Parameters
    ----------
    cutoff, leg : Å; of pairs, and of the two legs of a triplet (its third side reaches twice as far)
    n_pair, n_triplet : numbers of spline intervals; the third side has twice `n_triplet`
    """
    pair, side, base = knots(cutoff, n_pair), knots(leg, n_triplet), knots(2 * leg, 2 * n_triplet)
    pair_values = np.linspace(1e-3, 0, len(pair) - 4)
    shape = (len(side) - 4, len(side) - 4, len(base) - 4)
    lines = ["#UF3 POT UNITS: metal DATE: 2026-01-01 AUTHOR: panna_plus CITATION:"]
    lines += ["2B Si Si 0 3 nk", f"{cutoff} {len(pair)}", words(pair), str(len(pair_values)), words(pair_values), "#"]
    lines += ["#UF3 POT UNITS: metal DATE: 2026-01-01 AUTHOR: panna_plus CITATION:", "3B Si Si Si 0 3 nk"]
    lines += [f"{2 * leg} {leg} {leg} {len(base)} {len(side)} {len(side)}", words(base), words(side), words(side)]
    lines += [words(shape), *[words(np.full(shape[2], 1e-6))] * (shape[0] * shape[1]), "#"]
    path.write_text("\n".join(lines) + "\n")
    return path


def knots(cutoff: float, n: int) -> np.ndarray:
    """Return the knots of cubic splines on `n` intervals, the first and the last four times."""
    inner = np.linspace(0.001, cutoff, n + 1)
    return np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3])


def words(values: np.ndarray | tuple[int, ...]) -> str:
    return " ".join(str(v) for v in values)
