"""The pair list against brute force over periodic images, on cells and positions chosen to break it."""

import itertools
import time

import numpy as np
import pytest

from panna_plus import neighbors
from panna_plus.errors import DataError
from panna_plus.neighbors import pair_list

ALL_PBC = list(itertools.product([False, True], repeat=3))
CASES_PER_PBC = 38  # 8 * 38 = 304 random systems
# Pairs this close to the cutoff may fall on either side by rounding; the exact rule has its own test.
ROUNDING = 1e-9


def brute_force_pairs(positions, cell, pbc, cutoff):
    """Return {(i, j, s_a, s_b, s_c)} of all pairs closer than the cutoff, by testing every image in reach.

    A displacement r shorter than the cutoff has |r . b_k| <= cutoff |b_k| along each reciprocal vector b_k of the
    periodic vectors, which bounds the shifts also for atoms far outside the cell.
    """
    pairs = set()
    periodic = np.flatnonzero(pbc)
    reciprocal = np.linalg.pinv(cell[periodic]) if len(periodic) else np.zeros((3, 0))
    reach = cutoff * np.linalg.norm(reciprocal, axis=0)
    for i, j in itertools.product(range(len(positions)), repeat=2):
        difference = positions[j] - positions[i]
        at = difference @ reciprocal
        ranges = [
            range(int(np.ceil(-r - a - 1e-6)), int(np.floor(r - a + 1e-6)) + 1) for r, a in zip(reach, at, strict=True)
        ]
        images = list(itertools.product(*ranges))  # [()] without periodicity: the pair itself
        shifts = np.array(images, dtype=int).reshape(len(images), len(periodic))
        distances = np.linalg.norm(difference + shifts @ cell[periodic], axis=1)
        for shift in shifts[distances < cutoff - ROUNDING]:
            full = np.zeros(3, dtype=int)
            full[periodic] = shift
            if i != j or full.any():
                pairs.add((i, j, *full.tolist()))
    return pairs


def tilted_cell(rng):
    """Return a cell whose angles lie between 20 and 160 degrees; resampled until it has some volume."""
    while True:
        directions = rng.normal(size=(3, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        cosines = [abs(directions[a] @ directions[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
        if max(cosines) < np.cos(np.radians(20)) and abs(np.linalg.det(directions)) > 0.05:
            return directions * rng.uniform(2.0, 7.0, size=(3, 1))


def random_cell(rng, pbc):
    kind = rng.choice(["cubic", "thin", "tilted", "left-handed", "useless"])
    if kind == "cubic":
        return np.eye(3) * rng.uniform(2.0, 8.0)
    if kind == "thin":
        return np.diag(rng.permutation([1.0, 12.0, 12.0]))
    if kind == "tilted":
        return tilted_cell(rng)
    if kind == "left-handed":
        cell = tilted_cell(rng)
        return cell if np.linalg.det(cell) < 0 else cell[[1, 0, 2]]
    # A cell that says nothing where pbc is False: zero, or 1 Å as some codes write for molecules.
    cell = tilted_cell(rng)
    cell[~np.array(pbc)] = rng.choice([0.0, 1.0]) * np.eye(3)[~np.array(pbc)]
    return cell


def random_positions(rng, n_atoms, cell):
    fractional = rng.uniform(0.0, 1.0, size=(n_atoms, 3))
    place = rng.choice(["inside", "outside", "boundary", "coincident", "tiny negative"])
    if place == "outside":
        fractional += rng.integers(-7, 8, size=(n_atoms, 3))
    if place == "boundary":
        fractional = np.round(fractional)
    if place == "tiny negative":
        fractional = np.where(rng.random((n_atoms, 3)) < 0.5, -4.4e-52, fractional)
    positions = fractional @ cell + (rng.uniform(0, 6, (n_atoms, 3)) if not cell.any() else 0.0)
    if place == "coincident" and n_atoms > 1:
        positions[1] = positions[0]
    return positions


def listed_pairs(positions, cell, pbc, cutoff):
    i, j, shifts = pair_list(positions, cell, pbc, cutoff)
    return list(zip(i.tolist(), j.tolist(), *shifts.T.tolist(), strict=True)), (i, j, shifts)


def check_against_brute_force(positions, cell, pbc, cutoff):
    listed, (i, j, shifts) = listed_pairs(positions, cell, pbc, cutoff)
    distances = np.linalg.norm(positions[j] - positions[i] + shifts @ cell, axis=1)
    assert (distances <= cutoff + ROUNDING).all()
    assert (np.diff(i) >= 0).all(), "pairs must be sorted by center"
    assert (shifts[:, ~np.array(pbc)] == 0).all()
    certain = [pair for pair, d in zip(listed, distances, strict=True) if d < cutoff - ROUNDING]
    assert len(certain) == len(set(certain)), "a pair is listed twice"
    assert set(certain) == brute_force_pairs(positions, cell, pbc, cutoff)
    return len(certain)


@pytest.mark.parametrize("pbc", ALL_PBC, ids=lambda p: "".join("FT"[x] for x in p))
def test_pairs_equal_brute_force_on_random_systems(pbc):
    n_pairs = 0
    for seed in range(CASES_PER_PBC):
        rng = np.random.default_rng([seed, *map(int, pbc)])
        cell = random_cell(rng, pbc)
        n_atoms = int(rng.choice([0, 1, 2, 3, 8, 40], p=[0.05, 0.15, 0.2, 0.25, 0.25, 0.1]))
        cutoff = rng.uniform(1.0, 3.0) if n_atoms == 40 else rng.uniform(1.0, 6.0)
        positions = random_positions(rng, n_atoms, cell)
        n_pairs += check_against_brute_force(positions, cell, pbc, cutoff)
    assert n_pairs > 500


def test_pairs_of_every_pbc_combination_in_one_tilted_cell_smaller_than_the_cutoff():
    cell = np.array([[2.1, 0.0, 0.0], [1.3, 2.4, 0.0], [-0.7, 0.9, 2.2]])
    positions = np.array([[0.1, 0.2, 0.3], [9.0, -4.0, 1.7]])
    counts = {pbc: check_against_brute_force(positions, cell, pbc, 5.0) for pbc in ALL_PBC}
    assert counts[True, True, True] > counts[True, True, False] > counts[True, False, False] > 0
    assert counts[False, False, False] == 0


def test_lone_atom_in_a_small_cell_sees_its_own_images():
    listed, _ = listed_pairs(np.zeros((1, 3)), 3.0 * np.eye(3), (True, True, True), 3.5)
    assert len(listed) == 6
    assert all(pair[:2] == (0, 0) for pair in listed)


@pytest.mark.parametrize("n_atoms", [0, 1])
def test_no_pairs_without_two_atoms_or_periodicity(n_atoms):
    i, j, shifts = pair_list(np.zeros((n_atoms, 3)), np.zeros((3, 3)), (False, False, False), 5.0)
    assert i.shape == j.shape == (0,)
    assert shifts.shape == (0, 3)


def test_rotated_system_has_the_same_pairs():
    rng = np.random.default_rng(5)
    cell, positions = tilted_cell(rng), rng.uniform(0, 6, (8, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for pbc in ALL_PBC:
        before, _ = listed_pairs(positions, cell, pbc, 4.0)
        after, _ = listed_pairs(positions @ rotation, cell @ rotation, pbc, 4.0)
        assert sorted(before) == sorted(after)


def test_lattice_translations_of_an_atom_change_only_its_shifts():
    rng = np.random.default_rng(6)
    cell, positions, pbc = tilted_cell(rng), rng.uniform(0, 5, (6, 3)), (True, True, True)
    moved = positions + rng.integers(-7, 8, size=(6, 3)) @ cell
    lengths = []
    for x in (positions, moved):
        i, j, shifts = pair_list(x, cell, pbc, 4.0)
        distances = np.linalg.norm(x[j] - x[i] + shifts @ cell, axis=1)
        lengths.append(sorted(zip(i.tolist(), j.tolist(), np.round(distances, 9).tolist(), strict=True)))
    assert lengths[0] == lengths[1]


def test_nonperiodic_cell_vectors_do_not_matter():
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [1.5, 0.0, 9.0]])
    pbc = (False, True, False)
    expected, _ = listed_pairs(positions, np.diag([5.0, 3.0, 7.0]), pbc, 4.0)
    for rows in (0.0, 1.0, -20.0):
        cell = np.diag([rows, 3.0, rows])
        assert sorted(listed_pairs(positions, cell, pbc, 4.0)[0]) == sorted(expected)


@pytest.mark.parametrize(
    "cell",
    [np.zeros((3, 3)), np.diag([4.0, 4.0, 0.0]), np.array([[4.0, 0, 0], [0, 4.0, 0], [4.0, 4.0, 0]])],
    ids=["zero", "flat", "dependent"],
)
def test_singular_periodic_cell_is_refused(cell):
    with pytest.raises(DataError, match="cell vectors must be linearly independent"):
        pair_list(np.zeros((2, 3)), cell, (True, True, True), 3.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    with pytest.raises(DataError, match="positions must be finite"):
        pair_list(np.array([[0.0, 0.0, bad]]), np.eye(3), (False, False, False), 3.0)
    with pytest.raises(DataError, match="cell must be finite"):
        pair_list(np.zeros((1, 3)), np.diag([4.0, 4.0, bad]), (True, True, True), 3.0)


def test_distant_atoms_beside_a_periodic_direction_are_listed_at_once():
    # A wire or slab with evaporated atoms: a cell list over the empty space would take minutes.
    positions = np.random.default_rng(0).uniform(0.0, 1000.0, size=(10, 3))
    positions[1] = positions[0] + [0.0, 0.0, 2.0]
    start = time.process_time()
    check_against_brute_force(positions, 6.2 * np.eye(3), (True, False, False), 5.0)
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize("pbc", ALL_PBC)
def test_both_ways_to_vesin_list_the_same(monkeypatch, pbc):
    """Its library called directly, which needs no torch, and its public interface."""
    assert neighbors.vesin_interface() is not None
    rng = np.random.default_rng(8)
    positions, cell = rng.uniform(-3, 6, (20, 3)), tilted_cell(rng)
    direct = pair_list(positions, cell, pbc, 3.5)
    monkeypatch.setattr(neighbors, "vesin_interface", lambda: None)
    public = pair_list(positions, cell, pbc, 3.5)
    rows = [sorted(zip(i.tolist(), j.tolist(), map(tuple, s.tolist()), strict=True)) for i, j, s in (direct, public)]
    assert len(rows[0]) > 20
    assert rows[0] == rows[1]


def test_a_vesin_of_another_kind_is_used_through_its_public_interface(monkeypatch):
    monkeypatch.setattr(neighbors, "VESIN_OPTIONS", {"cutoff", "an option of the future"})
    assert neighbors.vesin_interface.__wrapped__() is None
    monkeypatch.setattr(neighbors, "VESIN_OPTIONS", {"cutoff"})
    assert neighbors.vesin_interface.__wrapped__() is not None
