"""What LAMMPS must find, from the PyTorch model in float64: energies, forces and virials of every atom."""

from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms

from panna_plus.graph import graph_from_atoms, pair_list
from panna_plus.mean_potential import MeanPotential
from panna_plus.potential import Potential, forces_of


@dataclass
class Expected:
    """Per atom, eV and Å. The virial of the frame is the sum of either kind of per-atom virial.

    energies (n,); forces (n, 3); virials (n, 3, 3): half of each pair's term on either side;
    centroid_virials (n, 3, 3): the whole term on the neighbor, first index the position.
    """

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    centroid_virials: np.ndarray

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    def __mul__(self, factor: float) -> "Expected":
        return Expected(*(factor * a for a in vars(self).values()))


def of_model(potential: Potential, atoms: Atoms) -> Expected:
    """Evaluate the atoms whose elements the potential knows; the others get zeros. `atoms.info` may hold 'charge'."""
    if isinstance(potential, MeanPotential):
        first, *others = (of_model(p, atoms) * (p.n_members / potential.n_members) for p in potential.parts)
        return sum(others, start=first)
    seen = np.flatnonzero(np.isin(atoms.get_chemical_symbols(), potential.elements))
    graph = graph_from_atoms(atoms[seen], potential.elements, potential.cutoff)
    energies, gradients = potential(
        graph.displacements, graph.centers, graph.neighbors, graph.species, *graph.states[:3]
    )
    with torch.no_grad():
        total = np.zeros(len(atoms))
        total[seen] = energies.numpy()
    pairs = seen[graph.centers.numpy()], seen[graph.neighbors.numpy()]
    return from_pairs(total, *pairs, graph.displacements.numpy(), gradients.numpy())


def exact_centroid_virials(potential: Potential, atoms: Atoms) -> np.ndarray:
    """Return what defines the heat flux of a free cluster, W_n = sum_i (x_i - x_n) dE_i/dx_n, (n, 3, 3) eV."""
    graph = graph_from_atoms(atoms, potential.elements, potential.cutoff)
    displacements = graph.displacements.requires_grad_(True)
    energies = potential.atomic_energies(displacements, graph.centers, graph.neighbors, graph.species, graph.states)
    x, found = atoms.positions, np.zeros((len(atoms), 3, 3))
    for i, energy in enumerate(energies):
        (gradient,) = torch.autograd.grad(energy, displacements, retain_graph=True)
        slopes = -forces_of(gradient, graph.centers, graph.neighbors, len(atoms)).numpy()
        found += (x[i] - x)[:, :, None] * slopes[:, None, :]
    return found


def flux_error(potential: Potential, atoms: Atoms) -> float:
    """Return the error of a free cluster's interatomic flux relative to it, both rms over thermal velocities."""
    exact = exact_centroid_virials(potential, atoms)
    weights = 1 / atoms.get_masses()[:, None, None]
    off = of_model(potential, atoms).centroid_virials - exact
    return float(np.sqrt((weights * off**2).sum() / (weights * exact**2).sum()))


def detail_of(potential: Potential, atoms: Atoms, name: str) -> np.ndarray:
    """Return what else the potential knows of atoms (n,), in eV or e; 0 for those that it does not know."""
    seen = np.flatnonzero(np.isin(atoms.get_chemical_symbols(), potential.elements))
    values = np.zeros(len(atoms))
    values[seen] = potential.predict(graph_from_atoms(atoms[seen], potential.elements, potential.cutoff)).details[name]
    return values


def of_lennard_jones(
    atoms: Atoms, pairs: set[tuple[str, str]], epsilon: float, sigma: float, cutoff: float
) -> Expected:
    """Evaluate a cut Lennard-Jones potential between the given pairs of elements (both orders are given)."""
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, cutoff)
    symbols = np.array(atoms.get_chemical_symbols())
    keep = np.array([(a, b) in pairs for a, b in zip(symbols[i], symbols[j], strict=True)], dtype=bool)
    i, j, shifts = i[keep], j[keep], shifts[keep]
    r = atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array
    d2 = (r**2).sum(1)
    x = (sigma**2 / d2) ** 3
    half = 0.5 * 4 * epsilon * (x**2 - x)
    gradients = (0.5 * 4 * epsilon * (-12 * x**2 + 6 * x) / d2)[:, None] * r
    return from_pairs(np.bincount(i, half, len(atoms)), i, j, r, gradients)


def from_pairs(energies: np.ndarray, i: np.ndarray, j: np.ndarray, r: np.ndarray, gradients: np.ndarray) -> Expected:
    """Assemble forces and virials from dE/dr_ij of every directed pair."""
    n = len(energies)
    forces, virials, centroid = np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros((n, 3, 3))
    np.add.at(forces, i, gradients)
    np.add.at(forces, j, -gradients)
    terms = -r[:, :, None] * gradients[:, None, :]
    np.add.at(centroid, j, terms)
    symmetric = 0.5 * (terms + terms.transpose(0, 2, 1))
    np.add.at(virials, i, 0.5 * symmetric)
    np.add.at(virials, j, 0.5 * symmetric)
    return Expected(energies, forces, virials, centroid)
