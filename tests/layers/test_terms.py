"""Energy terms against formulas written out for pairs of atoms, and what they do at their ends."""

import math

import numpy as np
import pytest
import torch

from panna_plus.config import parse
from panna_plus.errors import ConfigError
from panna_plus.graph import FrameStates
from panna_plus.layers.dispersion import QdoDispersion
from panna_plus.layers.electrostatics import DampedElectrostatics
from panna_plus.layers.element_table import ElementTable
from panna_plus.layers.free_atoms import FREE_ATOMS
from panna_plus.layers.pairs import Pairs, safe_distances, unit_vectors
from panna_plus.layers.partial_charges import PartialCharges, neutralized
from panna_plus.layers.repulsion import Repulsion, positive, raw_parameter
from panna_plus.layers.terms import TermsConfig
from tests.geometries import largest

COULOMB = 14.399645351950548
F64 = torch.float64


def dimer(distance):
    """Return both directed pairs of two atoms; the distance may carry a gradient."""
    r = torch.as_tensor(distance, dtype=F64).reshape(1)
    return Pairs(torch.cat([r, r]), torch.tensor([0, 1]), torch.tensor([1, 0]))


def slope_of(energy, distance):
    r = torch.tensor(distance, dtype=F64, requires_grad=True)
    value = energy(r)
    return float(value.detach()), float(torch.autograd.grad(value, r)[0])


class TestRepulsion:
    def test_begins_at_the_universal_screening_function(self):
        term = Repulsion(["H", "C"], F64)
        r = 0.9
        x = r * (1 + 6**0.23) / (0.8854 * 0.5291772105638411)
        phi = sum(
            c * math.exp(-a * x)
            for a, c in zip((3.2, 0.9423, 0.4028, 0.2016), (0.1818, 0.5099, 0.2802, 0.02817), strict=True)
        ) / (0.1818 + 0.5099 + 0.2802 + 0.02817)
        t = r / 1.5
        switch = math.exp(-1 / (1 - t)) / (math.exp(-1 / (1 - t)) + math.exp(-1 / t))
        expected = 0.7 * switch * COULOMB * 6 / r * phi
        energies = term(dimer(r), torch.full((2,), 0.7, dtype=F64), torch.tensor([0, 1]))
        assert energies.sum().item() == pytest.approx(expected, rel=1e-12)
        assert energies[0].item() == pytest.approx(energies[1].item(), rel=1e-14)

    def test_vanishes_smoothly_at_its_end(self):
        term = Repulsion(["O"], F64)
        ones = torch.ones(2, dtype=F64)
        value, slope = slope_of(lambda r: term(dimer(r), ones, torch.tensor([0, 0])).sum(), 1.49)
        assert 0.0 <= value < 1e-20 and abs(slope) < 1e-20
        value, slope = slope_of(lambda r: term(dimer(r), ones, torch.tensor([0, 0])).sum(), 0.8)
        assert value > 1.0 and slope < -1.0

    def test_stored_numbers_mean_positive_parameters(self):
        assert positive(raw_parameter((0.02, 3.2), F64)).tolist() == pytest.approx([0.02, 3.2], rel=1e-13)


class TestElectrostatics:
    WIDTH, CUTOFF = 4.0, 12.0

    def energy(self, r):
        term = DampedElectrostatics(self.WIDTH, self.CUTOFF)
        return term(dimer(r), torch.tensor([0.4, -0.3], dtype=F64)).sum()

    def test_value_of_the_formula(self):
        v = lambda r: math.erf(r / 4.0) / r  # noqa: E731
        slope = (v(12.0 + 1e-5) - v(12.0 - 1e-5)) / 2e-5
        for r in (2.0, 5.3, 7.0, 10.0):
            t = (r - 5.4) / 6.6
            f = 1.0 if t <= 0 else math.exp(-1 / (1 - t)) / (math.exp(-1 / (1 - t)) + math.exp(-1 / t))
            bracket = f * (v(r) - v(12.0)) + (1 - f) * (v(r) - v(12.0) - slope * (r - 12.0))
            assert float(self.energy(r)) == pytest.approx(COULOMB * 0.4 * -0.3 * bracket, rel=1e-8)

    def test_energy_and_force_end_at_the_cutoff(self):
        value, slope = slope_of(self.energy, 12.0 - 1e-6)
        assert abs(value) < 1e-12 and abs(slope) < 1e-8
        assert abs(slope_of(self.energy, 6.0)[1]) > 1e-3
        assert float(self.energy(12.0)) == 0.0


class TestDispersion:
    def energy(self, r, ratios=(0.7, 0.9)):
        term = QdoDispersion(["C", "O"], 1.2, 12.0, 2.0)
        return term(dimer(r), torch.tensor(ratios, dtype=F64), torch.tensor([0, 1])).sum()

    def test_value_of_the_formula(self):
        h1, h2 = 0.7, 0.9
        a1, a2, c1, c2 = 12.0 * h1, 5.4 * h2, 46.6 * h1**2, 15.6 * h2**2
        alpha, c6 = 0.5 * (a1 + a2), 2 * c1 * c2 * a1 * a2 / (a1**2 * c2 + a2**2 * c1)
        rv = 0.007297352566206496 ** (-4 / 21) * alpha ** (1 / 7)
        width = -0.00433008 + 0.24428889 * rv + 0.04125273 * rv**2 - 0.00078893 * rv**3
        gamma = 1 / (2 * width**2)
        p = 1.2 * 2 * 2.54 * alpha ** (1 / 7)
        for r in (2.5, 4.0, 9.0):
            x = r / 0.5291772105638411
            terms = ((6, c6), (8, 5 * c6 / gamma), (10, 245 * c6 / (8 * gamma**2)))
            expected = -27.211386024367243 * sum(c / (x**n + p**n) for n, c in terms)
            assert float(self.energy(r)) == pytest.approx(expected, rel=1e-12)

    def test_energy_and_force_end_at_the_cutoff(self):
        assert float(self.energy(12.0)) == 0.0
        value, slope = slope_of(self.energy, 11.9)
        assert abs(value) < 1e-9 and abs(slope) < 1e-6
        assert slope_of(self.energy, 5.0)[1] > 1e-4

    def test_free_atoms_of_the_first_rows(self):
        assert len(FREE_ATOMS) == 102
        assert FREE_ATOMS["H"] == (4.5, 6.5)
        assert FREE_ATOMS["Cl"] == (15.0, 94.6)

    def test_free_atoms_equal_the_published_table(self, reference_folder):
        from ase.data import atomic_numbers

        published = np.load(reference_folder / "so3lr" / "dispersion_ref.npz")
        for symbol, (alpha, c6) in FREE_ATOMS.items():
            z = atomic_numbers[symbol]
            assert (published["alpha0"][z], published["C6"][z]) == (alpha, c6), symbol


class TestCharges:
    def states(self):
        # Three frames, the second one empty.
        return FrameStates(
            torch.tensor([0, 0, 0, 2, 2]),
            torch.tensor([1.0, -1.0, -2.0], dtype=F64),
            torch.zeros(3, dtype=F64),
            torch.ones(5, dtype=torch.bool),
        )

    def test_charges_of_each_frame_sum_to_its_total(self):
        raw = torch.tensor([0.3, -1.2, 0.7, 5.0, 1e-3], dtype=F64)
        charges = neutralized(raw, self.states())
        assert charges[:3].sum().item() == pytest.approx(1.0, abs=1e-15)
        assert charges[3:].sum().item() == pytest.approx(-2.0, abs=1e-15)
        assert largest(torch.diff(charges[:3]) - torch.diff(raw[:3])) < 1e-15

    def test_charges_of_a_network_in_float32_sum_in_float64(self):
        module = PartialCharges(6, 8, 2, torch.Generator().manual_seed(0), torch.float32)
        features = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
        charges = module(features, torch.tensor([0, 1, 0, 1, 0]), self.states())
        assert charges.dtype == F64
        assert charges[:3].sum().item() == pytest.approx(1.0, abs=1e-14)
        assert charges.std() > 0.01


def test_zero_vectors_have_finite_derivatives():
    displacements = torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]], dtype=F64, requires_grad=True)
    distances = safe_distances(displacements)
    assert distances.tolist() == [0.0, 5.0]
    total = distances.sum() + unit_vectors(displacements, distances).sum()
    (gradient,) = torch.autograd.grad(total, displacements, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), displacements)
    assert torch.isfinite(gradient).all() and torch.isfinite(second).all()


def test_table_by_atomic_number_refuses_elements_beyond_it():
    table = ElementTable(torch.zeros(2, 1))
    table.index_by([1, 17], 100)
    assert table(torch.tensor([1, 0])).shape == (2, 1)
    with pytest.raises(ValueError, match="has none for atomic number 100"):
        table.index_by([1, 100], 100)


def test_damping_longer_than_the_cutoff_is_refused():
    with pytest.raises(ConfigError, match=r"dispersion_damping must be below long_range_cutoff, found 7\.0 and 6\.0"):
        parse(TermsConfig, {"long_range_cutoff": 6.0, "dispersion_damping": 7.0}, "test")
