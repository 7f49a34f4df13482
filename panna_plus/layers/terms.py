"""Energy terms of known form that any model with features of atoms may switch on."""

from typing import ClassVar

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor

from panna_plus.config import Config
from panna_plus.graph import FrameStates
from panna_plus.layers.dispersion import HirshfeldRatios, QdoDispersion
from panna_plus.layers.electrostatics import DampedElectrostatics
from panna_plus.layers.pairs import Pairs
from panna_plus.layers.partial_charges import PartialCharges
from panna_plus.layers.repulsion import Repulsion


class TermsConfig(Config):
    """Energy terms beside the network."""

    repulsion: bool = Field(True, description="repulsion of screened nuclei below 1.5 Å, its parameters learned")
    electrostatics: bool = Field(False, description="Coulomb energy of partial charges that are learned")
    dispersion: bool = Field(False, description="dispersion of oscillators with learned Hirshfeld ratios")
    long_range_cutoff: PositiveFloat = Field(12.0, description="Å, of electrostatics and dispersion")
    electrostatics_width: PositiveFloat = Field(4.0, description="Å, over which charges are smeared")
    dispersion_scale: PositiveFloat = Field(1.2, description="of the radius below which dispersion is damped")
    dispersion_damping: PositiveFloat = Field(2.0, description="Å before the cutoff over which dispersion ends")

    @model_validator(mode="after")
    def _damping_within_cutoff(self) -> "TermsConfig":
        if self.dispersion_damping >= self.long_range_cutoff:
            raise ValueError(
                f"dispersion_damping must be below long_range_cutoff, found {self.dispersion_damping} and "
                f"{self.long_range_cutoff}"
            )
        return self

    @property
    def is_long_ranged(self) -> bool:
        """Whether pairs up to `long_range_cutoff` are needed."""
        return self.electrostatics or self.dispersion


class EnergyTerms(torch.nn.Module):
    """The terms of a configuration, on the features of a model.

    Parameters
    ----------
    config : TermsConfig
    elements : list of str
    n_features : int
        Of each atom.
    n_hidden : int
        Width of the perceptron of the charges; that of the ratios has half of it.
    """

    __jit_unused_properties__: ClassVar = ["names"]

    def __init__(
        self,
        config: TermsConfig,
        elements: list[str],
        n_features: int,
        n_hidden: int,
        generator: torch.Generator,
        dtype: torch.dtype,
    ):
        super().__init__()
        n, cutoff = len(elements), config.long_range_cutoff
        self.repulsion = Repulsion(elements, dtype) if config.repulsion else None
        self.charges = self.electrostatics = self.ratios = self.dispersion = None
        if config.electrostatics:
            self.charges = PartialCharges(n_features, n_hidden, n, generator, dtype)
            self.electrostatics = DampedElectrostatics(config.electrostatics_width, cutoff)
        if config.dispersion:
            self.ratios = HirshfeldRatios(n_features, n_hidden // 2, n, generator, dtype)
            self.dispersion = QdoDispersion(elements, config.dispersion_scale, cutoff, config.dispersion_damping)

    @property
    def names(self) -> list[str]:
        """Names of what `forward` returns."""
        names = ["repulsion_energies"] if self.repulsion is not None else []
        names += ["charges", "electrostatic_energies"] if self.charges is not None else []
        return names + (["hirshfeld_ratios", "dispersion_energies"] if self.ratios is not None else [])

    def forward(
        self, pairs: Pairs, near: Pairs, envelope: Tensor, features: Tensor, species: Tensor, states: FrameStates
    ) -> dict[str, Tensor]:
        """Return what each term gives to atoms, (n_atoms,) float64 each.

        Parameters
        ----------
        pairs : Pairs
            All pairs up to the long-range cutoff.
        near : Pairs
            Those within the cutoff of the model.
        envelope : (n_near,) float64
            Cutoff function of the model.
        features : (n_atoms, n_features) float

        Returns
        -------
        dict
            Energies in eV under 'repulsion_energies', 'electrostatic_energies' and 'dispersion_energies'; beside them
            'charges' in e and 'hirshfeld_ratios'; only what is switched on.
        """
        values: dict[str, Tensor] = {}
        if self.repulsion is not None:
            values["repulsion_energies"] = self.repulsion(near, envelope, species)
        if self.charges is not None and self.electrostatics is not None:
            charges = self.charges(features, species, states)
            values["charges"] = charges
            values["electrostatic_energies"] = self.electrostatics(pairs, charges)
        if self.ratios is not None and self.dispersion is not None:
            ratios = self.ratios(features, species)
            values["hirshfeld_ratios"] = ratios
            values["dispersion_energies"] = self.dispersion(pairs, ratios, species)
        return values
