"""Model files made by hand: zip, JSON and safetensors layout written out, nothing of the package involved."""

import copy
import hashlib
import io
import json
import struct
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np


def described(array: np.ndarray) -> dict:
    return {"dtype": {"float32": "F32", "float64": "F64"}[array.dtype.name], "shape": list(array.shape)}


def safetensors_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    header, data = {}, b""
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).tobytes()
        header[name] = {**described(array), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def archive_bytes(card: dict | bytes, weights: bytes, root: str = "archive") -> bytes:
    """Zip card and weights beside a compressed member, as TorchScript archives have."""
    buffer = io.BytesIO()
    text = card if isinstance(card, bytes) else json.dumps(card).encode()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{root}/code/model.py", "pass", zipfile.ZIP_DEFLATED)
        archive.writestr(f"{root}/extra/card.json", text)
        archive.writestr(f"{root}/extra/weights.safetensors", weights)
    return buffer.getvalue()


def complete_card(card: dict, arrays: dict[str, np.ndarray], weights: bytes) -> dict:
    """Add the entries that repeat the weights."""
    card = copy.deepcopy(card)
    card["arrays"] = {name: described(array) for name, array in arrays.items()}
    card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return card


def write_model(path: Path, card: dict, arrays: dict[str, np.ndarray]) -> Path:
    weights = safetensors_bytes(arrays)
    path.write_bytes(archive_bytes(complete_card(card, arrays, weights), weights))
    return path


def panna_card(elements: list[str], cutoff: float, activations: list[str], kind: str, lone_atom: str) -> dict:
    return {
        "format_version": 1,
        "family": "panna",
        "elements": elements,
        "cutoff": cutoff,
        "reach": cutoff,
        "n_exchanges": 0,
        "units": {"length": "angstrom", "energy": "eV"},
        "family_parameters": {
            "descriptor": {"type": kind},
            "activations": dict.fromkeys(elements, activations),
            "lone_atom": lone_atom,
        },
    }


def equispaced(start: float, stop: float, n: int) -> np.ndarray:
    return start + (stop - start) / max(n, 1) * np.arange(n)


def mbp_arrays(
    radial: tuple[float, float, int, float] = (4.6, 0.5, 8, 8.0),
    angular: tuple[float, float, int, float] = (3.1, 0.5, 4, 6.0),
    n_theta: int = 4,
    zeta: float = 8.0,
    epsilon: float = 1e-3,
) -> dict[str, np.ndarray]:
    """Arrays of an mBP descriptor; `radial` and `angular` are (cutoff, first center, number, eta)."""
    arrays = {}
    for name, (cutoff, start, n, eta) in (("radial", radial), ("angular", angular)):
        arrays[f"descriptor/{name}/cutoff"] = np.array([cutoff])
        arrays[f"descriptor/{name}/eta"] = np.full(n, eta)
        arrays[f"descriptor/{name}/centers"] = equispaced(start, cutoff, n)
    arrays["descriptor/angular/theta"] = (np.arange(n_theta) + 0.5) * np.pi / n_theta
    arrays["descriptor/angular/zeta"] = np.full(n_theta, float(zeta))
    arrays["descriptor/angular/epsilon"] = np.array([epsilon])
    return arrays


def bp_arrays() -> dict[str, np.ndarray]:
    return {
        "descriptor/radial/cutoff": np.array([4.5]),
        "descriptor/radial/eta": np.array([0.5, 4.0, 4.0, 4.0]),
        "descriptor/radial/centers": np.array([0.0, 1.0, 2.0, 3.0]),
        "descriptor/angular/cutoff": np.array([4.0]),
        "descriptor/angular/eta": np.array([0.01, 0.05, 0.02, 0.1, 0.01]),
        "descriptor/angular/zeta": np.array([1.0, 2.0, 4.0, 16.0, 2.5]),
        "descriptor/angular/lambda": np.array([1.0, -1.0, 1.0, -1.0, 1.0]),
    }


def n_features(n_elements: int, descriptor: dict[str, np.ndarray]) -> int:
    n_radial = len(descriptor["descriptor/radial/eta"])
    n_angular = len(descriptor["descriptor/angular/eta"]) * len(descriptor.get("descriptor/angular/theta", [0]))
    return n_elements * n_radial + n_elements * (n_elements + 1) // 2 * n_angular


def random_network(rng: np.random.Generator, sizes: list[int], dtype: str) -> dict[str, np.ndarray]:
    arrays = {"feature_mean": rng.uniform(0, 1, sizes[0]), "feature_scale": rng.uniform(0.5, 2, sizes[0])}
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        arrays[f"layer/{k}/weight"] = (rng.normal(size=(n_out, n_in)) * np.sqrt(1.5 / n_in)).astype(dtype)
        arrays[f"layer/{k}/bias"] = rng.normal(size=n_out).astype(dtype) * np.dtype(dtype).type(0.3)
    return arrays


def committee(models: list[tuple[dict, dict[str, np.ndarray]]]) -> tuple[dict, dict[str, np.ndarray]]:
    """Return card and arrays of the committee of models with one descriptor, with statistics of training atoms."""
    card, arrays = copy.deepcopy(models[0][0]), {}
    parameters = [other["family_parameters"] for other, _ in models]
    card["family_parameters"]["members"] = [{"activations": p["activations"]} for p in parameters]
    for number, (_, own) in enumerate(models):
        is_own = {name: name.startswith(("element/", "reference_energies")) for name in own}
        arrays |= {name: array for name, array in own.items() if not is_own[name]}
        arrays |= {f"member/{number}/{name}": array for name, array in own.items() if is_own[name]}
    arrays["reference_energies"] = np.mean([own["reference_energies"] for _, own in models], axis=0)
    rng = np.random.default_rng(len(models))
    for element in card["elements"]:
        n = len(models[0][1][f"element/{element}/feature_mean"])
        arrays |= {f"element/{element}/training/{name}": array for name, array in random_statistics(rng, n).items()}
    return card, arrays


def random_statistics(rng: np.random.Generator, n_features: int) -> dict[str, np.ndarray]:
    """Return the statistics of training atoms in half of the directions of n features, in two where there are few."""
    n = max(n_features // 2, min(n_features, 2))
    components = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0][:n]
    return {
        "n_atoms": np.array([100.0]),
        "mean": rng.uniform(0, 1, n_features),
        "deviation": rng.uniform(0.5, 2, n_features),
        "components": components.astype(np.float32),
        "variances": np.append(rng.uniform(0.01, 2, n), 0.02),
        "ridge": np.array([0.01]),
        "largest": np.array([3.0]),
    }


def random_model(
    elements: list[str],
    descriptor: dict[str, np.ndarray],
    hidden: tuple[int, ...] = (13, 7),
    activation: str = "silu",
    dtype: str = "float64",
    lone_atom: str = "reference",
    seed: int = 0,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Return card and arrays of a panna model with random weights."""
    rng = np.random.default_rng(seed)
    n_elements = len(elements)
    sizes = [n_features(n_elements, descriptor), *hidden, 1]
    arrays = dict(descriptor)
    arrays["reference_energies"] = rng.normal(size=n_elements) * 10
    shortest = rng.uniform(0.5, 1.5, (n_elements, n_elements))
    arrays["shortest_distances"] = np.minimum(shortest, shortest.T)
    for element in elements:
        for name, array in random_network(rng, sizes, dtype).items():
            arrays[f"element/{element}/{name}"] = array
    cutoff = max(descriptor["descriptor/radial/cutoff"][0], descriptor["descriptor/angular/cutoff"][0])
    kind = "mbp" if "descriptor/angular/theta" in descriptor else "bp"
    activations = [*[activation] * len(hidden), "linear"]
    return panna_card(elements, float(cutoff), activations, kind, lone_atom), arrays


# What tests of devices take.
SMALL = mbp_arrays((4.5, 0.5, 2, 2.0), (3.5, 0.5, 2, 2.0), n_theta=2, zeta=4.0)
MANY = mbp_arrays((5.0, 0.5, 40, 16.0), (4.5, 0.5, 11, 4.0), 10, 16.0)
DEVICE_MODELS = {
    "small": lambda: random_model(["Si", "O"], SMALL, hidden=(3,)),
    # Two tiles of windows, one of them padded; exponents that are no integers.
    "mbp": lambda: random_model(["Si", "O", "H"], mbp_arrays(n_theta=5, zeta=8.5)),
    "bp": lambda: random_model(["Si", "O"], bp_arrays(), activation="tanh"),
    "four": lambda: random_model(["Si", "O", "H", "C"], mbp_arrays(zeta=3.0), activation="relu", lone_atom="network"),
    "radial": lambda: random_model(["Si", "O"], mbp_arrays(angular=(3.0, 0.5, 0, 1.0)), dtype="float32"),
    "angular": lambda: random_model(["Si", "O"], mbp_arrays(radial=(3.0, 0.5, 0, 1.0)), activation="gaussian"),
    "cusp": lambda: random_model(["Si"], mbp_arrays((3.0, 0.5, 9, 16.0), (4.0, 0.5, 3, 0.5), 3, 2.0, 0.0), seed=3),
    # The largest tile, and layers that do not fit into the shared memory of the emulated device.
    "wide": lambda: random_model(["Si"], mbp_arrays((5.0, 0.5, 24, 16.0), (4.5, 0.5, 8, 4.0), 8, 32.0), (128, 64)),
    "many": lambda: random_model(["Si"], MANY, (9,)),
    "committee": lambda: committee([random_model(["Si", "O"], SMALL, hidden=(3,), seed=seed) for seed in (1, 2, 3)]),
    # Neither a group's activations nor its components fit into the shared memory of the emulated device.
    "wide_committee": lambda: committee([random_model(["Si"], MANY, hidden, seed=5) for hidden in ((90,), (40, 20))]),
}
