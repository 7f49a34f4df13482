"""The panna family keeps every contract, with both descriptors, for one and for several elements."""

from panna_plus.families.panna.config import BpConfig, MbpConfig, NetworkConfig, PannaConfig, PannaTermsConfig
from tests.potential_contract import AllContracts

MBP = MbpConfig(
    radial_cutoff=4.2, n_radial=6, radial_eta=3.0, angular_cutoff=3.6, angular_start=1.0, n_angular=3, angular_eta=2.0,
    n_theta=4, zeta=6.0,
)  # fmt: skip
BP = BpConfig(
    radial_cutoff=4.2, radial_eta=(1.0, 3.0), radial_centers=(1.5, 2.3), angular_cutoff=3.9, angular_eta=(0.02, 0.1),
    angular_zeta=(1.0, 4.0),
)  # fmt: skip
NETWORK = NetworkConfig(hidden=(10, 8), activation="tanh")


class PannaContracts(AllContracts):
    family = "panna"

    @staticmethod
    def scale_energies(model, factor):
        for network in model.networks:
            network[-1].weight.data *= factor


class TestMbpOneElement(PannaContracts):
    config = PannaConfig(descriptor=MBP, network=NETWORK, dtype="float64")
    elements = ["Si"]  # noqa: RUF012
    crossings = [4.2, 3.6]  # noqa: RUF012


class TestMbpThreeElements(PannaContracts):
    config = PannaConfig(descriptor=MBP, network=NetworkConfig(hidden=(8,), activation="silu"), dtype="float64")
    elements = ["H", "Cu", "O"]  # noqa: RUF012
    crossings = [4.2, 3.6]  # noqa: RUF012


class TestBpOneElement(PannaContracts):
    config = PannaConfig(descriptor=BP, network=NETWORK, dtype="float64")
    elements = ["Si"]  # noqa: RUF012
    crossings = [4.2, 3.9]  # noqa: RUF012


class TestBpThreeElements(PannaContracts):
    config = PannaConfig(descriptor=BP, network=NetworkConfig(hidden=(8, 8), activation="gaussian"), dtype="float64")
    elements = ["H", "Cu", "O"]  # noqa: RUF012
    crossings = [4.2, 3.9]  # noqa: RUF012


class TestRepulsion(PannaContracts):
    config = PannaConfig(
        descriptor=MBP,
        network=NetworkConfig(hidden=(8,), activation="silu"),
        terms=PannaTermsConfig(repulsion=True),
        dtype="float64",
    )
    elements = ["H", "Cu", "O"]  # noqa: RUF012
    crossings = [4.2, 3.6, 1.5]  # noqa: RUF012
