"""The so3krates family keeps every contract but strict locality, in several shapes and with long-range terms."""

from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.layers.terms import TermsConfig
from tests.potential_contract import CommonContracts

SMALL = {"cutoff": 4.0, "n_features": 24, "n_layers": 2, "n_heads": 2, "n_radial": 8, "energy_hidden": 12}
LONG_RANGE = TermsConfig(electrostatics=True, dispersion=True, long_range_cutoff=6.0)


class So3kratesContracts(CommonContracts):
    family = "so3krates"

    @staticmethod
    def scale_energies(model, factor):
        model.energy.outer.weight.data *= factor
        if model.terms.charges is not None:
            for parameter in model.terms.charges.outer.parameters():
                parameter.data *= factor**0.5


class TestOneElement(So3kratesContracts):
    config = So3kratesConfig(**SMALL, degrees=(1, 2, 3), dtype="float64")
    elements = ["Si"]  # noqa: RUF012
    crossings = [4.0]  # noqa: RUF012


class TestThreeElementsLongRange(So3kratesContracts):
    config = So3kratesConfig(
        **SMALL, degrees=(1, 2, 3, 4), charge_embedding=True, spin_embedding=True, residual_mlp_2=True,
        terms=LONG_RANGE, dtype="float64",
    )  # fmt: skip
    elements = ["H", "Cu", "O"]  # noqa: RUF012
    crossings = [4.0, 6.0, 0.45 * 6.0]  # noqa: RUF012


class TestOtherSwitches(So3kratesContracts):
    config = So3kratesConfig(
        **SMALL, degrees=(0, 1), radial_basis="physnet", cutoff_function="cosine", message_normalization="features",
        layer_norm_1=True, layer_norm_2=False, residual_mlp_1=False, query_key_activation="silu",
        energy_activation="linear", terms=TermsConfig(repulsion=False), dtype="float64",
    )  # fmt: skip
    elements = ["H", "O"]  # noqa: RUF012
    crossings = [4.0]  # noqa: RUF012
