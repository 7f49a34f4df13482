"""Tables of the radial filters: what the native engine interpolates, written by export."""

import numpy as np
import pytest
import torch

from panna_plus.errors import ModelFileError
from panna_plus.export import export_model, in_float64
from panna_plus.families import load_potential
from panna_plus.families.so3krates import tables
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.families.so3krates.model import from_config
from panna_plus.families.so3krates.tables import RadialTables, filters_at, jet_at_zero, radial_tables, tabulated
from panna_plus.model_file import read_model
from tests.geometries import cluster, graph_of, largest

SMALL = {"cutoff": 4.0, "n_features": 16, "n_layers": 2, "n_heads": 2, "degrees": (1, 2), "energy_hidden": 8}
BASES = pytest.mark.parametrize(
    "basis", [("bernstein", 16), ("physnet", 12), ("bessel", 8), ("bessel", 20)], ids=lambda b: f"{b[0]}{b[1]}"
)


def potential_of(basis=("bessel", 8), dtype="float64", **options):
    """Return an untrained potential with some bias in every layer of its filters."""
    config = So3kratesConfig(**SMALL, radial_basis=basis[0], n_radial=basis[1], dtype=dtype, **options)
    potential = from_config(config, ["H", "O"], seed=1).requires_grad_(False)
    for name, parameter in potential.named_parameters():
        if "filter.radial" in name and name.endswith("bias"):
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5))
    return potential


def tables_of(potential) -> RadialTables:
    return radial_tables(potential.basis, potential.layers, potential.config.cutoff)


def exact_values(potential, distances) -> np.ndarray:
    """Return the filters of the layers themselves where the other part is taken away."""
    radial = potential.basis(torch.as_tensor(distances))
    found = []
    for layer in potential.layers:
        for part in (layer.attention.features, layer.attention.vectors):
            nothing = torch.zeros(len(distances), len(SMALL["degrees"]), dtype=torch.float64)
            other = part.filter.spherical_outer(torch.nn.functional.silu(part.filter.spherical_inner(nothing)))
            found.append(part.filter(radial, nothing) - other)
    return torch.stack(found).reshape(2, 2, len(distances), 16).numpy()


def exact_slopes(potential, distances, h=1e-4) -> np.ndarray:
    """Differentiate by the central stencil of six points."""
    steps = ((1, 0.75), (2, -0.15), (3, 1 / 60))
    return sum(
        c * (exact_values(potential, distances + k * h) - exact_values(potential, distances - k * h)) for k, c in steps
    ) / h  # fmt: skip


@BASES
def test_interpolation_gives_the_filters_and_their_slopes(basis):
    potential = potential_of(basis)
    distances = np.random.default_rng(0).uniform(0.41, 3.99, 1500)
    values, slopes = tables_of(potential).interpolated(distances)
    wanted, wanted_slopes = exact_values(potential, distances), exact_slopes(potential, distances)
    assert np.abs(wanted).max() > 0.1 and np.abs(wanted_slopes).max() > 0.1
    assert largest(values - wanted) < 1.1 * tables.TOLERANCE * np.abs(wanted).max()
    # Differences of values know slopes no better than 1e-11.
    assert largest(slopes - wanted_slopes) < 1.1 * tables.TOLERANCE * np.abs(wanted_slopes).max() + 1e-10


@BASES
def test_knots_hold_the_derivatives(basis):
    """Those of the interpolated function on both sides of a knot are one: that of the table."""
    potential = potential_of(basis)
    found = tables_of(potential)
    knots = found.spacing * np.arange(found.knots.shape[2])
    inner = slice(3, -1)
    assert largest(found.knots[:, :, inner, 0] - exact_values(potential, knots[inner])) < 1e-12
    assert largest(found.knots[:, :, inner, 1] - exact_slopes(potential, knots[inner])) < 1e-8
    h = 1e-4
    (above, below) = (exact_slopes(potential, knots[inner] + s * h) for s in (1, -1))
    curvatures = (above - below) / (2 * h)
    assert largest(found.knots[:, :, inner, 2] - curvatures) < 1e-4 * np.abs(curvatures).max()


@BASES
def test_tables_reach_the_cutoff_in_steps_that_can_be_doubled(basis):
    found = tables_of(potential_of(basis))
    n_layers, n_parts, n_knots, n_orders, n_features = found.knots.shape
    assert (n_layers, n_parts, n_orders, n_features) == (2, 2, 3, 16)
    assert (n_knots - 1) * found.spacing == 4.0
    assert bin(n_knots - 1).count("1") == 1 and tables.FEWEST_INTERVALS <= n_knots - 1 <= tables.MOST_INTERVALS


@BASES
def test_every_second_knot_is_a_table_of_its_own(basis):
    potential = potential_of(basis)

    def exact(r):
        return filters_at(potential.basis, potential.layers, r)

    fine, coarse = (tabulated(exact, 4.0, n) for n in (256, 128))
    assert largest(fine.knots[:, :, ::2][:, :, 1:] - coarse.knots[:, :, 1:]) < 1e-9


@BASES
def test_filters_are_smooth_down_to_zero_distance(basis):
    """Atoms are never there, but a table may not end in NaN, nor jump."""
    potential = potential_of(basis)
    found = tables_of(potential)
    assert np.isfinite(found.knots).all()
    distances = np.linspace(1e-3, found.spacing, 30)
    scale = np.abs(found.knots[:, :, :, 0]).max()
    assert largest(found.interpolated(distances)[0] - exact_values(potential, distances)) < 1e-5 * scale
    at_zero = found.interpolated(np.zeros(1))[0][:, :, 0]
    assert (at_zero == found.knots[:, :, 0, 0]).all()


def test_polynomials_are_continued_exactly():
    p = np.polynomial.Polynomial([0.3, -1.2, 0.7, 0.2, -0.05, 0.01, 0.002, -1e-3, 1e-4])
    h = 0.4
    knots = np.array([[p.deriv(order)(k * h) for order in range(3)] for k in (1, 2, 3)])
    found = jet_at_zero(knots.reshape(1, 1, 3, 3, 1), h).ravel()
    assert found == pytest.approx([0.3, -1.2, 1.4], abs=1e-9)


def test_filters_that_vary_too_fast_are_refused():
    potential = potential_of()
    potential.layers[1].attention.vectors.filter.radial_inner.weight *= 1e4
    with pytest.raises(ModelFileError, match=r"vary too fast to be tabulated: 4097 knots up to 4 Å .* n_radial"):
        tables_of(potential)


def test_constant_filters_can_be_tabulated():
    potential = potential_of()
    for layer in potential.layers:
        for part in (layer.attention.features, layer.attention.vectors):
            part.filter.radial_outer.weight.zero_()
    assert tables_of(potential).knots.shape[2] == tables.FEWEST_INTERVALS + 1


def test_sharper_filters_take_more_knots():
    plain, sharp = potential_of(), potential_of()
    sharp.layers[1].attention.vectors.filter.radial_inner.weight *= 10
    assert tables_of(sharp).knots.shape[2] > tables_of(plain).knots.shape[2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_export_writes_tables_of_the_exact_model(dtype, tmp_path):
    """Tables are float64 and those of the weights in float64, whatever precision the weights were trained in."""
    potential = potential_of(dtype=dtype)
    card = export_model(potential, tmp_path / "model.pt", [graph_of(potential, cluster(["H", "O"]))])
    stored = read_model(tmp_path / "model.pt")
    expected = tables_of(in_float64(potential))
    assert stored.arrays["tables/knots"].tolist() == [expected.spacing]
    assert stored.arrays["tables/radial"].dtype == np.float64
    assert (stored.arrays["tables/radial"] == expected.knots).all()
    assert card["dtype"] == dtype
    loaded, _ = load_potential(tmp_path / "model.pt")
    assert loaded.arrays().keys() == potential.arrays().keys() == stored.arrays.keys() - expected.arrays().keys()
