"""Options of the `data` section: which files, which labels, which reference energies."""

from typing import Literal

from pydantic import Field, field_validator

from panna_plus.config import Config

AUTO = "auto"
NONE = "none"
Fraction = float
Paths = str | list[str]


class LabelKeys(Config):
    """Names under which the files carry the labels."""

    energy: str = Field(
        default=AUTO,
        description="Key of the total energy (eV): 'auto' looks for REF_energy, then for what ASE reads as "
        "the energy, then for 'energy' in info; 'none' ignores it. In VASP files 'free_energy' fits the "
        "forces.",
    )
    forces: str = Field(
        default=AUTO,
        description="Key of the forces (eV/Å): 'auto' looks for REF_forces, then for ASE's forces; 'none' "
        "ignores them.",
    )
    stress: str = Field(
        default=AUTO,
        description="Key of the stress (unit below; tension positive; 6 numbers xx yy zz yz xz xy, 9 or "
        "3x3): 'auto' looks for REF_stress, then for ASE's stress; 'none' ignores it.",
    )
    virial: str = Field(
        default=AUTO,
        description="Key of the virial, -volume * stress (eV; 6, 9 or 3x3 numbers): 'auto' looks for "
        "REF_virial, REF_virials, virial, virials; 'none' ignores it.",
    )
    stress_units: Literal["eV/Å^3", "GPa", "kbar"] = Field(
        default="eV/Å^3", description="Unit of the stress in the files: eV/Å^3, GPa or kbar."
    )


class DataConfig(Config):
    """Structures, their labels and how they are split."""

    train: Paths = Field(
        description="File or list of files with training structures: extended XYZ or anything ASE reads, "
        "also compressed (.xz, .gz, .bz2). Relative paths start at the folder of this configuration."
    )
    validation: Fraction | Paths = Field(
        default=0.1,
        description="Fraction of the training structures kept for validation, or file(s) with validation structures.",
    )
    test: Fraction | Paths | None = Field(
        default=None,
        description="File(s) with test structures, or a fraction of the training structures; null for none.",
    )
    keys: LabelKeys = Field(default=LabelKeys(), description="Names of the labels in the files.")
    reference_energies: Literal["auto", "isolated_atoms", "least_squares"] | dict[str, float] = Field(
        default="auto",
        description="Energy of a lone atom of each element (eV): 'isolated_atoms' takes it from frames with "
        "config_type=IsolatedAtom, 'least_squares' fits it to the compositions, 'auto' takes the first where "
        "it can, or values such as {H: -13.6, O: -432.1}.",
    )

    @field_validator("validation", "test")
    @classmethod
    def _fraction_between_zero_and_one(cls, value):
        if isinstance(value, float | int) and not 0.0 < value < 1.0:
            raise ValueError("a fraction must lie between 0 and 1 (both excluded)")
        return value

    @field_validator("train", "validation", "test")
    @classmethod
    def _names_a_file(cls, value):
        if value == [] or value == "":
            raise ValueError("at least one file is needed")
        return value
