"""From a configuration to splits, elements, reference energies and label counts."""

import json

import numpy as np
import pytest

from panna_plus.config import parse
from panna_plus.data import DataConfig, check_loss_labels, load_dataset, shortest_distances
from panna_plus.errors import ConfigError, DataError
from tests.data.labelled_structures import NACL, WATER, isolated


def waters(n, energies=True):
    """Return `n` water molecules that differ in the place of the second hydrogen."""
    text = "".join(
        WATER.replace("0.93 0.00", f"0.93 {0.01 * k:.2f}").replace("-14.5", f"{-14.5 + k}") for k in range(n)
    )
    return text if energies else text.replace("REF_energy", "other_energy")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.xyz").write_text(waters(20) + isolated("H", -13.5) + isolated("O", -430.0))
    (tmp_path / "test.xyz").write_text(waters(3) + isolated("O", -1.0))
    return tmp_path


def test_splits_by_fraction_and_file(folder):
    data = load_dataset(DataConfig(train="train.xyz", validation=0.2, test="test.xyz"), 5, folder)
    assert {name: len(frames) for name, frames in data.splits.items()} == {"train": 16, "validation": 4, "test": 3}
    assert data.elements == ["H", "O"]
    assert [f.atoms.get_chemical_symbols() for f in data.isolated_atoms] == [["H"], ["O"], ["O"]]
    assert not any(len(f) == 1 for split in data.splits.values() for f in split)


def test_isolated_atoms_of_the_test_file_give_no_reference_energy(folder):
    data = load_dataset(DataConfig(train="train.xyz", test="test.xyz"), 5, folder)
    assert data.reference_energies.values == {"H": -13.5, "O": -430.0}


def test_lone_free_atom_without_config_type_is_an_isolated_atom(folder):
    (folder / "train.xyz").write_text(waters(4) + isolated("H", -13.5, "none") + isolated("O", -430.0, "isolated_atom"))
    data = load_dataset(DataConfig(train="train.xyz"), 0, folder)
    assert len(data.isolated_atoms) == 2


def test_isolated_atom_label_on_a_molecule_is_refused(folder):
    (folder / "train.xyz").write_text(waters(4).replace("config_type=water", "config_type=IsolatedAtom", 1))
    with pytest.raises(DataError, match=r"train\.xyz frame 0 .*marks one lone atom, found 3 atoms"):
        load_dataset(DataConfig(train="train.xyz"), 0, folder)


def test_fractions_count_from_all_structures_and_do_not_overlap(folder):
    data = load_dataset(DataConfig(train="train.xyz", validation=0.25, test=0.25), 1, folder)
    sizes = {name: len(frames) for name, frames in data.splits.items()}
    assert sizes == {"train": 10, "validation": 5, "test": 5}
    sources = [f.source for frames in data.splits.values() for f in frames]
    assert len(set(sources)) == 20


def test_seed_determines_split_record_and_fingerprint(folder):
    config = DataConfig(train="train.xyz", validation=0.3)
    first, again, other = (load_dataset(config, seed, folder) for seed in (1, 1, 2))
    assert first.split_record() == again.split_record() == json.loads(json.dumps(first.split_record()))
    assert first.split_record()["validation"] != other.split_record()["validation"]
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert first.split_record()["train"][0].endswith("train.xyz frame 0")


@pytest.mark.parametrize("old, new", [("-14.5", "-14.6"), ("0.10 0.20", "0.10 0.21"), ("0.96 0.00", "0.97 0.00")])
def test_fingerprint_sees_every_label_and_position(folder, old, new):
    config = DataConfig(train="train.xyz")
    before = load_dataset(config, 1, folder).fingerprint()
    text = (folder / "train.xyz").read_text()
    (folder / "train.xyz").write_text(text.replace(old, new, 1))
    assert load_dataset(config, 1, folder).fingerprint() != before


def test_reference_energies_are_fitted_to_training_frames_only(folder):
    (folder / "train.xyz").write_text(waters(4))
    (folder / "valid.xyz").write_text(waters(1).replace("-14.5", "1000.0"))
    data = load_dataset(DataConfig(train="train.xyz", validation="valid.xyz"), 0, folder)
    assert data.reference_energies.residuals(data.train).mean() == pytest.approx(0.0, abs=1e-9)
    assert data.reference_energies.is_rank_deficient


def test_label_counts_per_split(folder):
    (folder / "train.xyz").write_text(
        waters(3) + waters(2, energies=False) + NACL.replace("Na ", "H ").replace("Cl ", "O ")
    )
    data = load_dataset(DataConfig(train="train.xyz", validation="test.xyz"), 0, folder)
    assert data.label_counts()["train"] == {"energy": 4, "forces": 6, "stress": 1}
    assert data.label_counts()["validation"] == {"energy": 3, "forces": 3, "stress": 0}
    assert data.label_counts()["test"] == {"energy": 0, "forces": 0, "stress": 0}


def test_loss_term_without_any_label_is_refused_with_the_keys_present(folder):
    (folder / "train.xyz").write_text(waters(4).replace("REF_forces", "force"))
    data = load_dataset(DataConfig(train="train.xyz"), 0, folder)
    with pytest.raises(
        DataError, match=r"weight 10.0 for forces, but none of the 3 .*did you mean 'force'.*REF_energy"
    ):
        check_loss_labels(data, {"energy": 1.0, "forces": 10.0, "stress": 0.0})
    check_loss_labels(data, {"energy": 1.0, "forces": 0.0})


def test_loss_term_with_labels_in_some_frames_is_accepted(folder):
    (folder / "train.xyz").write_text(waters(8) + waters(8, energies=False))
    data = load_dataset(DataConfig(train="train.xyz"), 0, folder)
    assert 0 < data.label_counts()["train"]["energy"] < len(data.train)
    check_loss_labels(data, {"energy": 1.0, "forces": 1.0})


def test_element_that_training_does_not_have_is_refused(folder):
    (folder / "test.xyz").write_text(NACL)
    with pytest.raises(DataError, match=r"test\.xyz frame 0 .*test split\) holds Cl, Na, which no training frame"):
        load_dataset(DataConfig(train="train.xyz", test="test.xyz"), 0, folder)


def test_only_isolated_atoms_are_nothing_to_train_on(folder):
    (folder / "train.xyz").write_text(isolated("H", -13.5))
    with pytest.raises(DataError, match="nothing to train on"):
        load_dataset(DataConfig(train="train.xyz"), 0, folder)


def test_misspelt_key_in_the_config_is_an_error_for_training_but_not_for_test_files(folder):
    (folder / "test.xyz").write_text(waters(2).replace("REF_forces", "unrelated"))
    config = DataConfig(train="train.xyz", test="test.xyz", keys={"forces": "REF_forces"})
    assert load_dataset(config, 0, folder).label_counts()["test"]["forces"] == 0
    with pytest.raises(DataError, match="did you mean 'REF_forces'"):
        load_dataset(DataConfig(train="train.xyz", keys={"forces": "REF_fores"}), 0, folder)


def test_shortest_distances_are_symmetric_and_zero_where_never_seen(folder):
    (folder / "train.xyz").write_text(waters(1) + waters(1))
    data = load_dataset(DataConfig(train="train.xyz", validation="test.xyz"), 0, folder)
    distances = shortest_distances(data.train, ["H", "O"])
    expected_hh = np.hypot(0.96 + 0.24, 0.93)
    np.testing.assert_allclose(distances, [[expected_hh, 0.96], [0.96, 0.0]], atol=1e-12)


def test_shortest_distances_include_periodic_images(folder):
    (folder / "train.xyz").write_text(NACL * 2)
    data = load_dataset(DataConfig(train="train.xyz"), 0, folder)
    atoms = data.train[0].atoms * (3, 3, 3)
    every = atoms.get_all_distances()
    symbols = np.array(atoms.get_chemical_symbols())
    np.fill_diagonal(every, np.inf)
    expected = [[every[np.ix_(symbols == a, symbols == b)].min() for b in ("Na", "Cl")] for a in ("Na", "Cl")]
    np.testing.assert_allclose(shortest_distances(data.train, ["Na", "Cl"]), expected, atol=1e-9)


@pytest.mark.parametrize(
    "content, message",
    [
        ({}, "data.train: this option is required|train: this option is required"),
        ({"train": []}, "at least one file is needed"),
        ({"train": "a.xyz", "validation": 1.0}, "a fraction must lie between 0 and 1"),
        ({"train": "a.xyz", "validation": 0}, "a fraction must lie between 0 and 1"),
        ({"train": "a.xyz", "test": -0.1}, "a fraction must lie between 0 and 1"),
        ({"train": "a.xyz", "valid": 0.1}, "valid: unknown option, did you mean 'validation'"),
        ({"train": "a.xyz", "keys": {"force": "f"}}, r"keys\.force: unknown option, did you mean 'forces'"),
        ({"train": "a.xyz", "keys": {"stress_units": "bar"}}, "stress_units"),
        ({"train": "a.xyz", "reference_energies": "average"}, "reference_energies"),
        ({"train": "a.xyz", "reference_energies": {"H": "low"}}, "reference_energies"),
        ({"train": "a.xyz", "reference_energies": {"H": float("nan")}}, "reference_energies"),
    ],
)
def test_wrong_options_are_refused(content, message):
    with pytest.raises(ConfigError, match=message):
        parse(DataConfig, content, "config.yaml")


def test_shared_data_sets_are_read(data_folder):
    """Frames with labels, as each set's own table gives them."""
    expected = {
        "mlearn/Si_train.xyz.xz": {"energy": 214, "forces": 214, "stress": 202},
        "rmd17/ethanol_train_01.xyz.xz": {"energy": 1000, "forces": 1000, "stress": 0},
        "silicon_pbe/train.xyz": {"energy": 158, "forces": 158, "stress": 158},
    }
    for name, labels in expected.items():
        data = load_dataset(DataConfig(train=name), 0, data_folder)
        counts = data.label_counts()
        assert {label: counts["train"][label] + counts["validation"][label] for label in labels} == labels
    forces = np.concatenate([f.forces for f in data.train])
    assert np.sqrt(np.mean(forces**2)) > 2.0
