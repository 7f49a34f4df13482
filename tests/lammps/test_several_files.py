"""Several files in pair_coeff are one model: the mean of theirs, which no one need merge and not every one could."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from panna_plus.export import export_model
from panna_plus.families import build_potential
from panna_plus.families.panna.committee import committee_of
from panna_plus.families.panna.config import PannaConfig
from panna_plus.graph import graph_from_atoms
from tests.lammps.deck import Deck, launch, measure, run_deck
from tests.lammps.models import DESCRIPTOR, ELEMENTS, TestModel
from tests.lammps.structures import triclinic
from tests.lammps.test_messages import flat
from tests.lammps.test_uncertainty import member, potential_of
from tests.small_model import write_unchecked

pytestmark = pytest.mark.lammps

DEVIATION = "fix u all pair 1 panna_plus force_deviation 1"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three members and the committee that is merged of them."""
    folder = tmp_path_factory.mktemp("files")
    members = [member(seed) for seed in range(3)]
    merged = committee_of(members, ["0", "1", "2"])
    paths = [folder / name for name in ("A.pt", "B.pt", "C.pt", "all.pt")]
    for potential, path in zip([*members, merged], paths, strict=True):
        export_model(potential, path, [graph_from_atoms(triclinic(), ELEMENTS, potential.cutoff)])
    return [str(path) for path in paths]


def deck(**changes: object) -> Deck:
    quiet = "precision double guard off"
    return Deck(**{"atoms": triclinic(), "types": ["O", "Si"], "options": quiet, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("ranks", [1, 2])
def test_files_are_the_committee_merged_of_them(ranks: int, files: list[str], folder: Path) -> None:
    found, _ = measure(deck(), " ".join(files[:3]), folder / "several", ranks)
    expected, _ = measure(deck(), files[3], folder / "merged", ranks)
    assert np.sqrt((expected.forces**2).mean()) > 0.1
    for name in ("energies", "forces", "virial", "virials", "centroid_virials"):
        values = getattr(expected, name)
        np.testing.assert_allclose(getattr(found, name), values, rtol=0, atol=1e-11 * abs(values).max(), err_msg=name)


def test_the_log_says_what_each_file_is(models: Callable[[str], TestModel], folder: Path) -> None:
    paths = models("several").path
    outcome = run_deck(deck(options="charge 1 spin 2"), paths, folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    first, second = paths.split()
    for line in (
        r"panna_plus model, the mean of 2 files:\n",
        rf"  {first}: family panna, weights [0-9a-f]{{12}}\n",
        rf"  {second}: family so3krates, weights [0-9a-f]{{12}}\n",
        r"  types: 1 = O, 2 = Si\n  cutoff 4.6 angstrom",
        r"  charge 1, spin 2, lr_cutoff 4.4 angstrom, damping 1.5 angstrom\n",
        rf"  mean absolute errors of {first}, validation: forces 62\.5 meV/angstrom\n",
        r"  committee of 2: 'compute pair' gives 1 the largest",
        "total charge 1: no reference|a periodic cell with a total charge",
    ):
        assert len(re.findall(line, outcome.text)) == 1, line


def test_labels_stand_after_all_files(files: list[str], folder: Path) -> None:
    lines = ["pair_style panna_plus", "pair_coeff * * MODEL labels"]
    outcome = run_deck(deck(pair=lines, lines=["labelmap atom 1 O 2 Si"]), " ".join(files[:2]), folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "the mean of 2 files" in outcome.text
    assert "types: 1 = O, 2 = Si" in outcome.text


@pytest.mark.usefixtures("torch_backend")
def test_backend_torch_knows_members_that_are_files(files: list[str], folder: Path) -> None:
    """Of a merged file it knows nothing but the mean, which counts as often as the file has members."""
    write = "write_dump all custom u.dump id fx fy fz f_u modify sort id format float %.17g"
    atoms = triclinic()
    quiet = "precision double guard off backend torch"
    outcome = run_deck(deck(options=quiet, run=[DEVIATION, "run 0", write]), " ".join(files[:3]), folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    model = potential_of(files[3])
    forces = [p.forces.numpy() for p in model.predict_members(graph_from_atoms(atoms, ELEMENTS, model.cutoff))]
    away = np.array(forces) - np.mean(forces, axis=0)
    deviation = np.sqrt(np.square(away).sum(axis=2).mean(axis=0))
    found = np.loadtxt(folder / "u.dump", skiprows=9)[:, 1:]
    np.testing.assert_allclose(found, np.column_stack([np.mean(forces, axis=0), deviation]), rtol=1e-9, atol=1e-9)

    paths = f"{files[3]} {files[0]}"
    again, _ = measure(deck(options=quiet), paths, folder / "mean")
    expected = 0.75 * np.mean(forces, axis=0) + 0.25 * forces[0]
    np.testing.assert_allclose(again.forces, expected, rtol=0, atol=1e-10)
    refused = run_deck(deck(options=quiet, run=[DEVIATION, "run 0"]), paths, folder / "refused")
    assert "force_deviation is asked of the model" in flat(refused.text)
    assert "leave out backend torch for merged ones" in flat(refused.text)


def test_restart_names_all_files(files: list[str], folder: Path) -> None:
    """A file that was replaced since is found out; one alone is stored as it always was."""
    for name, source in zip(("A.pt", "B.pt"), files, strict=False):
        (folder / name).write_bytes(Path(source).read_bytes())
    lines = ["run 0", "write_restart system.restart"]
    assert run_deck(deck(run=lines), "A.pt B.pt", folder).returncode == 0
    (folder / "B.pt").write_bytes(Path(files[2]).read_bytes())
    (folder / "in.lammps").write_text("read_restart system.restart\nrun 0\n")
    outcome = launch(folder, 2)
    assert outcome.returncode != 0
    warning = (
        r"A.pt, B.pt has weights [0-9a-f]{12}, the restart file was written with [0-9a-f]{12} \(A.pt, B.pt\) and the "
        r"elements O Si: give pair_coeff again before the run"
    )
    assert re.search(warning, flat(outcome.text)), outcome.text[-2000:]
    assert run_deck(deck(run=lines), "A.pt", folder).returncode == 0
    assert b"\x04\x00\x00\x00A.pt\x40\x00\x00\x00" in (folder / "system.restart").read_bytes()


def test_minimize_reads_all_files_again(files: list[str], folder: Path) -> None:
    for name, source in zip(("A.pt", "B.pt"), files, strict=False):
        (folder / name).write_bytes(Path(source).read_bytes())
    moving = ["shell mkdir below", "shell cd below", "minimize 0.0 0.0 2 10", "shell cd .."]
    outcome = run_deck(deck(run=moving, options="guard off"), "A.pt B.pt", folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "minimizations evaluate the model in double precision" in outcome.text
    lines = ["run 0", f"shell cp {files[2]} B.pt", "minimize 0.0 0.0 2 10"]
    outcome = run_deck(deck(run=lines, options="guard off"), "A.pt B.pt", folder, 2)
    assert outcome.returncode != 0
    assert "B.pt is not the one that pair_coeff read: give pair_coeff again" in flat(outcome.text)


def test_files_of_other_elements_are_refused(files: list[str], folder: Path) -> None:
    config = PannaConfig.model_validate({"descriptor": DESCRIPTOR})
    other = write_unchecked(build_potential("panna", config, ["Si", "Ge"], seed=0), folder / "other.pt")
    outcome = run_deck(deck(), f"{files[0]} {other}", folder, 2)
    assert outcome.returncode != 0
    text = f"'{files[0]}' knows Si O, '{other}' knows Si Ge: leave one of them out"
    assert text in flat(outcome.text)


def test_rest_of_the_options(models: Callable[[str], TestModel], folder: Path) -> None:
    """Lengths mean nothing to one of the files; spins that one of them does not know are refused."""
    paths = models("several").path
    for options, text in (
        ("lr_cutoff 4.0", "models of the family panna have no long-range terms here: leave it out"),
        ("spin 4", "(family panna, so3krates) was trained with 0 to 2"),
        ("charges on", "(family panna, so3krates) has no partial charges: leave the option out"),
    ):
        outcome = run_deck(deck(options=options), paths, folder)
        assert outcome.returncode != 0
        assert text in flat(outcome.text), outcome.text[-2000:]
