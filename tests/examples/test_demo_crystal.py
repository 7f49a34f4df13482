import crystal
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.units import GPa

from panna_plus.conventions import voigt_from_matrix

LATTICE, BULK_MODULUS, SLOPE = 5.4, 90.0, 4.2


def birch_murnaghan(volumes):
    """Energy per atom of the third-order equation with the constants above."""
    x = (LATTICE**3 / 8 / volumes) ** (2 / 3)
    prefactor = 9 / 16 * (LATTICE**3 / 8) * BULK_MODULUS * GPa
    return -100.0 + prefactor * ((x - 1) ** 3 * SLOPE + (x - 1) ** 2 * (6 - 4 * x))


class LinearElastic(Calculator):
    """A crystal without forces whose stress is linear in the strain from its ideal cell."""

    implemented_properties = ("energy", "forces", "stress")
    C11, C12, C44 = 160.0, 60.0, 80.0

    def calculate(self, atoms=None, properties=(), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        strain = np.linalg.solve(bulk("Si", "diamond", a=LATTICE, cubic=True).cell.array, atoms.cell.array) - np.eye(3)
        diagonal = (self.C11 - self.C12) * np.diag(np.diag(strain)) + self.C12 * np.trace(strain) * np.eye(3)
        shear = 2 * self.C44 * (strain - np.diag(np.diag(strain)))
        stress = voigt_from_matrix(diagonal + shear) * GPa
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": stress}


def test_fit_finds_the_constants_of_an_exact_curve():
    volumes = np.array([5.1, 5.25, 5.35, 5.4, 5.5, 5.6, 5.8]) ** 3 / 8
    curve = crystal.fit_energy_curve(volumes[::-1], birch_murnaghan(volumes)[::-1])
    assert curve.lattice_constant == pytest.approx(LATTICE, abs=1e-5)
    assert curve.bulk_modulus == pytest.approx(BULK_MODULUS, rel=1e-4)
    assert curve.minimum == pytest.approx(-100.0, abs=1e-6)
    assert (np.diff(curve.volumes) > 0).all()


def test_elastic_constants_of_a_linear_solid():
    found = crystal.elastic_constants(LinearElastic(), LATTICE)
    assert found == pytest.approx({"C11": 160.0, "C12": 60.0, "C44": 80.0}, rel=1e-6)


def test_the_crystal_to_relax_is_distorted():
    atoms = crystal.distorted_crystal()
    assert np.abs(atoms.cell.angles() - 90).max() > 0.5
    assert np.ptp(atoms.get_all_distances(mic=True)[0, 1:5]) > 0.05
