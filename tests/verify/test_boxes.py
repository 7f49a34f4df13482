"""Any cell and periodicity becomes a box that LAMMPS takes, and everything turns back."""

import itertools

import numpy as np
import pytest
from ase import Atoms

from panna_plus.errors import DataError, PannaPlusError
from panna_plus.neighbors import pair_list
from panna_plus.verify.boxes import lammps_frame
from panna_plus.verify.deck import Deck, box_of
from tests.geometries import crystal, random_rotation

PBC = list(itertools.product([True, False], repeat=3))
LEFT_HANDED = np.array([[0.4, 5.1, 0.3], [4.7, -0.2, 1.9], [0.8, 1.1, 4.4]])


def distances(atoms: Atoms) -> np.ndarray:
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, 5.0)
    d = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array, axis=1)
    return np.array(sorted(zip(i, j, d.round(9), strict=True)))


@pytest.mark.parametrize("pbc", PBC, ids=str)
@pytest.mark.parametrize("cell", ["right-handed", "left-handed", "very skew"])
def test_distances_stay_as_they_are(pbc, cell):
    atoms = skewed(cell, pbc)
    frame = lammps_frame(atoms)
    np.testing.assert_allclose(distances(frame.atoms), distances(atoms), atol=1e-8)
    assert frame.atoms.pbc.sum() == sum(pbc)
    assert frame.atoms.get_chemical_symbols() == atoms.get_chemical_symbols()


def skewed(cell: str, pbc) -> Atoms:
    if cell == "left-handed":
        return crystal(["H", "Cu"], cell=LEFT_HANDED, pbc=pbc)
    atoms = crystal(["H", "Cu"], pbc=pbc)
    if cell == "very skew":
        # Another cell of the same lattice where all directions are periodic.
        atoms.set_cell(np.array([[1, 0, 0], [3, 1, 0], [-2, 4, 1]]) @ atoms.cell.array)
    return atoms


@pytest.mark.parametrize("pbc", PBC, ids=str)
def test_box_is_one_that_lammps_takes(pbc):
    frame = lammps_frame(skewed("very skew", pbc))
    cell = frame.atoms.cell.array
    assert np.array_equal(cell, np.tril(cell))
    assert (np.diag(cell) > 0).all()
    for a, b in ((1, 0), (2, 0), (2, 1)):
        assert abs(cell[a, b]) <= 0.5 * cell[b, b] * (1 + 1e-12)
        # LAMMPS refuses tilts of a direction that is not periodic.
        assert frame.atoms.pbc[a] or cell[a, b] == 0
    scaled = frame.atoms.get_scaled_positions(wrap=False)
    assert (scaled[:, ~frame.atoms.pbc] > 0).all() and (scaled[:, ~frame.atoms.pbc] < 1).all()


def test_vectors_and_tensors_turn_back():
    atoms = skewed("left-handed", True)
    frame, random = lammps_frame(atoms), np.random.default_rng(3)
    vectors, tensor = random.normal(size=(4, 3)), random.normal(size=(3, 3))
    np.testing.assert_allclose(frame.vectors_back(vectors @ frame.rotation), vectors)
    outer = frame.tensor_back(np.outer(vectors[0] @ frame.rotation, vectors[1] @ frame.rotation))
    np.testing.assert_allclose(outer, np.outer(vectors[0], vectors[1]))
    assert np.trace(frame.tensor_back(tensor)) == pytest.approx(np.trace(tensor))


def test_a_rotated_structure_has_the_same_box():
    atoms = skewed("right-handed", True)
    turned = atoms.copy()
    turn = random_rotation(np.random.default_rng(5))
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = atoms.positions @ turn
    np.testing.assert_allclose(lammps_frame(turned).atoms.cell.array, lammps_frame(atoms).atoms.cell.array, atol=1e-12)
    np.testing.assert_allclose(lammps_frame(turned).atoms.positions, lammps_frame(atoms).atoms.positions, atol=1e-12)


def test_a_periodic_direction_without_a_vector_is_refused():
    with pytest.raises(DataError, match="periodic cell vectors must be linearly independent"):
        lammps_frame(Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=[3, 3, 0], pbc=True))


def test_a_deck_refuses_a_cell_that_lammps_would_not_take():
    with pytest.raises(PannaPlusError, match="lower triangular"):
        box_of(LEFT_HANDED)
    assert box_of(np.diag([1.0, 2.0, 3.0])) == ["0 1 xlo xhi", "0 2 ylo yhi", "0 3 zlo zhi"]


def test_all_elements_are_types():
    frame = lammps_frame(Atoms("Cu", [[0, 0, 0]]))
    script, data = Deck(frame.atoms, ["H", "Cu"]).script('"a model.pt"'), Deck(frame.atoms, ["H", "Cu"]).data()
    assert 'pair_coeff * * "a model.pt" H Cu' in script
    assert "boundary f f f" in script
    assert "2 atom types" in data and "\n1 2 1 1 1\n" in data
