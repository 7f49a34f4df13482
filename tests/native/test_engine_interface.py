"""What the engine does with its arguments: skins, masks, threads, uncounted atoms, guards and refusals."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.errors import ModelFileError, NumericalError
from panna_plus.graph import pair_list
from panna_plus.model_file import read_model
from panna_plus.native import Engine, neighborhood_from_pairs
from tests.native.systems import disordered_crystal, evaluate, species_of

PRECISIONS = ["double", "mixed"]


def rows_of(engine, atoms):
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    rows = neighborhood_from_pairs(atoms.positions, atoms.cell.array, i, j, shifts)
    return rows, species_of(atoms, engine)[rows.owners]


def test_description(model_path):
    path = model_path("mbp")
    engine, file = Engine(path), read_model(path)
    assert (engine.family, engine.elements, engine.cutoff) == ("panna", ["Si", "O", "H"], 5.0)
    assert engine.cards == [file.card] and engine.weights_sha256 == file.card["weights_sha256"]
    assert engine.memory_usage > 8 * file.arrays["element/Si/layer/0/weight"].size
    assert engine.kernels in ("x86-64-v4", "x86-64-v3", "x86-64-v2", "portable")
    assert Engine(path, kernels="reference").kernels == "reference"
    engine.close()
    with pytest.raises(ModelFileError, match="closed"):
        evaluate(engine, disordered_crystal())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_neighbors_in_the_skin_do_not_count(model_path, precision):
    engine, atoms = Engine(model_path("mbp"), precision), disordered_crystal()
    tight, wide = evaluate(engine, atoms), evaluate(engine, atoms, skin=1.5)
    tolerance = 1e-12 if precision == "double" else 2e-5
    assert wide.energies == pytest.approx(tight.energies, abs=tolerance)
    assert wide.forces == pytest.approx(tight.forces, abs=tolerance)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_change_nothing_but_rounding(model_path, precision):
    engine = Engine(model_path("mbp"), precision)
    atoms = disordered_crystal().repeat((3, 2, 1))
    one = evaluate(engine, atoms, n_threads=1, atomic_virials=True)
    for n in (2, 3, 64):
        many = evaluate(engine, atoms, n_threads=n, atomic_virials=True)
        again = evaluate(engine, atoms, n_threads=n, atomic_virials=True)
        assert (many.energies == one.energies).all() and (many.forces == again.forces).all()
        assert many.forces == pytest.approx(one.forces, abs=1e-12)
        assert many.raw.virial == pytest.approx(one.raw.virial, abs=1e-10)
        assert many.raw.centroid_virials == pytest.approx(one.raw.centroid_virials, abs=1e-11)
        assert many.raw.closest_ratio == one.raw.closest_ratio


def test_one_model_serves_several_threads_at_once(model_path):
    engine = Engine(model_path("mbp"), "mixed")
    structures = [disordered_crystal(seed=seed, n=6 + 2 * seed) for seed in range(8)]
    expected = [evaluate(engine, atoms) for atoms in structures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: evaluate(engine, structures[k % 8]), range(80)))
    for k, result in enumerate(found):
        assert (result.forces == expected[k % 8].forces).all() and result.raw.energy == expected[k % 8].raw.energy


@pytest.mark.parametrize("kernels", ["reference", ""])
def test_uncounted_atoms_are_not_seen(model_path, kernels):
    engine, atoms = Engine(model_path("mbp"), kernels=kernels), disordered_crystal()
    rows, species = rows_of(engine, atoms)
    kept = np.arange(len(atoms)) % 3 != 0
    with_gaps = engine.compute(rows, np.where(kept[rows.owners], species, -1))
    alone = evaluate(engine, atoms[kept])
    assert with_gaps.energy == pytest.approx(alone.raw.energy, abs=1e-11)
    assert with_gaps.virial == pytest.approx(alone.raw.virial, abs=1e-10)
    assert not with_gaps.forces[~kept[rows.owners]].any()


@pytest.mark.parametrize("kernels", ["reference", ""])
def test_centers_choose_whose_energies_count(model_path, kernels):
    engine, atoms = Engine(model_path("mbp"), kernels=kernels), disordered_crystal()
    rows, species = rows_of(engine, atoms)
    whole = engine.compute(rows, species)
    parts = [
        engine.compute(dataclasses.replace(rows, centers=np.array(part, np.int32)), species)
        for part in ([4, 2, 19], [k for k in range(20) if k not in (4, 2, 19)], [])
    ]
    assert sum(p.energy for p in parts) == pytest.approx(whole.energy, abs=1e-11)
    assert sum(p.forces for p in parts) == pytest.approx(whole.forces, abs=1e-12)
    assert parts[2].energy == 0.0 and parts[2].closest_ratio == np.inf


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", ["reference", ""])
def test_guard_names_the_closest_pair(model_path, precision, kernels):
    path = model_path("mbp")
    shortest = read_model(path).arrays["shortest_distances"]
    atoms = Atoms("SiOHSi", [[0, 0, 0], [2.0, 0, 0], [2.0, 0.9, 0], [0, 3.0, 0]])
    found = evaluate(Engine(path, precision, kernels), atoms).raw
    species = [0, 1, 2, 0]
    ratios = {
        (a, b): np.linalg.norm(atoms.positions[a] - atoms.positions[b]) / shortest[species[a], species[b]]
        for a in range(4) for b in range(a)
    }  # fmt: skip
    pair = min(ratios, key=ratios.__getitem__)
    assert found.closest_ratio == pytest.approx(ratios[pair], rel=1e-14)
    assert sorted(found.closest_pair, reverse=True) == list(pair)
    assert found.closest_distance == pytest.approx(np.linalg.norm(atoms.positions[pair[0]] - atoms.positions[pair[1]]))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernels", ["reference", ""])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(
    ("position", "message"),
    [([0.1, 0.2, 0.3], r"rows 3 and 17|rows 17 and 3"), ([np.nan, 0, 0], "finite"), ([np.inf, 0, 0], "finite")],
)
def test_impossible_positions_are_refused(model_path, precision, kernels, n_threads, position, message):
    engine, atoms = Engine(model_path("mbp"), precision, kernels), disordered_crystal().repeat(2)
    atoms.pbc = False
    rows, species = rows_of(engine, atoms)
    rows.positions[3] = [0.1, 0.2, 0.3]
    rows.positions[17] = position
    neighbors = [np.setdiff1d(np.arange(len(atoms)), [k]) for k in range(len(atoms))]
    everybody = dataclasses.replace(
        rows,
        neighbors=np.concatenate(neighbors).astype(np.int32),
        starts=np.arange(len(atoms) + 1) * (len(atoms) - 1),
    )
    with pytest.raises(NumericalError, match=message):
        engine.compute(everybody, species, n_threads=n_threads)


@pytest.mark.parametrize("kernels", ["reference", ""])
def test_wrong_indices_are_refused(model_path, kernels):
    engine, atoms = Engine(model_path("mbp"), kernels=kernels), disordered_crystal()
    rows, species = rows_of(engine, atoms)
    with pytest.raises(NumericalError, match="lists neighbour 100000"):
        wrong = np.where(rows.neighbors == 3, 100000, rows.neighbors)
        engine.compute(dataclasses.replace(rows, neighbors=wrong), species)
    with pytest.raises(NumericalError, match="species 3, expected 0 to 2"):
        engine.compute(rows, np.where(rows.owners == 3, 3, species))
    with pytest.raises(NumericalError, match="centre 100000 does not exist"):
        engine.compute(dataclasses.replace(rows, centers=np.array([100000])), species)
    with pytest.raises(ValueError, match="species"):
        engine.compute(rows, species[:-1])
    with pytest.raises(ValueError, match="starts"):
        engine.compute(dataclasses.replace(rows, starts=rows.starts + 1), species)


def test_positions_in_another_unit_are_refused(model_path):
    """Before the memory of the machine is gone."""
    n = 15000
    positions = np.vstack([np.zeros(3), np.random.default_rng(0).uniform(-1.5, 1.5, (n, 3))])
    lists = np.zeros(n, dtype=int), np.arange(1, n + 1), np.zeros((n, 3))
    rows = neighborhood_from_pairs(positions, np.eye(3), *lists)
    with pytest.raises(NumericalError, match=rf"an atom has {n} neighbours inside the cutoff: check the positions and"):
        Engine(model_path("mbp")).compute(rows, np.zeros(n + 1, dtype=np.int32))


def test_unknown_options_are_refused(model_path):
    with pytest.raises(ValueError, match="precision must be one of mixed, double"):
        Engine(model_path("mbp"), "half")
    with pytest.raises(ModelFileError, match="kernels 'sparc' are not available on this processor"):
        Engine(model_path("mbp"), kernels="sparc")


def has_gpu() -> bool:
    return Path("/dev/nvidia0").exists()


@pytest.mark.skipif(has_gpu(), reason="a GPU is here")
def test_a_gpu_that_is_not_there_is_explained(model_path):
    """With the CUDA part built or not."""
    with pytest.raises(ModelFileError, match=r"built without CUDA|CUDA driver|no CUDA"):
        Engine(model_path("mbp"), device="cuda")


def test_unknown_devices_are_refused(model_path):
    with pytest.raises(ModelFileError, match='device must be "cpu", "cuda" or "cuda:" and a number, got "gpu"'):
        Engine(model_path("mbp"), device="gpu")
    assert Engine(model_path("mbp")).device == "cpu"
