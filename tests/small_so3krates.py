"""Small so3krates models with random weights and forces of order 1 eV/Å, in the switches that matter to an engine."""

import torch

from panna_plus.export import export_model
from panna_plus.families import build_potential
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.layers.terms import TermsConfig
from tests.geometries import cluster, crystal, graph_of, predict, rms_force

ELEMENTS = ["H", "C", "O"]
REFERENCE_ENERGIES = [-13.6, -1030.1, -2043.2]
SMALL = {"cutoff": 4.0, "n_features": 24, "n_layers": 2, "n_heads": 2, "n_radial": 8, "energy_hidden": 12}
LONG_RANGE = TermsConfig(electrostatics=True, dispersion=True, long_range_cutoff=6.0)
VARIANTS = {
    "plain": {"degrees": (1, 2, 3)},
    "all terms": {
        "charge_embedding": True, "spin_embedding": True, "residual_mlp_2": True, "layer_norm_2": True,
        "radial_basis": "bernstein", "terms": LONG_RANGE,
    },
    "other switches": {
        "degrees": (0, 1), "radial_basis": "physnet", "cutoff_function": "cosine", "n_layers": 3,
        "message_normalization": "features", "layer_norm_1": False, "residual_mlp_1": False,
        "query_key_activation": "silu", "energy_activation": "linear", "terms": TermsConfig(repulsion=False),
    },
    "one layer": {
        "n_layers": 1, "cutoff_function": "exponential", "charge_embedding": True,
        "terms": TermsConfig(electrostatics=True, long_range_cutoff=5.0),
    },
}  # fmt: skip


def small_so3krates(variant="all terms", elements=ELEMENTS, seed=3, **options):
    """Return an untrained potential in float64 whose charge and spin ranges are -1 to 1 and 0 to 2."""
    config = So3kratesConfig(**(SMALL | {"dtype": "float64"} | VARIANTS[variant] | options))
    potential = build_potential("so3krates", config, elements, seed=seed)
    potential.initialize([graph_of(potential, cluster(elements)), graph_of(potential, crystal(elements))])
    potential.charge_range.copy_(torch.tensor([-1.0, 1.0]))
    potential.spin_range.copy_(torch.tensor([0.0, 2.0]))
    potential.reference_energies.copy_(torch.tensor(REFERENCE_ENERGIES[: len(elements)], dtype=torch.float64))
    factor = 1.0 / rms_force(predict(potential, cluster(elements)))
    potential.energy.outer.weight.data *= factor
    if potential.terms.charges is not None:
        for parameter in potential.terms.charges.outer.parameters():
            parameter.data *= factor**0.5
    return potential.requires_grad_(False)


def exported_so3krates(path, variant="all terms", **options):
    """Export such a potential and return the path."""
    potential = small_so3krates(variant, **options)
    frames = [cluster(potential.elements), crystal(potential.elements)]
    export_model(potential, path, [graph_of(potential, frame) for frame in frames])
    return path
