"""Models with random weights whose forces are of order 1 eV/Å: what is tested is LAMMPS, not chemistry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from panna_plus.export import export_model
from panna_plus.families import build_potential, load_potential
from panna_plus.families.panna.config import PannaConfig
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.graph import graph_from_atoms
from panna_plus.mean_potential import mean_of
from panna_plus.potential import Potential
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
SMALL = {"cutoff": 3.1, "n_features": 16, "n_heads": 2, "n_radial": 6, "energy_hidden": 8, "degrees": (1, 2)}
LONG_RANGE = {"dispersion": True, "long_range_cutoff": 4.4, "dispersion_damping": 1.5}
FRAMES = ("crystal", "triclinic")


def panna() -> Potential:
    """Return a strictly local model."""
    torch.manual_seed(0)
    config = PannaConfig.model_validate({"descriptor": DESCRIPTOR, "network": {"hidden": [12, 8]}, "dtype": "float64"})
    return build_potential("panna", config, ELEMENTS, seed=7)


def one_layer() -> Potential:
    """Return a model with messages that no atom passes on: energies depend on neighbors alone, like those of panna."""
    return so3krates(3, 100.0, n_layers=1)


def two_layers() -> Potential:
    """Return a model whose messages are passed on once."""
    return so3krates(3, 20.0, n_layers=2)


def so3krates(seed: int, factor: float, elements: Sequence[str] = ELEMENTS, **options: object) -> Potential:
    """Return a model with messages; `factor` multiplies what the network says of the energy."""
    config = So3kratesConfig.model_validate({**SMALL, **options, "dtype": "float64"})
    potential = build_potential("so3krates", config, elements, seed=seed)
    potential.energy.outer.weight.data *= factor
    return potential


def messages() -> Potential:
    """Return a model with messages and dispersion, without any sum over all atoms."""
    return so3krates(3, 5.0, n_layers=3, terms=LONG_RANGE)


def wide() -> Potential:
    """Return a model whose messages need more numbers per atom than the pair style sends at once."""
    return so3krates(6, 5.0, n_layers=2, n_features=176)


def charges(elements: Sequence[str] = ELEMENTS) -> Potential:
    """Return a model with partial charges that adds up total charge and unpaired electrons as well."""
    terms = {**LONG_RANGE, "electrostatics": True}
    potential = so3krates(4, 20.0, elements, n_layers=2, charge_embedding=True, spin_embedding=True, terms=terms)
    # Partial charges of some tenths.
    potential.terms.charges.outer.weight.data *= 10.0
    return potential


BUILDERS: dict[str, Callable[[], Potential]] = {
    f.__name__: f for f in (panna, messages, wide, charges, one_layer, two_layers)
}
BUILDERS["turned charges"] = lambda: charges(ELEMENTS[::-1])
# Files that are one model: of two families, with their elements in two orders.
SEVERAL = {"several": ["panna", "turned charges"]}


@dataclass
class TestModel:
    """A model file, or several as pair_coeff names them, and the same read by PyTorch in float64."""

    __test__ = False

    path: str
    potential: Potential


def several(parts: Sequence[TestModel]) -> TestModel:
    """Return the mean of models."""
    paths = [part.path for part in parts]
    return TestModel(" ".join(paths), mean_of([part.potential for part in parts], paths))


def write_model(name: str, folder: Path) -> TestModel:
    """Build a model, let it look at frames, and export it to a folder."""
    potential = BUILDERS[name]()
    graphs = [graph_from_atoms(STRUCTURES[frame](), potential.elements, potential.cutoff) for frame in FRAMES]
    potential.initialize([potential.prepare(graph) for graph in graphs])
    energies = dict(zip(ELEMENTS, REFERENCE_ENERGIES, strict=True))
    potential.reference_energies.copy_(torch.tensor([energies[element] for element in potential.elements]))
    potential.shortest_distances.fill_(SHORTEST)
    if name.endswith("charges"):
        potential.charge_range.copy_(torch.tensor([-1.0, 1.0]))
        potential.spin_range.copy_(torch.tensor([0.0, 2.0]))
    path = folder / "model.pt"
    errors = {"units": {"forces": "meV/Å"}, "validation": {"forces": {"mae": 62.5, "rmse": 100.0}}}
    export_model(potential, path, graphs, {"errors": errors})
    model, _ = load_potential(path)
    for graph in graphs:
        forces = model.predict(graph).forces.numpy()
        assert np.sqrt((forces**2).mean()) > 0.1, "forces too small for the tolerances to mean anything"
    return TestModel(str(path), model)
