"""Export of a potential to `model.pt`, refused unless the written file computes what the potential computes."""

import copy
import io
import math
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import panna_plus
from panna_plus.engine_errors import engine_errors
from panna_plus.errors import ModelFileError, require
from panna_plus.families import load_potential
from panna_plus.graph import AtomicGraph
from panna_plus.model_file import FORMAT_VERSION, archive_bytes, write_atomically
from panna_plus.neighbors import pair_list
from panna_plus.potential import Potential

N_CALLS = 10
RELATIVE_TOLERANCE = 1e-10
LARGEST_FORCE_ERROR = 1e-4  # eV/Å
CITATION = {
    "panna": [
        "Lot, Pellegrini, Shaidu and Kucukbenli, PANNA: Properties from Artificial Neural Network Architectures, "
        "Comput. Phys. Commun. 256, 107402 (2020)"
    ],
    "so3krates": [
        "Frank, Unke, Müller and Chmiela, A Euclidean transformer for fast and stable machine learned force fields, "
        "Nat. Commun. 15, 6539 (2024)"
    ],
}


def export_model(
    potential: Potential, path: str | Path, graphs: Sequence[AtomicGraph], extras: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Write a potential to a model file and prove that the file is right.

    Parameters
    ----------
    potential : Potential
        Not changed.
    path : path of the file to write
        Replaced only by a file that passed the check.
    graphs : sequence of AtomicGraph
        Real frames on which the written file is compared with `potential`.
    extras : dict, optional
        Further card entries, e.g. `errors`; those of `provenance` join the package, torch version and date.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ModelFileError
        If the file's own numbers, or those of the native engine, differ from the potential's.
    """
    require(len(graphs) > 0, ModelFileError, "export needs at least one frame to check the file on")
    path = Path(path)
    require(path.parent.is_dir(), ModelFileError, f"cannot write '{path}': the folder '{path.parent}' does not exist")
    reference = in_float64(potential)
    card = card_of(potential)
    provenance = card["provenance"] | (extras or {}).get("provenance", {})
    card |= (extras or {}) | {"provenance": provenance}
    script, arrays = scripted_bytes(reference), potential.arrays() | reference.derived_arrays()
    candidate = path.with_name(f".{path.name}.candidate")
    write_atomically(candidate, archive_bytes(script, card, arrays))
    try:
        expected = [flat(reference, g) for g in graphs]
        check_file(candidate, graphs, expected)
        card["engine_errors"] = engine_errors(candidate, graphs, expected)
        require_near_engine(card["engine_errors"])
        write_atomically(path, archive_bytes(script, card, arrays))
    finally:
        candidate.unlink(missing_ok=True)
    return card


def in_float64(potential: Potential) -> Potential:
    """Return a frozen copy on the CPU whose perceptrons compute in float64."""
    reference = copy.deepcopy(potential).cpu().requires_grad_(False).eval()
    return reference.double()


def card_of(potential: Potential) -> dict[str, Any]:
    """Return the card entries that follow from the potential itself."""
    elements = potential.elements
    shortest = potential.shortest_distances.cpu()
    dtypes = {p.dtype for p in potential.parameters()}
    return {
        "format_version": FORMAT_VERSION,
        "family": potential.family,
        "elements": elements,
        "cutoff": potential.cutoff,
        "reach": potential.reach,
        "n_exchanges": potential.n_exchanges,
        "state_ranges": potential.state_ranges,
        "units": {"length": "angstrom", "energy": "eV"},
        "dtype": "float32" if dtypes == {torch.float32} else "float64",
        "n_parameters": potential.n_parameters,
        "family_parameters": potential.family_parameters(),
        "reference_energies": dict(zip(elements, potential.reference_energies.tolist(), strict=True)),
        "shortest_distances": {
            f"{a}-{b}": float(shortest[i, j])
            for i, a in enumerate(elements)
            for j, b in enumerate(elements)
            if i <= j and shortest[i, j] > 0
        },
        "provenance": {
            "package": f"panna_plus {panna_plus.__version__}",
            "torch": torch.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "citation": CITATION[potential.family],
    }


def scripted_bytes(potential: Potential) -> bytes:
    """Return the potential as a TorchScript archive; upstream's notice of deprecation is not the user's concern."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.")
        torch.jit.save(torch.jit.script(potential), buffer)
    return buffer.getvalue()


def load_script(path: str | Path) -> torch.jit.ScriptModule:
    """Load the TorchScript part of a file. This executes code from the file: only for files this process wrote."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.")
        return torch.jit.load(str(path), map_location="cpu")


def check_file(path: Path, graphs: Sequence[AtomicGraph], expected: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Compare both parts of a written file with the float64 potential, through the calls in which a JIT specialises."""
    rebuilt, _ = load_potential(path)
    script = load_script(path)
    for call in range(max(N_CALLS, len(graphs))):
        graph, wanted = graphs[call % len(graphs)], expected[call % len(graphs)]
        for part, module in (("card and weights", rebuilt), ("TorchScript part", script)):
            for name, found, target in zip(("energies", "gradients"), flat(module, graph), wanted, strict=True):
                compare(found, target, f"the {part} of the exported file, call {call + 1}, {name}")


def require_near_engine(errors: dict[str, dict[str, float]]) -> None:
    """Refuse a file from which the native engine computes something else in double precision."""
    error = errors.get("double", {"forces": 0.0})["forces"]
    require(
        error <= LARGEST_FORCE_ERROR,
        ModelFileError,
        f"the native engine is {error:.1e} eV/Å from the trained model in double precision, at most "
        f"{LARGEST_FORCE_ERROR:.0e} is allowed: its tables do not resolve this model, whose weights are hardly those "
        "of a training; nothing was written",
    )


def flat(module: torch.nn.Module, graph: AtomicGraph) -> tuple[Tensor, Tensor]:
    """Return atomic energies and pair gradients of a graph."""
    return module(graph.displacements, graph.centers, graph.neighbors, graph.species, *graph.states)


def compare(found: Tensor, expected: Tensor, what: str) -> None:
    """Raise unless two tensors agree to rounding."""
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    error = float((found - expected).abs().max()) if expected.numel() else 0.0
    require(
        error <= RELATIVE_TOLERANCE * max(scale, 1.0),
        ModelFileError,
        f"{what}: differs from the trained model by {error:.3e} (largest value {scale:.3e}); nothing was written",
    )


def checking_graphs(potential: Potential, n_graphs: int = 4) -> list[AtomicGraph]:
    """Make small random clusters of all elements on which an exported file can be compared with the potential."""
    generator = np.random.default_rng(1)
    n_elements = len(potential.elements)
    graphs = []
    for n_atoms in range(n_elements, n_elements + 4 * n_graphs, 4):
        # Distinct sites of a cubic lattice, displaced: no two atoms closer than 1.2 Å.
        side = math.ceil(n_atoms ** (1 / 3)) + 1
        sites = np.unravel_index(generator.permutation(side**3)[:n_atoms], (side, side, side))
        positions = 1.6 * np.stack(sites, axis=1) + generator.uniform(-0.2, 0.2, (n_atoms, 3))
        i, j, _ = pair_list(positions, np.zeros((3, 3)), (False, False, False), potential.cutoff)
        graphs.append(
            AtomicGraph(
                species=torch.arange(n_atoms) % n_elements,
                centers=torch.from_numpy(i),
                neighbors=torch.from_numpy(j),
                displacements=torch.from_numpy(positions[j] - positions[i]),
                frames=torch.zeros(n_atoms, dtype=torch.int64),
                n_frames=1,
                volumes=torch.tensor([torch.nan], dtype=torch.float64),
            )
        )
    return graphs
