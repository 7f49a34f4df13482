import io
from html.parser import HTMLParser

import criteria
import crystal
import dynamics
import figures
import numpy as np
import pytest
import report
from ase.build import bulk
from matplotlib.image import imread


@pytest.fixture(scope="module")
def story():
    """Synthetic results that meet every criterion."""
    rng = np.random.default_rng(0)
    predicted = []
    for config_type in ("diamond", "liquid", "fcc"):
        atoms = bulk("Si", cubic=True)
        atoms.info |= {"config_type": config_type, "REF_energy": -856.0, "MODEL_energy": -856.1}
        atoms.arrays |= {"REF_forces": rng.normal(size=(8, 3)), "MODEL_forces": rng.normal(size=(8, 3))}
        predicted.append(atoms)
    times = 0.002 * np.arange(1000)
    wave = 1e-6 * np.sin(300 * times)
    fine = dynamics.Trajectory(times, np.full(1000, 300.0), -107 + wave, 100.0)
    coarse = dynamics.Trajectory(times, np.full(1000, 300.0), -107 + 4 * wave, 100.0)
    volumes = np.linspace(17, 25, 9)
    curve = crystal.fit_energy_curve(volumes, -107 + 0.013 * (volumes - 20.5) ** 2)
    epochs = np.arange(5.0, 50, 5)
    history = {
        "epoch": epochs,
        "minutes": 0.1 * epochs,
        "is_best": np.ones(9),
        "validation_forces_mae": 100 / epochs,
        "validation_energy_mae": 10 / epochs,
    }
    return figures.Story(
        predicted=predicted,
        history=history,
        errors={"energy": 4.0, "forces": 70.0, "stress": 0.4},
        reference_energy=-102.5,
        dynamics=dynamics.DynamicsResults(
            dynamics.protocol(), fine, coarse, np.linspace(1, 8, 50), np.linspace(0, 1, 50), 1e-6
        ),
        crystal=crystal.CrystalResults(
            curve,
            curve,
            np.array([volumes, curve.energies]),
            curve.lattice_constant,
            9,
            {"C11": curve.bulk_modulus, "C12": curve.bulk_modulus * 0.99, "C44": 60.0},
        ),
    )


def rows_of(story, **errors):
    return criteria.summary(story.errors | errors, story.dynamics, story.crystal)


def test_good_numbers_pass(story):
    assert criteria.all_hold(rows_of(story))


@pytest.mark.parametrize(
    ("quantity", "value", "holds"),
    [
        ("forces", 90.0, True),
        ("forces", 90.1, False),
        ("forces", np.nan, False),
        ("energy", 6.1, False),
        ("stress", 9.0, True),
    ],
)
def test_limits_of_the_test_errors(story, quantity, value, holds):
    assert criteria.all_hold(rows_of(story, **{quantity: value})) is holds


@pytest.mark.parametrize(("factor", "holds"), [(4.7, True), (4.9, False), (3.1, False), (np.nan, False)])
def test_limits_of_the_noise_ratio(story, factor, holds):
    fine = story.dynamics.fine
    coarse = dynamics.Trajectory(fine.times, fine.temperatures, -107 + factor * (fine.energies + 107), 1.0)
    results = dynamics.DynamicsResults(dynamics.protocol(), fine, coarse, fine.times, fine.times, 1e-6)
    assert criteria.all_hold(criteria.dynamics_rows(results)) is holds


def test_drift_above_the_limit_fails(story):
    fine = story.dynamics.fine
    rising = dynamics.Trajectory(fine.times, fine.temperatures, fine.energies - 2.5e-5 * fine.times, 1.0)
    results = dynamics.DynamicsResults(dynamics.protocol(), rising, story.dynamics.coarse, fine.times, fine.times, 0)
    assert [row.name for row in criteria.dynamics_rows(results) if row.passed is False] == ["energy drift after 1 ps"]


def test_summary_figure_is_one_small_png(story):
    content = figures.summary_figure(story, "title", "subtitle")
    height, width, _ = imread(io.BytesIO(content)).shape
    assert width > 1.3 * height > 1000
    assert len(content) < 300_000


def test_report_needs_no_other_file(story):
    panels = {name: figures.panel_figure(name, story) for name in figures.PANELS}
    rows = rows_of(story, forces=200.0)
    page = report.report_page("A & B", "s", rows, panels, {"training": 1.0}, "card <x>", "usage")
    sources = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            sources.extend(value for name, value in attributes if name in ("src", "href"))

    Reader().feed(page)
    assert len(sources) == len(figures.PANELS)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "1 of" in page and "A &amp; B" in page and "card &lt;x&gt;" in page
    for row in rows:
        assert row.value in page.replace("&gt;", ">")


def test_every_panel_has_a_caption():
    assert set(report.CAPTIONS) == set(figures.PANELS)


def test_history_drops_units_and_marks_gaps(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,minutes (min),validation_stress_mae (GPa)\n5,0.1,\n10,0.2,0.5\n")
    history = figures.read_history(tmp_path / "metrics.csv")
    assert history["epoch"].tolist() == [5, 10]
    assert np.isnan(history["validation_stress_mae"][0])
