"""Reading a published SO3LR checkpoint: `hyperparameters.json` beside `params.npz` or `params.pkl`.

Of a pickle only arrays of numbers are rebuilt; anything else that it names is refused before it is looked up.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ase.data import chemical_symbols
from pydantic import ValidationError

from panna_plus.errors import ModelFileError, require
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.families.so3krates.model import So3kratesPotential, from_arrays
from panna_plus.families.so3krates.published_names import Source, sources_of
from panna_plus.layers.terms import TermsConfig

HYPERPARAMETERS = "hyperparameters.json"
WEIGHTS = ("params.npz", "params.pkl")
# Published name of a choice -> ours.
CHOICES: dict[str, dict[str, str]] = {
    "activation_fn": {"silu": "silu"},
    "energy_activation_fn": {"silu": "silu", "identity": "linear"},
    "qk_non_linearity": {"identity": "linear", "silu": "silu"},
    "radial_basis_fn": {"bernstein": "bernstein", "physnet": "physnet"},
    "cutoff_fn": {"phys": "quintic", "cosine": "cosine", "exponential": "exponential"},
    "message_normalization": {"avg_num_neighbors": "neighbors", "sqrt_num_features": "features", "identity": "none"},
    "input_convention": {"positions": "positions"},
}


def import_folder(folder: str | Path, long_range_cutoff: float, dispersion_damping: float) -> So3kratesPotential:
    """Read a checkpoint.

    Parameters
    ----------
    folder : path
    long_range_cutoff, dispersion_damping : float, Å
        Not part of a checkpoint: where electrostatics and dispersion end, and over which distance dispersion does.

    Raises
    ------
    ModelFileError
        If a file is missing or damaged, a choice is unknown, or weights and hyperparameters do not fit each other.
    """
    folder = Path(folder)
    hyperparameters = read_hyperparameters(folder / HYPERPARAMETERS)
    weights = read_weights(folder)
    config = config_of(hyperparameters, long_range_cutoff, dispersion_damping)
    sources = sources_of(config)
    check_names(weights, sources, folder)
    arrays = {name: source.read(weights) for name, source in sources.items()}
    elements = known_elements(arrays["energy/scale/weight"])
    return assembled(elements, config, arrays, norm_of(hyperparameters))


def assembled(
    elements: list[str], config: So3kratesConfig, arrays: dict[str, np.ndarray], norm: float | None
) -> So3kratesPotential:
    """Return the potential of these weights; a lone atom keeps the energy that the network gives it."""
    blank = So3kratesPotential(elements, config, torch.Generator().manual_seed(0), "network")
    parameters = blank.family_parameters() | {"element_rows": "atomic_numbers"}
    learned = {name.replace(".", "/") for name, _ in blank.named_parameters()}
    own = {name: array for name, array in blank.arrays().items() if name not in learned}
    if norm is not None:
        own["message_norms"] = np.full(2, norm)
    try:
        return from_arrays(elements, parameters, own | arrays)
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(f"the weights do not fit the hyperparameters: {error}") from error


def read_hyperparameters(path: Path) -> dict[str, Any]:
    """Return the content of `hyperparameters.json`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"cannot read '{path}': {error.strerror}; give the folder of the checkpoint") from error
    except ValueError as error:
        raise ModelFileError(f"'{path}' is not valid JSON: {error}") from error
    is_whole = isinstance(content, dict) and all(isinstance(content.get(key), dict) for key in ("model", "data"))
    require(is_whole, ModelFileError, f"'{path}' must hold an object with the sections model and data")
    return content


def config_of(
    hyperparameters: Mapping[str, Any], long_range_cutoff: float, dispersion_damping: float
) -> So3kratesConfig:
    """Translate the published hyperparameters."""
    model = hyperparameters["model"]
    try:
        chosen = {key: choice(model, key) for key in CHOICES}
        terms = TermsConfig(
            repulsion=model["zbl_repulsion_bool"],
            electrostatics=model["electrostatic_energy_bool"],
            dispersion=model["dispersion_energy_bool"],
            electrostatics_width=model["electrostatic_energy_scale"],
            dispersion_scale=model["dispersion_energy_scale"],
            long_range_cutoff=long_range_cutoff,
            dispersion_damping=dispersion_damping,
        )
        require(
            not terms.is_long_ranged or chosen["energy_activation_fn"] == "silu",
            ModelFileError,
            "heads of charges and Hirshfeld ratios are supported with energy_activation_fn silu",
        )
        return So3kratesConfig(
            cutoff=model["cutoff"],
            n_features=model["num_features"],
            n_layers=model["num_layers"],
            n_heads=model["num_heads"],
            degrees=model["degrees"],
            radial_basis=chosen["radial_basis_fn"],
            n_radial=model["num_radial_basis_fn"],
            cutoff_function=chosen["cutoff_fn"],
            message_normalization=chosen["message_normalization"],
            layer_norm_1=model["layer_normalization_1"],
            layer_norm_2=model["layer_normalization_2"],
            residual_mlp_1=model["residual_mlp_1"],
            residual_mlp_2=model["residual_mlp_2"],
            query_key_activation=chosen["qk_non_linearity"],
            energy_hidden=model["energy_regression_dim"],
            energy_activation=chosen["energy_activation_fn"],
            charge_embedding=model["use_charge_embed"],
            spin_embedding=model["use_spin_embed"],
            terms=terms,
            dtype="float32",
        )
    except KeyError as error:
        raise ModelFileError(f"{HYPERPARAMETERS}: model.{error.args[0]} is missing") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors())
        raise ModelFileError(f"{HYPERPARAMETERS}: {faults}") from error


def choice(model: Mapping[str, Any], key: str) -> Any:
    """Return our name of a published choice."""
    known = CHOICES[key]
    value = model[key]
    require(
        value in known,
        ModelFileError,
        f"{HYPERPARAMETERS}: model.{key} is {value!r}, this version imports {', '.join(map(repr, known))}",
    )
    return known[value]


def norm_of(hyperparameters: Mapping[str, Any]) -> float | None:
    """Return the mean number of neighbors that messages are divided by, None where something else is."""
    if hyperparameters["model"]["message_normalization"] != "avg_num_neighbors":
        return None
    norm = hyperparameters["data"].get("avg_num_neighbors")
    is_number = isinstance(norm, float | int) and norm > 0
    require(is_number, ModelFileError, f"{HYPERPARAMETERS}: data.avg_num_neighbors must be positive, found {norm!r}")
    return float(norm)


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Return the weights by their path in the checkpoint, such as 'layers_0/exchange_block/...'."""
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    require(len(found) > 0, ModelFileError, f"'{folder}' holds neither {' nor '.join(WEIGHTS)}")
    try:
        if found[0].suffix == ".npz":
            with np.load(found[0], allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        else:
            with found[0].open("rb") as stream:
                arrays = flattened(ArrayUnpickler(stream).load())
    except (OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelFileError(f"cannot read '{found[0]}': {error}") from error
    for name, array in arrays.items():
        is_plain = array.dtype.kind == "f" and bool(np.isfinite(array).all())
        require(is_plain, ModelFileError, f"'{found[0]}': '{name}' must hold finite floating-point numbers")
    return {name.removeprefix("params/"): array for name, array in arrays.items()}


class ArrayUnpickler(pickle.Unpickler):
    """Rebuilds containers and arrays of numbers, and refuses to look up anything else."""

    # numpy says itself which functions rebuild its arrays; its core has gone by two names.
    ALLOWED: ClassVar[dict[str, Any]] = {
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
        **{f"numpy.{core}.multiarray._reconstruct": np.empty(0).__reduce__()[0] for core in ("core", "_core")},
        **{f"numpy.{core}.numeric._frombuffer": np.empty(0).__reduce_ex__(5)[0] for core in ("core", "_core")},
    }

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"
        if asked not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for '{asked}'; a checkpoint holds arrays and nothing else")
        return self.ALLOWED[asked]


def flattened(tree: Any, path: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of nested dictionaries by their joined keys."""
    if isinstance(tree, np.ndarray):
        return {path: tree}
    if not isinstance(tree, Mapping):
        raise ValueError(f"'{path}' is neither a dictionary nor an array of numbers")
    joined: dict[str, np.ndarray] = {}
    for key, branch in tree.items():
        joined |= flattened(branch, f"{path}/{key}" if path else str(key))
    return joined


def check_names(weights: Mapping[str, np.ndarray], sources: Mapping[str, Source], folder: Path) -> None:
    """Refuse a checkpoint that lacks what the hyperparameters ask for, or holds more."""
    expected = {name for source in sources.values() for name in source.names}
    for what, names in (("lack", expected - set(weights)), ("hold more than they need:", set(weights) - expected)):
        require(
            not names,
            ModelFileError,
            f"'{folder}': the weights {what} {', '.join(sorted(names)[:5])} ({len(names)} in all): weights and "
            f"{HYPERPARAMETERS} belong to different models, or the model has parts that this version does not know",
        )


def known_elements(scales: np.ndarray) -> list[str]:
    """Return the elements that occurred in the training: those whose energy scale has left its initial 1."""
    elements = [chemical_symbols[z] for z in np.flatnonzero(scales[:, 0] != 1.0) if z > 0]
    require(len(elements) > 0, ModelFileError, "no element has a trained energy scale: the weights were never trained")
    return elements
