import numpy as np
import pytest
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from ase.units import GPa

from panna_plus.conventions import (
    GPA_PER_EV_PER_CUBIC_ANGSTROM,
    matrix_from_voigt,
    voigt_from_matrix,
    voigt_stress_from_virial,
)

MATRICES = np.array([[[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]], [[7.0, 1, 2], [1, 8.0, 3], [2, 3, 9.0]]])


def test_order_is_xx_yy_zz_yz_xz_xy():
    assert voigt_from_matrix(MATRICES[0]).tolist() == [1, 2, 3, 4, 5, 6]
    assert matrix_from_voigt(np.arange(1.0, 7.0)).tolist() == MATRICES[0].tolist()


def test_order_is_that_of_ase():
    for matrix in MATRICES:
        assert (voigt_from_matrix(matrix) == full_3x3_to_voigt_6_stress(matrix)).all()
        assert (
            matrix_from_voigt(voigt_from_matrix(matrix)) == voigt_6_to_full_3x3_stress(voigt_from_matrix(matrix))
        ).all()


def test_stacks_of_matrices_go_through():
    assert (matrix_from_voigt(voigt_from_matrix(MATRICES)) == MATRICES).all()


def test_unsymmetric_matrices_are_averaged():
    matrix = np.zeros((3, 3))
    matrix[0, 1] = 2.0
    assert voigt_from_matrix(matrix).tolist() == [0, 0, 0, 0, 0, 1]


def test_pressure_unit_is_that_of_ase():
    # ASE uses CODATA 2014 values, which differ in the eighth digit.
    assert 1 / GPa == pytest.approx(GPA_PER_EV_PER_CUBIC_ANGSTROM, rel=1e-7)


def test_virials_of_the_engine_become_stresses():
    # xx, yy, zz, xy, xz, yz of the virial; its sign is the opposite of that of the stress.
    assert voigt_stress_from_virial(np.array([1.0, 2, 3, 4, 5, 6]), 2.0).tolist() == [-0.5, -1, -1.5, -3, -2.5, -2]
