"""Options of the so3krates family, as they stand in the `model` section of a configuration file."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from panna_plus.config import Config
from panna_plus.layers.spherical_harmonics import HIGHEST_DEGREE
from panna_plus.layers.terms import TermsConfig


class So3kratesConfig(Config):
    """Equivariant attention between neighbors, without tensor products."""

    cutoff: PositiveFloat = Field(5.0, description="Å, of each layer; what an atom feels reaches n_layers times as far")
    n_features: PositiveInt = Field(
        64,
        multiple_of=4,
        description="numbers per atom that rotations leave alone; a multiple of n_heads and of the number of degrees",
    )
    n_layers: PositiveInt = Field(2, description="layers of attention; the cost grows with their number")
    n_heads: PositiveInt = Field(4, description="attention heads of the features")
    degrees: tuple[Annotated[int, Field(ge=0, le=HIGHEST_DEGREE)], ...] = Field(
        (1, 2, 3, 4), min_length=1, description="degrees of the Euclidean variables, ascending"
    )
    radial_basis: Literal["bernstein", "physnet", "bessel"] = Field("bessel", description="of distances")
    n_radial: PositiveInt = Field(16, ge=2, description="number of radial functions")
    cutoff_function: Literal["quintic", "cosine", "exponential"] = Field(
        "quintic", description="quintic has two continuous derivatives, cosine one, exponential all"
    )
    message_normalization: Literal["neighbors", "features", "none"] = Field(
        "neighbors",
        description="what messages are divided by: the mean number of neighbors in the training data, the square root "
        "of the features of a head, or 1",
    )
    layer_norm_1: bool = Field(True, description="normalize the features after the attention")
    layer_norm_2: bool = Field(False, description="normalize the features after the interaction")
    residual_mlp_1: bool = Field(True, description="perceptron on the features after the attention")
    residual_mlp_2: bool = Field(False, description="perceptron on the features after the interaction")
    query_key_activation: Literal["linear", "silu"] = Field("linear", description="of queries and keys")
    energy_hidden: PositiveInt = Field(64, ge=2, description="width of the perceptrons that give energies and charges")
    energy_activation: Literal["silu", "linear"] = Field("silu", description="of the perceptron that gives energies")
    charge_embedding: bool = Field(False, description="let the total charge, info['charge'], enter the features")
    spin_embedding: bool = Field(
        False, description="let the number of unpaired electrons, info['spin'], enter the features"
    )
    terms: TermsConfig = Field(TermsConfig(), description="energy terms of known form beside the network")
    dtype: Literal["float32", "float64"] = Field(
        "float32", description="precision of features and weights; geometry and sums of energies are always float64"
    )

    @model_validator(mode="after")
    def _divisible(self) -> "So3kratesConfig":
        for what, n in (("n_heads", self.n_heads), ("the number of degrees", len(self.degrees))):
            if self.n_features % n:
                raise ValueError(f"n_features must be a multiple of {what}, found {self.n_features} and {n}")
        return self

    @model_validator(mode="after")
    def _ascending(self) -> "So3kratesConfig":
        if list(self.degrees) != sorted(self.degrees):
            raise ValueError(f"degrees must ascend, found {list(self.degrees)}")
        return self
