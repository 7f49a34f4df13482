"""Which published arrays each array of ours is made of."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from panna_plus.families.so3krates.config import So3kratesConfig


@dataclass(frozen=True)
class Source:
    """Published arrays, joined along their first axis, and what is done to the result."""

    names: tuple[str, ...]
    convert: Callable[[np.ndarray], np.ndarray] = lambda array: array

    def read(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return our array, contiguous."""
        return np.ascontiguousarray(self.convert(np.concatenate([weights[name] for name in self.names])))


Sources = dict[str, Source]


def sources_of(config: So3kratesConfig) -> Sources:
    """Return the source of every learned array of a model, by our name."""
    sources = {"embedding/elements/weight": Source(("feature_embeddings_0/Embed_0/embedding",))}
    states = [n for n, is_on in (("charge", config.charge_embedding), ("spin", config.spin_embedding)) if is_on]
    for number, state in enumerate(states, start=1):
        theirs = f"feature_embeddings_{number}/ChargeSpinEmbedSparse_0"
        sources |= state_embedding(f"embedding/{state}", theirs)
    for t in range(config.n_layers):
        sources |= dict(layer(config, f"layers/{t}", f"layers_{t}"))
    return sources | energy(config) | terms(config)


def state_embedding(ours: str, theirs: str) -> Sources:
    """Embedding of charge or spin."""
    return {
        f"{ours}/query/weight": Source((f"{theirs}/Embed_0/embedding",)),
        f"{ours}/keys": Source((f"{theirs}/Embed_1/embedding",)),
        f"{ours}/values": Source((f"{theirs}/Embed_2/embedding",)),
        f"{ours}/inner/weight": Source((f"{theirs}/Residual_0/layers_0/kernel",), np.transpose),
        f"{ours}/outer/weight": Source((f"{theirs}/Residual_0/layers_1/kernel",), np.transpose),
    }


def layer(config: So3kratesConfig, ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    """One layer; the matrices of heads are stored as we use them, those of dense layers transposed."""
    block = f"{theirs}/attention_block"
    for number, part in enumerate(("features", "vectors"), start=1):
        head = f"{ours}/attention/{part}"
        yield f"{head}/query/weight", Source((f"{block}/Wq{number}",))
        yield f"{head}/key/weight", Source((f"{block}/Wk{number}",))
        for kind in ("radial", "spherical"):
            for k, place in enumerate(("inner", "outer"), start=1):
                yield from dense(f"{head}/filter/{kind}_{place}", f"{block}/{kind}_filter{number}_layer_{k}").items()
    yield f"{ours}/attention/value/weight", Source((f"{block}/Wv1",))
    yield from dense(f"{ours}/exchange/linear", f"{theirs}/exchange_block/mlp_layer_2").items()
    for number, has_norm, has_mlp in (
        (1, config.layer_norm_1, config.residual_mlp_1),
        (2, config.layer_norm_2, config.residual_mlp_2),
    ):
        if has_norm:
            yield f"{ours}/norm_{number}/weight", Source((f"{theirs}/layer_normalization_{number}/scale",))
            yield f"{ours}/norm_{number}/bias", Source((f"{theirs}/layer_normalization_{number}/bias",))
        if has_mlp:
            for k, place in enumerate(("inner", "outer"), start=1):
                yield from dense(f"{ours}/residual_{number}/{place}", f"{theirs}/res_mlp_{number}_layer_{k}").items()


def dense(ours: str, theirs: str) -> Sources:
    """One dense layer with its bias."""
    return {
        f"{ours}/weight": Source((f"{theirs}/kernel",), np.transpose),
        f"{ours}/bias": Source((f"{theirs}/bias",)),
    }


def column(array: np.ndarray) -> np.ndarray:
    """Return (n,) as (n, 1)."""
    return array[:, None]


def energy(config: So3kratesConfig) -> Sources:
    """The head of the energy."""
    return {
        **dense("energy/inner", "observables_0/energy_dense_regression"),
        **dense("energy/outer", "observables_0/energy_dense_final"),
        "energy/scale/weight": Source(("observables_0/atomic_scales",), column),
        "energy/shift/weight": Source(("observables_0/energy_offset",), column),
    }


def terms(config: So3kratesConfig) -> Sources:
    """The energy terms that are switched on."""
    sources: Sources = {}
    if config.terms.repulsion:
        theirs = "observables_0/zbl_repulsion"
        sources["terms/repulsion/exponents"] = Source(tuple(f"{theirs}/a{k}" for k in range(1, 5)))
        sources["terms/repulsion/coefficients"] = Source(tuple(f"{theirs}/c{k}" for k in range(1, 5)))
        sources["terms/repulsion/power"] = Source((f"{theirs}/p",))
        sources["terms/repulsion/screening"] = Source((f"{theirs}/d",))
    if config.terms.electrostatics:
        theirs = "observables_0/electrostatic_energy/partial_charges"
        sources |= dense("terms/charges/inner", f"{theirs}/charge_dense_regression_vec")
        sources |= dense("terms/charges/outer", f"{theirs}/charge_dense_final_vec")
        sources["terms/charges/bias/weight"] = Source((f"{theirs}/Embed_0/embedding",))
    if config.terms.dispersion:
        sources |= dense("terms/ratios/inner", "observables_2/hirshfeld_ratios_dense_regression")
        sources |= dense("terms/ratios/outer", "observables_2/hirshfeld_ratios_dense_final")
        sources["terms/ratios/offset/weight"] = Source(("observables_2/Embed_0/embedding",))
        sources["terms/ratios/query/weight"] = Source(("observables_2/Embed_1/embedding",))
    return sources
