"""Neighbor lists against a brute-force oracle; graphs, their joining and their errors."""

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.errors import DataError
from panna_plus.graph import AtomicGraph, frame_states, graph_from_atoms, offsets, sum_by_index
from panna_plus.neighbors import completed_cell, pair_list, volume_of

N_RANDOM_CASES = 300


def oracle(positions, cell, pbc, cutoff):
    """List all pairs by visiting every image that can be within the cutoff."""
    box = completed_cell(cell, np.asarray(pbc))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(box), axis=0)
    spread = np.ptp(positions @ np.linalg.inv(box), axis=0) if len(positions) else np.zeros(3)
    reach = np.where(pbc, np.ceil(cutoff / heights + spread).astype(int) + 1, 0)
    shifts = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij"), axis=-1).reshape(-1, 3)
    moved = positions[None, :, None] - positions[:, None, None] + (shifts @ box)[None, None]
    distances = np.linalg.norm(moved, axis=-1)
    i, j, s = np.nonzero(distances < cutoff)
    same = (i == j) & (shifts[s] == 0).all(axis=1)
    return i[~same], j[~same], shifts[s][~same]


def edges(i, j, shifts):
    """Return the pairs as a sorted list, a multiset."""
    return sorted(zip(i.tolist(), j.tolist(), map(tuple, shifts.tolist()), strict=True))


def random_cell(generator):
    kind = generator.choice(["cubic", "thin", "tilted", "left-handed", "long"])
    if kind == "cubic":
        return np.eye(3) * generator.uniform(2.0, 7.0)
    if kind == "thin":
        return np.diag([1.0, 20.0, 20.0])[generator.permutation(3)]
    if kind == "long":
        return np.diag(generator.uniform(2.0, 15.0, 3))
    while True:
        unit = generator.normal(size=(3, 3))
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        # Down to about 20 degrees between vectors, and flat corners.
        if abs(np.linalg.det(unit)) > 0.15:
            break
    cell = unit * generator.uniform(2.5, 7.0, (3, 1))
    wanted = -1.0 if kind == "left-handed" else 1.0
    return cell if np.sign(np.linalg.det(cell)) == wanted else cell[[1, 0, 2]]


def random_case(seed):
    generator = np.random.default_rng(seed)
    cell = random_cell(generator)
    pbc = generator.random(3) < 0.6
    n_atoms = int(generator.choice([1, 2, 3, 8, 20]))
    fractional = generator.uniform(-2.0, 3.0, (n_atoms, 3)) * generator.choice([1.0, 0.3], (n_atoms, 1))
    # Atoms on faces and corners of the cell, where rounding decides on which side they are.
    special = np.array([0.0, 1.0, -1e-17, -4.4e-52, 0.5])
    on_face = generator.random((n_atoms, 3)) < 0.2
    fractional = np.where(on_face, generator.choice(special, (n_atoms, 3)), fractional)
    volume_per_atom = abs(np.linalg.det(cell)) / n_atoms
    cutoff = min(generator.uniform(1.5, 6.0), (40 * volume_per_atom) ** (1 / 3))
    return fractional @ cell, cell, pbc, cutoff


@pytest.mark.parametrize("block", range(10))
def test_pairs_equal_those_of_the_oracle(block):
    n_pairs = 0
    for seed in range(block * N_RANDOM_CASES // 10, (block + 1) * N_RANDOM_CASES // 10):
        positions, cell, pbc, cutoff = random_case(seed)
        i, j, shifts = pair_list(positions, cell, pbc, cutoff)
        assert (np.diff(i) >= 0).all(), f"seed {seed}: centers must ascend"
        assert (shifts[:, ~pbc] == 0).all(), f"seed {seed}: shifts along a free direction"
        found, expected = edges(i, j, shifts), edges(*oracle(positions, cell, pbc, cutoff))
        if found != expected:
            differing = set(found) ^ set(expected)
            lengths = [np.linalg.norm(positions[b] - positions[a] + s @ cell) for a, b, s in differing]
            # On the boundary itself rounding may decide either way.
            assert np.allclose(lengths, cutoff, atol=1e-9), f"seed {seed}: {len(differing)} pairs differ"
        n_pairs += len(i)
    assert n_pairs > 1000


def test_every_atom_sees_its_own_images_in_a_small_cell():
    i, j, shifts = pair_list(np.zeros((1, 3)), np.eye(3) * 2.0, (True, True, True), 2.1)
    assert len(i) == 6
    assert (i == j).all()
    assert sorted(map(tuple, shifts.tolist())) == sorted(
        [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    )


def test_each_pair_is_listed_from_both_sides():
    positions, cell, pbc, cutoff = random_case(3)
    i, j, shifts = pair_list(positions, cell, pbc, cutoff)
    assert edges(i, j, shifts) == edges(j, i, -shifts)


def test_displacement_points_from_the_center_to_the_neighbor():
    graph = graph_from_atoms(Atoms("HO", [[0, 0, 0], [0, 0, 1.5]]), ["H", "O"], 2.0)
    assert graph.centers.tolist() == [0, 1]
    assert graph.neighbors.tolist() == [1, 0]
    assert graph.displacements.tolist() == [[0, 0, 1.5], [0, 0, -1.5]]
    assert graph.species.tolist() == [0, 1]


def test_displacement_uses_the_rows_of_the_cell():
    atoms = Atoms("H", [[0.1, 0.2, 0.3]], cell=[[2.0, 0, 0], [1.5, 9.0, 0], [0, 0.7, 9.0]], pbc=True)
    graph = graph_from_atoms(atoms, ["H"], 2.5)
    assert sorted(graph.displacements.tolist()) == [[-2.0, 0, 0], [2.0, 0, 0]]


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, True), (False, True, False)])
def test_cell_rows_of_free_directions_do_not_matter(pbc):
    generator = np.random.default_rng(5)
    positions, cell = generator.uniform(0, 5, (8, 3)), np.diag([4.0, 4.5, 5.0]) + generator.normal(0, 0.3, (3, 3))
    expected = edges(*pair_list(positions, cell, pbc, 4.0))
    for replacement in (np.zeros((3, 3)), np.ones((3, 3)), np.eye(3)):
        changed = np.where(np.array(pbc)[:, None], cell, replacement)
        assert edges(*pair_list(positions, changed, pbc, 4.0)) == expected


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        (np.zeros((3, 3)), (True, True, True)),
        (np.diag([3.0, 3.0, 0.0]), (True, True, True)),
        (np.array([[3.0, 0, 0], [6.0, 0, 0], [0, 0, 3.0]]), (True, True, False)),
        (np.full((3, 3), np.nan), (True, True, True)),
    ],
)
def test_periodic_vectors_that_span_nothing_are_refused(cell, pbc):
    with pytest.raises(DataError, match="cell"):
        pair_list(np.zeros((1, 3)), cell, pbc, 2.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_refused(bad):
    with pytest.raises(DataError, match="finite"):
        pair_list(np.array([[0.0, 0.0, bad]]), np.eye(3), (False, False, False), 2.0)


def test_unknown_element_is_named_with_the_known_ones():
    with pytest.raises(DataError, match=r"does not know O; it knows H, Si"):
        graph_from_atoms(Atoms("HO", [[0, 0, 0], [0, 0, 1]]), ["H", "Si"], 2.0)


@pytest.mark.parametrize("pbc", [True, False])
def test_no_atoms_give_an_empty_graph(pbc):
    graph = graph_from_atoms(Atoms(cell=np.eye(3) * 3, pbc=pbc), ["H"], 2.0)
    assert graph.n_atoms == 0
    assert graph.displacements.shape == (0, 3)
    assert graph.n_frames == 1


@pytest.mark.parametrize(
    ("cell", "pbc", "volume"),
    [
        (np.diag([2.0, 3.0, 4.0]), True, 24.0),
        (np.diag([2.0, 3.0, 4.0])[[1, 0, 2]], True, 24.0),
        (np.diag([2.0, 3.0, 4.0]), (True, False, False), 24.0),
        (np.diag([2.0, 3.0, 4.0]), False, np.nan),
        (np.diag([2.0, 3.0, 0.0]), (True, True, False), np.nan),
        (np.zeros((3, 3)), False, np.nan),
    ],
)
def test_volume_exists_for_three_vectors_and_some_periodicity(cell, pbc, volume):
    assert volume_of(Atoms("H", cell=cell, pbc=pbc)) == pytest.approx(volume, nan_ok=True)


def test_building_a_graph_leaves_the_atoms_alone():
    atoms = Atoms("H2", [[9.0, 0, 0], [-8.0, 0, 0]], cell=np.eye(3) * 3, pbc=True)
    before = atoms.copy()
    graph_from_atoms(atoms, ["H"], 2.5)
    assert atoms == before
    assert (atoms.positions == before.positions).all()


def test_joined_graphs_keep_frames_apart():
    parts = [
        graph_from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, 1]]), ["H"], 2.0),
        graph_from_atoms(Atoms("H"), ["H"], 2.0),
        graph_from_atoms(Atoms("H2", [[0, 0, 0], [0, 1, 0]], cell=np.eye(3) * 4, pbc=True), ["H"], 2.0),
    ]
    joined = AtomicGraph.concatenate(parts)
    assert joined.n_frames == 3
    assert joined.frames.tolist() == [0, 0, 1, 2, 2]
    assert joined.centers.tolist() == [0, 1, 3, 4]
    assert joined.neighbors.tolist() == [1, 0, 4, 3]
    assert torch.isnan(joined.volumes).tolist() == [True, True, False]
    assert joined.to("cpu").n_atoms == joined.n_atoms == 5


def test_graph_moves_to_any_device():
    graph = graph_from_atoms(Atoms("H2", [[0, 0, 0], [0, 0, 1]]), ["H"], 2.0).to("meta")
    assert {graph.species.device.type, graph.displacements.device.type, graph.volumes.device.type} == {"meta"}
    assert graph.n_frames == 1


def test_offsets_start_at_zero():
    assert offsets([3, 0, 2]) == [0, 3, 3]


def test_sum_by_index_leaves_untouched_rows_at_zero():
    sums = sum_by_index(torch.tensor([[1.0, 2.0], [10.0, 20.0], [5.0, 5.0]]), torch.tensor([2, 2, 0]), 3)
    assert sums.tolist() == [[5.0, 5.0], [0.0, 0.0], [11.0, 22.0]]


def test_charge_and_spin_come_from_the_info_of_the_atoms():
    ion, plain, strange = Atoms("H"), Atoms("H"), Atoms("H")
    ion.info.update(charge=-1, spin=np.int64(2))
    strange.info["charge"] = "negative"
    graphs = [graph_from_atoms(atoms, ["H"], 3.0) for atoms in (ion, plain, strange)]
    joined = AtomicGraph.concatenate(graphs)
    assert joined.spins.tolist() == [2.0, 0.0, 0.0]
    assert joined.charges[:2].tolist() == [-1.0, 0.0]
    # Models that use a charge refuse what is no number; others do not look.
    assert torch.isnan(joined.charges[2])
    assert joined.states.of_atoms.tolist() == [0, 1, 2]
    assert joined.states.is_owned.all()


def test_states_that_are_not_given_are_one_neutral_frame():
    species = torch.tensor([0, 1, 1])
    for states, n_frames in ((frame_states(species), 1), (frame_states(species, torch.tensor([0, 0, 2])), 3)):
        assert states.charges.tolist() == states.spins.tolist() == [0.0] * n_frames
        assert states.is_owned.tolist() == [True] * 3
    given = frame_states(species, charges=torch.tensor([1.0], dtype=torch.float64))
    assert (given.charges.tolist(), given.of_atoms.tolist()) == ([1.0], [0, 0, 0])
