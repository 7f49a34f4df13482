"""What every potential promises. A family's tests inherit `AllContracts` and say which potential is meant.

The potentials are untrained, with their last layer scaled so that forces are of order 1 eV/Å; every test on physics
makes sure of that first, because a potential without forces passes everything.
"""

from typing import ClassVar

import pytest
import torch

from panna_plus.config import Config
from panna_plus.export import export_model
from panna_plus.families import build_potential
from panna_plus.potential import Potential
from tests.geometries import chain, cluster, crystal, graph_of, predict, rms_force
from tests.potential_contract_physics import CutoffContract, GradientContract, InvarianceContract, LocalityContract
from tests.potential_contract_use import (
    REFERENCE_ENERGIES,
    BatchingContract,
    BoundaryContract,
    FileContract,
    PrecisionContract,
    PreparationContract,
)


class ContractSubject:
    """What a subclass must say, and the potential that it means."""

    family: ClassVar[str]
    config: ClassVar[Config]
    elements: ClassVar[list[str]]
    # Distances at which a term of the potential ends, the cutoff among them.
    crossings: ClassVar[list[float]]

    @staticmethod
    def scale_energies(model: Potential, factor: float) -> None:
        """Multiply the interaction energy by a factor."""
        raise AssertionError("a family's tests define scale_energies")

    @pytest.fixture(scope="class")
    @classmethod
    def potential(cls) -> Potential:
        """The untrained potential, with forces of order 1 eV/Å."""
        model = build_potential(cls.family, cls.config, cls.elements, seed=7)
        structures = [cluster(cls.elements), crystal(cls.elements), cluster(cls.elements, n=12, seed=4)]
        structures += [chain(cls.elements, spacing=s) for s in (1.2, 1.35, 1.5)]
        model.initialize([model.prepare(graph_of(model, s)) for s in structures])
        model.reference_energies.copy_(torch.tensor(REFERENCE_ENERGIES[: len(cls.elements)], dtype=torch.float64))
        cls.scale_energies(model, 1.0 / rms_force(predict(model, structures[0])))
        return model.requires_grad_(False)

    @pytest.fixture(scope="class")
    @classmethod
    def model_path(cls, potential, tmp_path_factory):
        """Exported file of the potential."""
        path = tmp_path_factory.mktemp("model") / "model.pt"
        export_model(potential, path, [graph_of(potential, cluster(potential.elements))])
        return path


class CommonContracts(
    ContractSubject,
    InvarianceContract,
    GradientContract,
    BatchingContract,
    CutoffContract,
    BoundaryContract,
    PrecisionContract,
    PreparationContract,
    FileContract,
):
    """Everything that any potential promises."""


class AllContracts(CommonContracts, LocalityContract):
    """Everything that a strictly local potential promises."""
