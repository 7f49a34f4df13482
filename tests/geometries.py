"""Small structures on which potentials are tested, and what every potential is asked there."""

import numpy as np
import torch
from ase import Atoms

from panna_plus.graph import AtomicGraph, graph_from_atoms
from panna_plus.potential import Potential, Prediction

# Shorter than the usual cutoffs along the first vector: atoms see their own images.
TRICLINIC_CELL = np.array([[3.3, 0.2, -0.3], [0.9, 4.2, 0.5], [-1.1, 0.8, 4.9]])


def distant_points(generator: np.random.Generator, n: int, draw, shortest: float, cell=None) -> np.ndarray:
    """Draw `n` points, images included, that are at least `shortest` apart."""
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3) if cell is not None else np.zeros((1, 3))
    images = shifts @ (np.eye(3) if cell is None else cell)
    points = [draw(generator)]
    while len(points) < n:
        point = draw(generator)
        if np.linalg.norm(np.array(points)[:, None] + images[None] - point, axis=-1).min() > shortest:
            points.append(point)
    return np.array(points)


def symbols_of(elements, n: int) -> list[str]:
    """Return `n` symbols in which all elements occur, out of order."""
    return [elements[(2 * k + k // 3) % len(elements)] for k in range(n)]


def cluster(elements, n: int = 9, seed: int = 0) -> Atoms:
    """Return a free cluster."""
    generator = np.random.default_rng(seed)
    positions = distant_points(generator, n, lambda g: g.uniform(-2.2, 2.2, 3), 1.4)
    return Atoms(symbols_of(elements, n), positions)


def crystal(elements, n: int = 5, seed: int = 1, cell=TRICLINIC_CELL, pbc=True) -> Atoms:
    """Return a triclinic crystal of random positions."""
    generator = np.random.default_rng(seed)
    positions = distant_points(generator, n, lambda g: g.random(3) @ cell, 1.4, cell)
    return Atoms(symbols_of(elements, n), positions, cell=cell, pbc=pbc)


def chain(elements, n: int = 9, spacing: float = 1.3) -> Atoms:
    """Return a straight free chain along z."""
    return Atoms(symbols_of(elements, n), [[0, 0, spacing * k] for k in range(n)])


def predict(potential: Potential, atoms: Atoms) -> Prediction:
    """Evaluate one structure."""
    return potential.predict(graph_of(potential, atoms))


def graph_of(potential: Potential, *structures: Atoms) -> AtomicGraph:
    """Return the joined graph of structures."""
    graphs = [graph_from_atoms(a, potential.elements, potential.cutoff) for a in structures]
    return AtomicGraph.concatenate(graphs)


def rms_force(prediction: Prediction) -> float:
    """Return the root mean square of the force components, eV/Å."""
    return float(prediction.forces.detach().square().mean().sqrt())


def random_rotation(generator: np.random.Generator) -> np.ndarray:
    """Return a proper rotation about a random axis."""
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def moving(prediction: Prediction) -> Prediction:
    """Return the prediction after making sure that its forces are worth a test."""
    assert rms_force(prediction) > 0.1, "the fixture has no forces to speak of: the test would be empty"
    return prediction


def largest(difference) -> float:
    """Return the largest absolute value."""
    return float(np.abs(np.asarray(difference)).max())


def assert_same(first: Prediction, second: Prediction, tolerance: float) -> None:
    """Demand equal atomic energies, forces and stress."""
    assert largest(first.atomic_energies - second.atomic_energies) <= tolerance
    assert largest(first.forces - second.forces) <= tolerance
    assert torch.allclose(first.stress, second.stress, rtol=0.0, atol=tolerance, equal_nan=True)


def energies(potential: Potential, structures: list[Atoms]) -> np.ndarray:
    """Return the interaction energies of structures, free of the large constants that cost digits."""
    graph = graph_of(potential, *structures)
    atomic = potential.predict(graph).atomic_energies - potential.reference_energies[graph.species]
    return atomic.numpy().reshape(len(structures), -1).sum(axis=1)


def slope(function, h: float) -> np.ndarray:
    """Differentiate at 0 by the central stencil of four points."""
    return (8.0 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12.0 * h)
