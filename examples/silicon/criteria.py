"""What the demo promises: every number with its reference, its criterion and whether it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crystal import CrystalResults
from dynamics import DynamicsResults

# Of the single crystal at room temperature, for orientation: DFT itself is a few percent off.
MEASURED = {"C11": 166.0, "C12": 64.0, "C44": 80.0}


@dataclass(frozen=True)
class Row:
    """One line of the summary.

    Attributes
    ----------
    section, name : str
    value : str
        With its unit.
    reference : str
        What the value should be; empty if there is nothing to compare with.
    criterion : str
        Empty for numbers that are only reported.
    passed : bool or None
        None without a criterion.
    """

    section: str
    name: str
    value: str
    reference: str = ""
    criterion: str = ""
    passed: bool | None = None


def summary(errors: Mapping[str, float], dynamics: DynamicsResults, crystal: CrystalResults) -> list[Row]:
    """Return all rows; `errors` are mean absolute errors of the test set in meV/atom, meV/Å and GPa."""
    return [*accuracy_rows(errors), *dynamics_rows(dynamics), *crystal_rows(crystal)]


def accuracy_rows(errors: Mapping[str, float]) -> list[Row]:
    """Return the errors on structures that were not trained on."""
    section = "Test set, mean absolute error"
    return [
        Row(section, "forces", f"{errors['forces']:.1f} meV/Å", "DFT", "≤ 90", errors["forces"] <= 90),
        Row(section, "energy", f"{errors['energy']:.2f} meV/atom", "DFT", "≤ 6", errors["energy"] <= 6),
        Row(section, "stress", f"{errors['stress']:.2f} GPa", "DFT"),
    ]


def dynamics_rows(results: DynamicsResults) -> list[Row]:
    """Return what the molecular dynamics must respect."""
    section = "Dynamics, LAMMPS on two ranks"
    drift, ratio, mismatch = abs(results.drift), results.time_step_ratio, results.force_mismatch
    return [
        Row(section, "energy drift after 1 ps", f"{drift:.1e} meV/atom/ps", "0", "≤ 0.02", drift <= 0.02),
        Row(section, "energy noise, 2 fs / 1 fs", f"{ratio:.2f}", "4 (Verlet)", "± 0.8", abs(ratio - 4) <= 0.8),
        Row(section, "forces against PyTorch", f"{mismatch:.1e} of largest", "0", "≤ 5e-5", mismatch <= 5e-5),
        Row(section, "mean temperature", f"{results.mean_temperature:.0f} K"),
    ]


def crystal_rows(results: CrystalResults) -> list[Row]:
    """Return the properties of diamond."""
    section = "Diamond, ASE"
    dft, model, elastic = results.dft, results.model, results.elastic
    lattice = f"{dft.lattice_constant:.3f} (DFT)"
    near = {
        name: abs(value - dft.lattice_constant) <= 0.02
        for name, value in (("fit", model.lattice_constant), ("relaxed", results.relaxed_lattice_constant))
    }
    from_strain = (elastic["C11"] + 2 * elastic["C12"]) / 3
    is_stable = elastic["C11"] > abs(elastic["C12"]) and elastic["C44"] > 0
    return [
        Row(section, "lattice constant, E(V)", f"{model.lattice_constant:.3f} Å", lattice, "± 0.02", near["fit"]),
        Row(
            section,
            "lattice constant, relaxed cell",
            f"{results.relaxed_lattice_constant:.3f} Å",
            lattice,
            "± 0.02",
            near["relaxed"],
        ),
        stiffness_row(section, "bulk modulus, E(V)", model.bulk_modulus, dft.bulk_modulus, "DFT"),
        stiffness_row(section, "(C11 + 2 C12) / 3", from_strain, model.bulk_modulus, "E(V)"),
        *(Row(section, n, f"{c:.0f} GPa", f"{MEASURED[n]:.0f} (measured)") for n, c in elastic.items()),
        Row(section, "mechanical stability", "yes" if is_stable else "no", "", "C11 > |C12|, C44 > 0", is_stable),
    ]


def stiffness_row(section: str, name: str, value: float, reference: float, source: str) -> Row:
    """Return a row whose value, in GPa, must lie within ten percent of its reference."""
    is_near = abs(value / reference - 1) <= 0.1
    return Row(section, name, f"{value:.1f} GPa", f"{reference:.1f} ({source})", "± 10 %", is_near)


def all_hold(rows: Sequence[Row]) -> bool:
    """Tell whether no criterion failed."""
    return all(row.passed is not False for row in rows)
