"""The data report: what it counts, what it warns of, and that good data give no warning."""

import io
import re

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from rich.console import Console

from panna_plus.data import DataConfig, data_report, load_dataset, render
from panna_plus.data.config import LabelKeys
from panna_plus.data.dataset import DataSet, elements_of
from panna_plus.data.pairs import pair_statistics
from panna_plus.data.reading import frame_from_atoms
from panna_plus.data.reference_energies import find_reference_energies
from tests.data.labelled_structures import frame


def trajectory(n=40, change=lambda results: results):
    """Return strained and rattled copper with EMT labels, altered by `change`."""
    rng, frames = np.random.default_rng(4), []
    for k in range(n):
        atoms = bulk("Cu", cubic=True)
        # Frames come in pairs that share a cell: the second is a small step away.
        scale = 0.95 + 0.10 * (k // 2) / n
        atoms.set_cell(atoms.cell * scale, scale_atoms=True)
        if k % 2 == 0:
            rattle = rng.normal(0, 0.15, (4, 3))
        atoms.positions += rattle if k % 2 == 0 else rattle + rng.normal(0, 0.04, (4, 3))
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc.results = change(results)
        frames.append(frame_from_atoms(atoms, LabelKeys(), f"cu.xyz frame {k}"))
    return frames


def dataset(train, validation=(), test=(), isolated=()):
    elements = elements_of(train)
    energies = find_reference_energies("auto", train, list(isolated), elements)
    return DataSet(list(train), list(validation), list(test), list(isolated), elements, energies, 0)


def warnings_of(*args, **kwargs):
    return data_report(dataset(*args, **kwargs)).warnings


def shown(report):
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(render(report))
    return console.export_text()


GOOD = trajectory()


def test_good_data_give_no_warning():
    forces = np.concatenate([f.forces for f in GOOD])
    assert np.sqrt(np.mean(forces**2)) > 0.1
    report = data_report(dataset(GOOD[:30], GOOD[30:]))
    assert report.warnings == []
    assert "No warnings" in shown(report)


def test_report_counts_and_ranges():
    report = data_report(dataset(GOOD[:30], GOOD[30:36], GOOD[36:]))
    train = report.splits[0]
    assert [s.n_frames for s in report.splits] == [30, 6, 4]
    assert (train.n_atoms, train.n_labels) == (120, {"energy": 30, "forces": 30, "stress": 30})
    energies = [f.energy / 4 for f in GOOD[:30]]
    assert train.energy_per_atom == (min(energies), max(energies))
    forces = np.concatenate([f.forces for f in GOOD[:30]])
    assert train.force_rms == pytest.approx(np.sqrt(np.mean(forces**2)))
    assert train.force_max == pytest.approx(np.linalg.norm(forces, axis=1).max())
    assert report.keys == {"energy": {"energy": 40}, "forces": {"forces": 40}, "stress": {"stress": 40}}
    assert report.elements == {"Cu": 120}
    text = shown(report)
    for expected in ("30 / 30", "least squares", "rank 1 of 1", "Neighbors of a training atom"):
        assert expected in text


def test_report_of_frames_without_labels_is_shown_without_numbers():
    report = data_report(dataset([frame("Si2"), frame("Si3")]))
    assert "not found" in shown(report)
    assert "no energies" in shown(report).lower()


def test_missing_labels_are_shown_per_split():
    mixed = [*GOOD[:20], *(frame("Cu2", energy=-1.0) for _ in range(2))]
    assert "20 / 22" in shown(data_report(dataset(mixed)))


def test_neighbor_counts_equal_the_crystal_shells():
    crystal = frame_from_atoms(bulk("Cu", a=3.6, cubic=True), LabelKeys(), "cu")
    statistics = pair_statistics([crystal], ["Cu"])
    # fcc: 12 neighbors at a/sqrt(2) = 2.55 Å, 6 at 3.6 Å, 24 at 4.41 Å.
    assert statistics.neighbors_within(3.0) == pytest.approx(12)
    assert statistics.neighbors_within(4.0) == pytest.approx(18)
    assert statistics.neighbors_within(5.0) == pytest.approx(42)
    assert statistics.radius_with(12) == pytest.approx(2.55, abs=0.06)
    assert statistics.radius_with(1000) is None
    assert statistics.shortest[0, 0] == pytest.approx(3.6 / np.sqrt(2))


def scaled(**factors):
    return lambda results: {name: value * factors.get(name, 1.0) for name, value in results.items()}


@pytest.mark.parametrize(
    "change, message",
    [
        (scaled(stress=-1.0), "stress falls when the volume grows"),
        (scaled(stress=160.2), "largest stress component .* GPa or kbar"),
        (scaled(forces=1 / 51.4), "energy changes 5.* times as much as the forces say"),
        (scaled(forces=-1.0), "energy changes -.* times as much as the forces say"),
        (scaled(energy=23.06), "energy changes 2.* times as much as the forces say"),
        (scaled(forces=1e-5), "median force is .* are the forces in eV/Å"),
        (lambda r: {**r, "forces": r["forces"] + [0.0, 0.0, 0.3]}, "do not add up to zero in 40 training frames"),
    ],
    ids=["stress sign", "stress unit", "force unit", "force sign", "energy unit", "tiny forces", "net force"],
)
def test_wrong_units_and_signs_are_noticed(change, message):
    found = [w for w in warnings_of(trajectory(change=change)) if re.search(message, w)]
    assert len(found) == 1


def test_energy_outlier_is_named():
    odd = frame_from_atoms(GOOD[0].atoms.copy(), LabelKeys(), "x")
    outlier = type(odd)(GOOD[7].atoms, GOOD[7].energy + 40.0, None, None, "cu.xyz frame 7", "")
    found = [w for w in warnings_of([*GOOD[:7], outlier, *GOOD[8:]]) if "far from the others" in w]
    assert len(found) == 1
    assert "cu.xyz frame 7" in found[0]


def test_rank_deficiency_is_explained():
    frames = [frame("H2O", energy=-14.0 - 0.1 * k) for k in range(4)]
    assert any("determine only 1 of 2 fitted reference energies" in w for w in warnings_of(frames))
    frames += [frame("H2", energy=-3.0), frame("O2", energy=-9.0)]
    assert not any("determine only" in w for w in warnings_of(frames))


def test_reference_energies_of_another_method_are_noticed():
    atom = frame("H", energy=-500.0, config_type="IsolatedAtom")
    frames = [frame("H2", energy=-31.0), frame("H3", energy=-45.0)]
    assert any("do they come from the same method" in w for w in warnings_of(frames, isolated=[atom]))


def test_duplicates_inside_and_across_splits_are_found():
    report = data_report(dataset([*GOOD[:20], GOOD[3]], GOOD[19:25], GOOD[2:4]))
    assert report.duplicates.inside == {"train": 1, "validation": 0, "test": 0}
    assert report.duplicates.across == {("train", "validation"): 1, ("train", "test"): 2}
    assert report.duplicates.n_contradicting == 0
    text = " ".join(report.warnings)
    assert "occur both in train and test: errors of test will look too good" in text
    assert "cu.xyz frame 3 = cu.xyz frame 3" in text


def test_duplicates_in_another_order_of_atoms_and_with_another_energy_are_found():
    first = frame("SiC", energy=-1.0)
    second = frame("CSi", energy=-2.0, positions=first.atoms.positions[::-1])
    duplicates = data_report(dataset([first, second])).duplicates
    assert duplicates.inside["train"] == 1
    assert duplicates.n_contradicting == 1


def test_nearly_equal_frames_are_no_duplicates():
    first = frame("Si2", energy=-1.0)
    second = frame("Si2", energy=-1.0, positions=first.atoms.positions + np.array([[0, 0, 0], [1e-3, 0, 0]]))
    third = frame("Si2", energy=-1.0, cell=9.0)
    assert data_report(dataset([first, second, third])).duplicates.inside["train"] == 0


def test_labels_from_several_keys_and_unused_weights_are_mentioned():
    frames = [frame("Si2", energy=-1.0, config_weight=2.0) for _ in range(2)]
    other = frame("Si2", REF_energy=-1.0)
    warnings = warnings_of([*frames, other])
    assert any("energy comes from several keys: energy (2), REF_energy (1)" in w for w in warnings)
    assert any("config_weight" in w for w in warnings)


def test_split_without_a_label_that_training_has_is_mentioned():
    warnings = warnings_of(GOOD[:20], [frame("Cu2", energy=-1.0)])
    assert any("no validation frame carries forces" in w for w in warnings)


def test_bohr_or_nanometers_show_in_the_shortest_distance():
    positions = [[0, 0, 0], [0.25, 0, 0]]
    assert any("Si and Si come as close as 0.250 Å" in w for w in warnings_of([frame("Si2", positions=positions)] * 2))


def test_real_data_give_no_false_alarm(data_folder):
    names = {"mlearn/Si_train.xyz.xz": 0, "silicon_pbe/train.xyz": 0, "rmd17/ethanol_train_01.xyz.xz": 1}
    for name, n_warnings in names.items():
        report = data_report(load_dataset(DataConfig(train=name), 0, data_folder))
        assert len(report.warnings) == n_warnings, report.warnings
    assert "determine only 1 of 3" in report.warnings[0]
