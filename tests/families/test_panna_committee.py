"""Committees: a model file of several perceptrons per element, its mean, and the files that cannot be merged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import write

from panna_plus.calculator import PannaPlusCalculator
from panna_plus.calculator.uncertainty import force_deviation
from panna_plus.commands.committee import members_of
from panna_plus.commands.main import main
from panna_plus.errors import ConfigError, ModelFileError, NumericalError
from panna_plus.families import build_potential, load_potential
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.config import BpConfig, PannaTermsConfig
from panna_plus.families.panna.model import PannaPotential
from panna_plus.families.panna.statistics import pooled, same, statistics_of
from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.graph import pair_list
from panna_plus.model_file import read_model
from panna_plus.native import Engine, neighborhood_from_pairs
from tests.geometries import cluster, crystal, graph_of, predict, rms_force
from tests.small_model import CONFIG, ELEMENTS, small_potential, write_unchecked

BACKENDS = ("native", "torch")


def member(seed: int) -> PannaPotential:
    potential = small_potential(seed)
    potential.reference_energies += 0.25 * seed
    return potential


def other_descriptor(**changes: object) -> PannaPotential:
    config = CONFIG.model_copy(update={"descriptor": CONFIG.descriptor.model_copy(update=changes)})
    return build_potential("panna", config, ELEMENTS, seed=3)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    return [write_unchecked(member(n), folder / f"{n}.pt") for n in range(3)]


@pytest.fixture(scope="module")
def committee(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("committee") / "committee.pt"
    assert main(["committee", *map(str, members), "-o", str(path)]) == 0
    return path


def with_calculator(atoms: Atoms, path: Path, backend: str) -> Atoms:
    atoms.calc = PannaPlusCalculator(path, backend=backend)
    assert np.sqrt((atoms.get_forces() ** 2).mean()) > 0.1
    return atoms


@pytest.mark.parametrize("backend", BACKENDS)
def test_committee_is_the_mean_of_its_members(backend: str, members: list[Path], committee: Path) -> None:
    atoms = with_calculator(crystal(ELEMENTS), committee, backend)
    alone = [with_calculator(crystal(ELEMENTS), path, backend) for path in members]
    energies = np.array([a.get_potential_energy() for a in alone])
    forces = np.array([a.get_forces() for a in alone])
    assert atoms.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), rtol=0, atol=1e-11)
    found = atoms.calc.uncertainty()
    np.testing.assert_allclose(found["energy_members"], energies, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["forces_members"], forces, rtol=0, atol=1e-11)
    expected = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    np.testing.assert_allclose(found["force_deviation"], expected, rtol=1e-9)
    assert expected.min() > 1e-3
    assert "force_deviation" not in atoms.calc.results


@pytest.mark.parametrize("backend", BACKENDS)
def test_identical_members_are_the_single_model(backend: str, members: list[Path], tmp_path: Path) -> None:
    path = write_unchecked(committee_of([member(0)] * 4, ["same"] * 4), tmp_path / "copies.pt")
    copies = with_calculator(crystal(ELEMENTS), path, backend)
    alone = with_calculator(crystal(ELEMENTS), members[0], backend)
    assert copies.get_potential_energy() == pytest.approx(alone.get_potential_energy(), rel=1e-14)
    np.testing.assert_allclose(copies.get_forces(), alone.get_forces(), rtol=0, atol=1e-12)
    found = copies.calc.uncertainty()
    assert found["force_deviation"].max() < 1e-12
    assert np.array_equal(found["extrapolation"], alone.calc.uncertainty()["extrapolation"])


def test_finite_differences_of_the_mean(committee: Path) -> None:
    atoms = with_calculator(cluster(ELEMENTS), committee, "native")
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in ((0, 0), (2, 1), (3, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=2e-6)


@pytest.mark.parametrize("structure", [cluster, crystal])
def test_engine_finds_what_pytorch_finds(structure, committee: Path) -> None:
    atoms = structure(ELEMENTS)
    native, reference = (PannaPlusCalculator(committee, backend=b).uncertainty(atoms) for b in BACKENDS)
    assert list(native) == list(reference) == ["energy_members", "forces_members", "force_deviation", "extrapolation"]
    for name, expected in reference.items():
        np.testing.assert_allclose(native[name], expected, rtol=1e-9, atol=1e-9, err_msg=name)
    single = PannaPlusCalculator(committee, dtype="float32").uncertainty(atoms)
    for name, expected in reference.items():
        np.testing.assert_allclose(single[name], expected, rtol=1e-2, atol=1e-3, err_msg=name)


def test_committee_in_torchscript_and_its_card(members: list[Path], committee: Path) -> None:
    """`export_model` has compared the TorchScript part; the card says who the members are."""
    card = read_model(committee).card
    assert [m["weights_sha256"] for m in card["members"]] == [read_model(p).card["weights_sha256"] for p in members]
    assert [m["file"] for m in card["members"]] == ["0.pt", "1.pt", "2.pt"]
    potential, _ = load_potential(committee)
    assert potential.n_members == 3
    assert rms_force(predict(potential, cluster(ELEMENTS))) > 0.1


def test_frames_say_how_exact_the_file_is(
    members: list[Path], committee: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "frames.xyz", crystal(ELEMENTS))
    output = tmp_path / "output.pt"
    files = [str(path) for path in members]
    assert main(["committee", *files, "-o", str(output), "--frames", str(tmp_path / "frames.xyz")]) == 0
    assert "engine, double: within" in capsys.readouterr().out
    assert read_model(output).card["engine_errors"] != read_model(committee).card["engine_errors"]


def test_lone_atom_has_the_mean_reference_energy(members: list[Path], committee: Path) -> None:
    energies = [load_potential(path)[0].reference_energies[1] for path in members]
    atom = Atoms("Cu", calculator=PannaPlusCalculator(committee))
    assert atom.get_potential_energy() == pytest.approx(float(sum(energies)) / 3, rel=1e-15)


def test_committees_join_committees(members: list[Path], committee: Path) -> None:
    potentials = [load_potential(path)[0] for path in (committee, members[0])]
    joined = committee_of(potentials, ["committee", "member"])
    assert joined.n_members == 4
    assert members_of(read_model(committee).card, "committee.pt") == read_model(committee).card["members"]
    np.testing.assert_allclose(joined.member_offsets + joined.reference_energies, joined_energies(potentials))


def joined_energies(potentials: list[PannaPotential]) -> np.ndarray:
    return torch.cat([p.reference_energies + p.member_offsets for p in potentials]).numpy()


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "cutoff": ({"radial_cutoff": 4.5}, "'a' and 'b' differ in descriptor/radial/cutoff, 4 and 4.5: a merged committee"),
    "number": ({"n_theta": 4}, "'a' and 'b' differ in descriptor/angular/theta, 3 and 4 values: a merged committee"),
    "width": ({"angular_eta": 1.5}, "'a' and 'b' differ in descriptor/angular/eta, 1 and 1.5: a merged committee"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    changes, text = REFUSED[name]
    with pytest.raises(ModelFileError) as error:
        committee_of([member(0), other_descriptor(**changes)], ["a", "b"])
    assert text in str(error.value)
    assert str(error.value).endswith(
        "with the same `model.descriptor`, or give them as several files, which are a committee too: "
        """PannaPlusCalculator(["A.pt", "B.pt"]) in ASE, 'pair_coeff * * A.pt B.pt Si O' in LAMMPS"""
    )


def test_other_kinds_of_descriptors_and_lone_atoms_are_refused() -> None:
    bp = CONFIG.model_copy(update={"descriptor": BpConfig(radial_cutoff=4.0, angular_cutoff=3.2)})
    network = member(1)
    network.subtract_lone_atom = False
    for other, text in (
        (build_potential("panna", bp, ELEMENTS, seed=3), "the type of the descriptor, mbp and bp"),
        (network, "the energy of a lone atom, reference and network"),
    ):
        with pytest.raises(ModelFileError, match=f"'a' and 'b' differ in {text}: a merged committee"):
            committee_of([member(0), other], ["a", "b"])


def test_models_with_a_repulsion_are_refused() -> None:
    config = CONFIG.model_copy(update={"terms": PannaTermsConfig(repulsion=True)})
    repelled = build_potential("panna", config, ELEMENTS, seed=3)
    with pytest.raises(ModelFileError, match=r"'b' has a learned repulsion, .* or give them as several files"):
        committee_of([member(0), repelled], ["a", "b"])


def test_refusals_of_the_command(members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "committee.pt"
    assert main(["committee", str(members[0]), "-o", str(output)]) == 4
    assert "a committee needs at least two models, found 1" in capsys.readouterr().err
    turned = write_unchecked(build_potential("panna", CONFIG, ELEMENTS[::-1], seed=0), tmp_path / "turned.pt")
    assert main(["committee", str(members[0]), str(turned), "-o", str(output)]) == 4
    assert "the elements (their order counts), H Cu and Cu H" in capsys.readouterr().err
    other = build_potential("so3krates", So3kratesConfig(n_features=8, n_heads=2, n_layers=1), ELEMENTS, seed=0)
    path = write_unchecked(other, tmp_path / "other.pt")
    assert main(["committee", str(members[0]), str(path), "-o", str(output)]) == 4
    assert (
        "is of the family so3krates: merged committees are of panna models; give them as several files"
        in capsys.readouterr().err
    )
    assert not output.exists()


def test_the_command_says_what_members_lack(
    members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = member(7)
    old.statistics = None  # type: ignore[assignment]
    write_unchecked(old, tmp_path / "old.pt")
    assert main(["committee", str(members[0]), str(tmp_path / "old.pt"), "-o", str(tmp_path / "committee.pt")]) == 0
    assert "It cannot tell how far atoms are from the training data: some members hold no" in capsys.readouterr().out


@pytest.mark.parametrize("backend", BACKENDS)
def test_model_without_statistics_offers_no_measure(backend: str, tmp_path: Path) -> None:
    potential = small_potential()
    potential.statistics = None
    write_unchecked(potential, tmp_path / "old.pt")
    with pytest.raises(ConfigError, match="it is no committee"):
        PannaPlusCalculator(tmp_path / "old.pt", backend=backend).uncertainty(crystal(ELEMENTS))


def test_extrapolation_of_training_atoms_is_one_on_average() -> None:
    """The root mean square, and the largest as the statistics say; far from them it grows without bound."""
    features = np.random.default_rng(0).normal(size=(500, 6)) @ np.random.default_rng(1).normal(size=(6, 9))
    statistics = statistics_of(features)
    found = statistics.extrapolation(features)
    assert np.sqrt((found**2).mean()) == pytest.approx(1.0, abs=1e-4)
    assert found.max() == pytest.approx(float(statistics.largest[0]))
    # Directions that training never saw count most: nine functions vary in six dimensions.
    inside = np.linalg.svd(features - features.mean(axis=0))[2]
    shifts = [statistics.extrapolation(features.mean(axis=0) + direction)[0] for direction in inside[[0, -1], None]]
    assert shifts[1] > 10 * shifts[0]


def test_pooled_statistics_are_those_of_all_atoms() -> None:
    features = np.random.default_rng(2).normal(size=(400, 5)) * [1, 2, 3, 4, 5]
    parts = statistics_of(features[:100]), statistics_of(features[100:])
    asked = np.random.default_rng(3).normal(size=(20, 5)) * 5
    expected = statistics_of(features).extrapolation(asked)
    np.testing.assert_allclose(pooled(parts).extrapolation(asked), expected, rtol=1e-4)
    assert same(pooled([parts[0], statistics_of(features[:100])]), parts[0])


def test_force_deviation_in_numbers() -> None:
    forces = np.zeros((2, 2, 3))
    forces[0, 1], forces[1, 1] = [3.0, 0.0, 0.0], [0.0, 4.0, 0.0]
    np.testing.assert_allclose(force_deviation(forces), [0.0, 2.5])


def test_statistics_come_from_initialize_and_survive_the_file(members: list[Path]) -> None:
    potential = small_potential(0)
    again, _ = load_potential(members[0])
    assert potential.statistics is not None
    for mine, read in zip(potential.statistics, again.statistics, strict=True):
        assert same(mine, read)
    graph = graph_of(potential, crystal(ELEMENTS))
    found = again.extrapolation(graph)
    assert found is not None
    assert torch.isfinite(found).all()


def test_one_model_has_no_members(members: list[Path]) -> None:
    atoms = crystal(ELEMENTS)
    i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, 4.0)
    rows = neighborhood_from_pairs(atoms.positions, atoms.cell.array, i, j, shifts)
    engine = Engine(members[0])
    assert (engine.n_members, engine.details) == (1, ["extrapolation"])
    species = np.zeros(len(rows.owners), dtype=np.int32)
    with pytest.raises(NumericalError, match="this model is no committee and has no members"):
        engine.compute(rows, species, members=True)
