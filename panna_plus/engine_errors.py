"""How far the native engine is from the potential that a model file was made of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from panna_plus.errors import ModelFileError
from panna_plus.graph import AtomicGraph
from panna_plus.native import PRECISIONS, Engine, is_built, neighborhood_of_displacements
from panna_plus.potential import forces_of

Expected = tuple[Tensor, Tensor]


def engine_errors(
    path: Path, graphs: Sequence[AtomicGraph], expected: Sequence[Expected]
) -> dict[str, dict[str, float]]:
    """Compare the engine on a model file with what the potential gives.

    Parameters
    ----------
    path : path of the file
    graphs : sequence of AtomicGraph
        Of one frame each.
    expected : sequence of (atomic energies, dE/d(displacement))
        Of the same graphs, by the potential in float64.

    Returns
    -------
    dict
        By precision, the largest errors: 'energy' of a frame in eV per atom, 'forces' of a component in eV/Å; and
        'largest_force', of a component in eV/Å. Empty where there is no engine or it does not evaluate such models.
    """
    if not is_built():
        return {}
    try:
        engines = {precision: Engine(path, precision) for precision in PRECISIONS}
    except ModelFileError:
        return {}
    return {precision: largest_errors(engine, graphs, expected) for precision, engine in engines.items()}


def largest_errors(engine: Engine, graphs: Sequence[AtomicGraph], expected: Sequence[Expected]) -> dict[str, float]:
    """Return the largest errors over all graphs, and the largest force."""
    errors = {"energy": 0.0, "forces": 0.0, "largest_force": 0.0}
    for graph, (energies, gradient) in zip(graphs, expected, strict=True):
        wanted = forces_of(gradient, graph.centers, graph.neighbors, graph.n_atoms)
        energy, forces = evaluated(engine, graph)
        if graph.n_atoms:
            errors["energy"] = max(errors["energy"], abs(energy - float(energies.sum())) / graph.n_atoms)
            errors["forces"] = max(errors["forces"], float((forces - wanted).abs().max()))
            errors["largest_force"] = max(errors["largest_force"], float(wanted.abs().max()))
    return errors


def evaluated(engine: Engine, graph: AtomicGraph) -> tuple[float, Tensor]:
    """Return the energy in eV and the forces (n_atoms, 3) in eV/Å of the one frame of a graph."""
    centers, neighbors = graph.centers.numpy(), graph.neighbors.numpy()
    rows = neighborhood_of_displacements(graph.n_atoms, centers, neighbors, graph.displacements.numpy())
    found = engine.compute(
        rows,
        graph.species.numpy()[rows.owners],
        total_charge=float(graph.charges[0]),
        unpaired_electrons=float(graph.spins[0]),
    )
    forces = np.zeros((graph.n_atoms, 3))
    np.add.at(forces, rows.owners, found.forces)
    return found.energy, torch.from_numpy(forces)
