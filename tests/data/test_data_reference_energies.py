"""Reference energies: given, from isolated atoms, fitted, mixed."""

import numpy as np
import pytest

from panna_plus.data.reference_energies import ABSENT, FITTED, GIVEN, ISOLATED, find_reference_energies
from panna_plus.errors import ConfigError, DataError
from tests.data.labelled_structures import frame

E0 = {"H": -13.5, "C": -1030.25, "O": -2041.75}


def energy_of(symbols):
    return sum(E0[s] for s in frame(symbols).atoms.get_chemical_symbols())


def labelled(*formulas, offset=0.0):
    return [frame(f, energy=energy_of(f) + offset * len(frame(f))) for f in formulas]


def atom(symbol, energy):
    return frame(symbol, energy=energy, config_type="IsolatedAtom")


def test_given_values_are_used_and_their_residual_reported():
    result = find_reference_energies(E0, labelled("H2O", "CH4", offset=-3.0), [], ["H", "C", "O"])
    assert result.values == E0
    assert set(result.sources.values()) == {GIVEN}
    assert (result.rank, result.n_fitted, result.is_rank_deficient) == (0, 0, False)
    assert result.residual_rms == pytest.approx(3.0)


@pytest.mark.parametrize("given", [{"H": -13.5}, {**E0, "Xe": 0.0}, {}])
def test_given_values_must_cover_exactly_the_elements(given):
    with pytest.raises(ConfigError, match=r"must name exactly the elements of the data \(H, C, O\)"):
        find_reference_energies(given, labelled("H2O", "CH4"), [], ["H", "C", "O"])


def test_least_squares_recovers_exact_values_whatever_the_sizes():
    frames = labelled("H2O", "CH4", "CO2", "C2H6O", "H2", "O40")
    result = find_reference_energies("least_squares", frames, [], ["H", "C", "O"])
    np.testing.assert_allclose(result.array(["O", "H", "C"]), [E0["O"], E0["H"], E0["C"]], atol=1e-8)
    assert (result.rank, result.n_fitted, result.is_rank_deficient) == (3, 3, False)
    assert result.residual_max < 1e-8
    assert set(result.sources.values()) == {FITTED}


def test_one_composition_determines_one_number_and_says_so():
    """Ethanol only: minimum norm, rank 1 of 3, and the total is still right."""
    result = find_reference_energies("auto", labelled("C2H6O", "C2H6O"), [], ["H", "C", "O"])
    assert (result.rank, result.n_fitted, result.is_rank_deficient) == (1, 3, True)
    assert result.residual_max < 1e-8
    values = result.array(["C", "H", "O"])
    np.testing.assert_allclose(values, energy_of("C2H6O") * np.array([2, 6, 1]) / 41, rtol=1e-10)


def test_multiples_of_one_composition_do_not_raise_the_rank():
    result = find_reference_energies("least_squares", labelled("CO", "C2O2", "C3O3"), [], ["C", "O"])
    assert (result.rank, result.n_fitted) == (1, 2)


def test_isolated_atoms_are_taken_and_need_no_fit():
    atoms = [atom(s, e) for s, e in E0.items()]
    for setting in ("auto", "isolated_atoms"):
        result = find_reference_energies(setting, labelled("H2O", "CH4", offset=-4.5), atoms, ["H", "C", "O"])
        assert result.values == E0
        assert set(result.sources.values()) == {ISOLATED}
        assert result.residual_rms == pytest.approx(4.5)


def test_auto_fits_the_elements_without_isolated_atom_with_the_others_fixed():
    result = find_reference_energies("auto", labelled("H2O", "CH4", "CO2"), [atom("H", -13.0)], ["H", "C", "O"])
    assert result.values["H"] == -13.0
    assert result.sources == {"H": ISOLATED, "C": FITTED, "O": FITTED}
    assert (result.rank, result.n_fitted) == (2, 2)
    # The fit must make up for the fixed value: carbon in CH4 takes over what four hydrogens lack.
    assert result.values["C"] < E0["C"] - 0.5
    exact = find_reference_energies("auto", labelled("H2O", "CH4"), [atom("H", E0["H"])], ["H", "C", "O"])
    np.testing.assert_allclose(exact.array(["C", "O"]), [E0["C"], E0["O"]], atol=1e-8)


def test_least_squares_ignores_isolated_atoms():
    result = find_reference_energies("least_squares", labelled("H2", "H2O"), [atom("H", -99.0)], ["H", "O"])
    assert result.values["H"] == pytest.approx(E0["H"])


def test_isolated_atoms_asked_for_and_missing_are_named():
    with pytest.raises(DataError, match="no frame with config_type=IsolatedAtom holds C, O"):
        find_reference_energies("isolated_atoms", labelled("CO"), [atom("H", -13.5)], ["C", "O"])


def test_isolated_atoms_must_agree_and_carry_energies():
    with pytest.raises(DataError, match=r"isolated H atoms have different energies, -13.5 and -13.6"):
        find_reference_energies("auto", [], [atom("H", -13.5), atom("H", -13.6)], ["H"])
    with pytest.raises(DataError, match=r"made\.xyz frame 0 .*isolated H atom without an energy"):
        find_reference_energies("auto", [], [atom("H", None)], ["H"])


def test_isolated_atoms_of_elements_that_do_not_occur_are_left_out():
    atoms = [atom("H", -13.5), atom("Xe", -1.0)]
    assert find_reference_energies("auto", labelled("H2"), atoms, ["H"]).values == {"H": -13.5}


def test_without_energies_auto_gives_zeros_and_a_fit_is_refused():
    frames = [frame("H2O", forces=np.zeros((3, 3)))]
    result = find_reference_energies("auto", frames, [], ["H", "O"])
    assert result.values == {"H": 0.0, "O": 0.0}
    assert set(result.sources.values()) == {ABSENT}
    assert np.isnan(result.residual_rms)
    with pytest.raises(DataError, match="no training frame carries an energy"):
        find_reference_energies("least_squares", frames, [], ["H", "O"])


def test_frames_without_energy_take_no_part_in_the_fit():
    result = find_reference_energies("auto", [*labelled("H2", "H2O"), frame("O2")], [], ["H", "O"])
    assert result.values["O"] == pytest.approx(E0["O"])
    residuals = result.residuals([frame("O2"), *labelled("H2")])
    assert np.isnan(residuals[0])
    assert residuals[1] == pytest.approx(0.0, abs=1e-9)
