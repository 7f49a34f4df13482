"""PANNA's own toy potential and energies of an independent implementation."""

import numpy as np
import pytest
from ase import Atoms

from panna_plus.native import Engine
from tests.native.model_files import mbp_arrays, panna_card, write_model
from tests.native.systems import evaluate, rms

ELEMENTS = ["H", "C", "N", "O"]
N_FEATURES, HIDDEN = 192, 32


def toy_model(folder, path, epsilon):
    """Write the model file of the toy potential; its weights lie as W[in][out], bias[out], layer by layer."""
    arrays = mbp_arrays(epsilon=epsilon)
    arrays["reference_energies"], arrays["shortest_distances"] = np.zeros(4), np.zeros((4, 4))
    for element in ELEMENTS:
        numbers = np.fromfile(folder / f"weights_{element}.dat", "<f4")
        first, rest = numbers[: (N_FEATURES + 1) * HIDDEN].reshape(-1, HIDDEN), numbers[(N_FEATURES + 1) * HIDDEN :]
        for name, array in {
            "feature_mean": np.zeros(N_FEATURES),
            "feature_scale": np.ones(N_FEATURES),
            "layer/0/weight": first[:-1].T,
            "layer/0/bias": first[-1],
            "layer/1/weight": rest[None, :-1],
            "layer/1/bias": rest[-1:],
        }.items():
            arrays[f"element/{element}/{name}"] = np.ascontiguousarray(array)
    return write_model(path, panna_card(ELEMENTS, 4.6, ["gaussian", "linear"], "mbp", "network"), arrays)


@pytest.mark.parametrize("structure", ["mol", "periodic"])
@pytest.mark.parametrize("case", [0, 1, 2], ids=["eps 0", "eps 1e-3", "eps 1e-2"])
@pytest.mark.parametrize("kernels", ["reference", "portable", ""])
def test_toy_potential(reference_folder, tmp_path, structure, case, kernels):
    folder = reference_folder / "panna"
    data = dict(np.load(folder / "toy_energy_forces.npz").items())
    path = toy_model(folder / "toy_potential", tmp_path / "toy.pt", float(data["epsilon"][case]))
    symbols = [ELEMENTS[s] for s in data[f"{structure}_species"]]
    atoms = Atoms(symbols, data[f"{structure}_positions"], cell=data[f"{structure}_cell"], pbc=True)
    found, mixed = evaluate(Engine(path, "double", kernels), atoms), evaluate(Engine(path, "mixed", kernels), atoms)
    expected = {name: data[f"{structure}_{name}"][case] for name in ("atomic_energies", "forces", "strain_derivative")}
    assert rms(expected["forces"]) > 0.05
    assert found.energies == pytest.approx(expected["atomic_energies"], abs=1e-12)
    assert found.forces == pytest.approx(expected["forces"], abs=1e-12)
    assert found.strain_gradient == pytest.approx(expected["strain_derivative"], abs=1e-11)
    assert mixed.forces == pytest.approx(expected["forces"], abs=2e-6)
