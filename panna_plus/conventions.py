"""Units, signs and orders, stated once.

Length Å, energy eV, force eV/Å, stress eV/Å³. Cell vectors are the rows of the cell.

A displacement points from the centre to the neighbor: ``r_ij = x_j - x_i + S @ cell``.

Stress is ``+1/V dE/dstrain`` (tension positive, a compressed cell has negative stress), the sign of ASE;
the virial is ``-V * stress``. Six-component stresses are in ASE's Voigt order xx, yy, zz, yz, xz, xy; LAMMPS
uses xx, yy, zz, xy, xz, yz, which occurs only inside the C interface and the pair style.
"""

import numpy as np

GPA_PER_EV_PER_CUBIC_ANGSTROM = 160.21766208

_VOIGT_ROWS = np.array([0, 1, 2, 1, 0, 0])
_VOIGT_COLUMNS = np.array([0, 1, 2, 2, 2, 1])


def voigt_from_matrix(stress: np.ndarray) -> np.ndarray:
    """Return the six components xx, yy, zz, yz, xz, xy of symmetric matrices (..., 3, 3)."""
    stress = np.asarray(stress)
    symmetric = 0.5 * (stress + np.swapaxes(stress, -1, -2))
    return symmetric[..., _VOIGT_ROWS, _VOIGT_COLUMNS]


def matrix_from_voigt(components: np.ndarray) -> np.ndarray:
    """Return the symmetric matrices (..., 3, 3) of six components xx, yy, zz, yz, xz, xy."""
    components = np.asarray(components)
    matrix = np.empty((*components.shape[:-1], 3, 3), dtype=components.dtype)
    matrix[..., _VOIGT_ROWS, _VOIGT_COLUMNS] = components
    matrix[..., _VOIGT_COLUMNS, _VOIGT_ROWS] = components
    return matrix


def voigt_stress_from_virial(virial: np.ndarray, volume: float) -> np.ndarray:
    """Return the stress, eV/Å³ in the order xx, yy, zz, yz, xz, xy, of a virial as the C interface gives it.

    Parameters
    ----------
    virial : (6,) float, eV
        ``-sum r (x) dE/dr`` in the order xx, yy, zz, xy, xz, yz.
    volume : float, Å³
    """
    return -np.asarray(virial)[[0, 1, 2, 5, 4, 3]] / volume
