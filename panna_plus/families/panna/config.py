"""Options of the panna family, as they stand in the `model` section of a configuration file."""

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from panna_plus.config import Config


class MbpConfig(Config):
    """Modified Behler-Parrinello descriptor: equispaced centers between `*_start` and the cutoff."""

    type: Literal["mbp"] = Field("mbp", description="modified Behler-Parrinello functions")
    radial_cutoff: PositiveFloat = Field(5.2, description="Å")
    radial_start: float = Field(1.0, ge=0, description="Å, first radial center")
    n_radial: PositiveInt = Field(16, description="number of radial functions per neighbor element")
    radial_eta: PositiveFloat = Field(8.0, description="Å⁻², width parameter of the radial Gaussians")
    angular_cutoff: PositiveFloat = Field(4.6, description="Å; the cost grows with its sixth power")
    angular_start: float = Field(1.6, ge=0, description="Å, first center of the mean distance")
    n_angular: PositiveInt = Field(6, description="number of mean-distance centers per pair of elements")
    angular_eta: PositiveFloat = Field(4.0, description="Å⁻², width parameter of the mean-distance Gaussians")
    n_theta: PositiveInt = Field(8, description="number of angles, equispaced in (0, pi)")
    zeta: PositiveFloat = Field(16.0, ge=1, description="sharpness of the angular functions")
    epsilon: float = Field(1e-3, ge=0, description="regularisation of the sine: 1e-3 PANNA 2, 1e-2 PANNA 1, 0 ANI")

    @model_validator(mode="after")
    def _starts_below_cutoffs(self) -> "MbpConfig":
        for kind in ("radial", "angular"):
            start, cutoff = getattr(self, f"{kind}_start"), getattr(self, f"{kind}_cutoff")
            if start >= cutoff:
                raise ValueError(f"{kind}_start must be below {kind}_cutoff, found {start} and {cutoff}")
        return self


class BpConfig(Config):
    """Original Behler-Parrinello symmetry functions on the full grid of the parameters given."""

    type: Literal["bp"] = Field("bp", description="original Behler-Parrinello functions")
    radial_cutoff: PositiveFloat = Field(5.2, description="Å")
    radial_eta: tuple[PositiveFloat, ...] = Field((4.0,), min_length=1, description="Å⁻²")
    radial_centers: tuple[float, ...] = Field(
        (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5), min_length=1, description="Å, combined with every radial_eta"
    )
    angular_cutoff: PositiveFloat = Field(5.2, description="Å; also bounds the distance between the two neighbors")
    angular_eta: tuple[PositiveFloat, ...] = Field((0.01, 0.05), min_length=1, description="Å⁻²")
    angular_zeta: tuple[Annotated[float, Field(ge=1)], ...] = Field(
        (1.0, 2.0, 4.0, 16.0), min_length=1, description="exponents of the angular functions"
    )
    angular_lambda: tuple[Literal[-1, 1], ...] = Field((1, -1), min_length=1, description="sign of the cosine")


class NetworkConfig(Config):
    """One perceptron per element."""

    hidden: tuple[PositiveInt, ...] = Field((64, 64), description="widths of the hidden layers")
    activation: Literal["gaussian", "tanh", "silu", "relu", "lorentz"] = Field(
        "silu", description="of the hidden layers; the last layer is linear"
    )


class PannaTermsConfig(Config):
    """Energy terms beside the perceptrons."""

    repulsion: bool = Field(False, description="repulsion of screened nuclei below 1.5 Å, its parameters learned")

    @model_validator(mode="before")
    @classmethod
    def _no_long_range(cls, values: Any) -> Any:
        wanted = [name for name in ("electrostatics", "dispersion") if isinstance(values, dict) and values.get(name)]
        if wanted:
            raise ValueError(
                f"panna has the repulsion alone, not {' and '.join(wanted)}: its atoms have neither charges nor "
                "Hirshfeld ratios; family so3krates has them"
            )
        return values


class PannaConfig(Config):
    """Local descriptors and one perceptron per element."""

    descriptor: Annotated[MbpConfig | BpConfig, Field(discriminator="type")] = Field(MbpConfig())
    network: NetworkConfig = Field(NetworkConfig())
    terms: PannaTermsConfig = Field(PannaTermsConfig(), description="energy terms of known form beside the perceptrons")
    dtype: Literal["float32", "float64"] = Field(
        "float32", description="precision of the perceptrons; geometry and sums are always float64"
    )
