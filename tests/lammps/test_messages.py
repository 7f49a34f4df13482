"""Every refusal says what was found, what was expected and what to do; warnings likewise."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from panna_plus.model_file import read_model
from tests.lammps.deck import BIN, OTHER_LAMMPS, Deck, finish, launch, run_deck, write
from tests.lammps.structures import SHORTEST, cluster, triclinic
from tests.native.model_files import write_model

pytestmark = pytest.mark.lammps


def deck(**changes: object) -> Deck:
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], **changes})  # type: ignore[arg-type]


def flat(text: str) -> str:
    """LAMMPS may break a long message into lines."""
    return re.sub(r"\s+", " ", text)


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "unknown option": (
        {"options": "precison double"},
        r"unknown option 'precison'; the options are: precision mixed\|double, guard on\|off, "
        r"backend auto\|native\|torch, device auto\|cpu\|cuda\|cuda:N, halo auto\|layer\|deep, charges on\|off, "
        r"charge Q, spin S, lr_cutoff R, damping D",
    ),
    "bad value": ({"options": "guard maybe"}, r"option guard is on or off, found 'maybe'"),
    "bad value of three": (
        {"options": "backend libtorch"},
        r"option backend is auto, native or torch, found 'libtorch'",
    ),
    "bad device": ({"options": "device gpu"}, r"option device is auto, cpu, cuda or cuda:N, found 'gpu'"),
    "bad number of a device": ({"options": "device cuda:1x"}, r"cuda or cuda:N, found 'cuda:1x'"),
    "no number of a device": ({"options": "device cuda:"}, r"cuda or cuda:N, found 'cuda:'"),
    "two ways to compute": (
        {"options": "device cuda:1 backend torch"},
        r"backend torch computes on the CPU, found device cuda:1: leave out one of them",
    ),
    "no value": ({"options": "precision"}, r"option precision needs a value"),
    "lengths of a local model": (
        {"options": "lr_cutoff 9.0"},
        r"a long-range cutoff or damping was given, but models of the family panna have no long-range terms",
    ),
    "too few elements": (
        {"names": ["Si"]},
        r"expected one or more model files and one element \(or NULL\) for each of the 2 atom types: "
        r"'pair_coeff \* \* model.pt El1 ... El2', or under pair_style hybrid 'pair_coeff \* \* panna_plus model.pt",
    ),
    "too few elements in a hybrid": (
        {"pair": ["pair_style hybrid/overlay panna_plus zero 3.0", "pair_coeff * * panna_plus MODEL Si"]},
        r"'pair_coeff \* \* panna_plus model.pt El1 ... El2'",
    ),
    "too many elements": (
        {"names": ["Si", "O", "O"]},
        r"found 'pair_coeff \* \* \S+model.pt Si O O', expected one or more model files and one element",
    ),
    "too many elements and a label": ({"names": ["Si", "labels"]}, r"model.pt Si labels', expected one or more model"),
    "too many types that are not seen": ({"names": ["NULL", "Si", "O"]}, r"NULL Si O', expected one or more model"),
    "too few elements for two files": (
        {"pair": ["pair_style panna_plus", "pair_coeff * * MODEL MODEL Si"]},
        r"found 'pair_coeff \* \* \S+model.pt \S+model.pt Si', expected one or more model files and one element",
    ),
    "a second file that is not there": (
        {"pair": ["pair_style panna_plus", "pair_coeff * * MODEL absent.pt Si O"]},
        r"ERROR: pair_style panna_plus: .*absent.pt",
    ),
    "a word that is neither file nor element": ({"names": ["Sii", "Si", "O"]}, r"panna_plus: .*'Sii'"),
    "unknown element": (
        {"names": ["Si", "Ge"]},
        r"element 'Ge' \(atom type 2\) is not in the model \S+model.pt; it knows: Si O",
    ),
    "labels without a label map": (
        {"names": ["labels"]},
        r"'labels' in pair_coeff, but atom type 1 has no label that is the symbol of an element: write 'labelmap",
    ),
    "labels that are no elements": (
        {"names": ["labels"], "lines": ["labelmap atom 1 Si 2 water"]},
        r"but atom type 2 has no label that is the symbol of an element",
    ),
    "labels that contradict": (
        {"names": ["O", "Si"], "lines": ["labelmap atom 1 Si 2 O"]},
        r"atom type 1 has the label Si, but pair_coeff maps it to O: correct one of them",
    ),
    "group/group": (
        {"run": ["group a id 1:9", "compute between all group/group a", "thermo_style custom c_between", "run 0"]},
        r"compute group/group has no pair part here: the energy of an atom is one function of all its neighbors"
        r".*ERROR: Pair style does not support compute group/group",
    ),
    "respa that splits the style": (
        {"run": ["run_style respa 2 2 inner 1 2.0 3.0 outer 2", "run 0"]},
        r"ERROR: Pair style does not support rRESPA inner/middle/outer",
    ),
    "no file": (
        {"pair": ["pair_style panna_plus", "pair_coeff * * absent.pt Si O"]},
        r"ERROR: pair_style panna_plus: .*absent.pt",
    ),
    "foreign file": (
        {"pair": ["pair_style panna_plus", "pair_coeff * * system.data Si O"]},
        r"ERROR: pair_style panna_plus: .*system.data.*",
    ),
    "units lj": (
        {"units": "lj"},
        r"the model is in eV and angstrom and cannot be used with units lj: use units metal, real or electron",
    ),
    "units si": ({"units": "si"}, r"cannot be used with units si"),
    "exclude": (
        {"lines": ["group a type 1", "neigh_modify exclude group a a"]},
        r"neigh_modify exclude removes pairs from the neighbor list .* write 'neigh_modify exclude none'",
    ),
    "exclude types": ({"lines": ["neigh_modify exclude type 1 2"]}, r"neigh_modify exclude removes pairs"),
    "exclude molecules": (
        {"bonds": [(1, 2)], "lines": ["special_bonds lj/coul 1 1 1", "neigh_modify exclude molecule/intra all"]},
        r"neigh_modify exclude removes pairs",
    ),
    "special bonds": (
        {"bonds": [(1, 2), (2, 3)]},
        r"special_bonds is 0 for 1-2 neighbors, .* write 'special_bonds lj/coul 1.0 1.0 1.0'",
    ),
    "special bonds of third neighbors": (
        {"bonds": [(1, 2), (2, 3)], "lines": ["special_bonds lj/coul 1.0 1.0 0.0"]},
        r"special_bonds is 0 for 1-4 neighbors",
    ),
    "no pair_coeff after a second pair_style": (
        {"pair": ["pair_style panna_plus", "pair_coeff * * MODEL NAMES", "pair_style panna_plus"]},
        r"All pair coeffs are not set",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, model_path: str, folder: Path) -> None:
    changes, message = REFUSED[case]
    outcome = run_deck(deck(**changes), model_path, folder)
    assert outcome.returncode != 0
    assert re.search(message, flat(outcome.text)), outcome.text[-2000:]


ACCEPTED: dict[str, dict[str, object]] = {
    "nothing special": {},
    "exclusion of an empty group": {"lines": ["group none empty", "neigh_modify exclude group none all"]},
    "exclusion of a NULL type": {"types": ["Si", "O", "He"], "names": ["Si", "O", "NULL"],
                                 "lines": ["neigh_modify exclude type 1 3"]},
    "special bonds kept": {"bonds": [(1, 2), (2, 3)],
                           "lines": ["special_bonds lj/coul 1.0 1.0 1.0"]},
    "labels that agree": {"lines": ["labelmap atom 1 Si 2 O"]},
    "labels beside elements": {"types": ["Si", "O", "He"], "names": ["Si", "O", "NULL"],
                               "lines": ["labelmap atom 1 silicon 2 O 3 He"]},
    "special bonds that keep half": {"bonds": [(1, 2), (2, 3)],
                                     "lines": ["special_bonds lj 0.0 0.0 0.0 coul 0.5 0.5 0.5"]},
    "special bonds nearly zero": {"bonds": [(1, 2), (2, 3)],
                                  "lines": ["special_bonds lj/coul 1e-50 1e-50 1e-50"]},
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_harmless_settings_run_without_warning(case: str, model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(**ACCEPTED[case]), model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "WARNING: pair_style panna_plus" not in flat(outcome.text)


def test_the_log_says_what_runs(model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(units="real", types=["O", "He", "Si"], names=["O", "NULL", "Si"]), model_path, folder, 2)
    for line in (
        r"panna_plus model \S+model.pt: family panna, weights [0-9a-f]{12}",
        r"types: 1 = O, 2 = NULL, 3 = Si",
        r"cutoff 4.6 angstrom, precision double, guard on, backend native",
        r"mean absolute errors, validation: forces 62\.5 meV/angstrom\n",
        r"units real: 1 angstrom = 1, 1 eV = 23.06055",
        r"Lot, Pellegrini",
    ):
        assert len(re.findall(line, outcome.text)) == 1, line


def test_swapped_elements_are_noticed_by_their_mass(model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(names=["O", "Si"], options="guard off"), model_path, folder)
    for warning in (
        r"WARNING: .*atom type 1 is mapped to O \(mass 15.999\), but its mass is 28.085",
        r"WARNING: .*atom type 2 is mapped to Si \(mass 28.085\), but its mass is 15.999: is the order of the elements",
    ):
        assert re.search(warning, flat(outcome.text)), outcome.text[-2000:]


def test_masses_may_differ_by_a_tenth(model_path: str, folder: Path) -> None:
    """Isotopes pass."""
    masses = [15.999 * factor for factor in (1.09, 1.11, 0.91, 0.89)]
    lines = [line for mass in masses for line in (f"mass 2 {mass:.3f}", "run 0 post no")]
    outcome = run_deck(deck(run=lines), model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    warned = re.findall(r"atom type 2 is mapped to O \(mass 15.999\), but its mass is (\S+):", flat(outcome.text))
    assert [float(mass) for mass in warned] == pytest.approx([masses[1], masses[3]], abs=1e-3)


def rewritten(model_path: str, path: Path, **changes: float) -> Path:
    """Write a model file with all values of some arrays replaced, named as in the file but for _ in place of /."""
    model = read_model(model_path)
    arrays = {name: array + 0 for name, array in model.arrays.items()}
    for name in arrays:
        if name.replace("/", "_") in changes:
            arrays[name][...] = changes[name.replace("/", "_")]
    return write_model(path, model.card, arrays)


@pytest.mark.parametrize(
    ("is_there", "message"),
    [(False, r"model file 'model.pt' cannot be opened: No such file or directory"),
     (True, r"the file model.pt is not the same on all machines of this run")],
)  # fmt: skip
def test_a_rank_that_reads_another_file_or_none_stops_all(
    is_there: bool, message: str, model_path: str, folder: Path
) -> None:
    for place in ("first", "second"):
        write(deck(), "model.pt", folder / place)
    shutil.copy(model_path, folder / "first/model.pt")
    if is_there:
        rewritten(model_path, folder / "second/model.pt", reference_energies=-9.0)
    lmp = [str(BIN / "lmp"), "-in", "in.lammps"]
    command = [str(BIN / "mpiexec"), "-wdir", str(folder / "first"), "-n", "1", *lmp, ":"]
    outcome = finish([*command, "-wdir", str(folder / "second"), "-n", "1", *lmp], folder)
    assert outcome.returncode != 0
    assert re.search(f"ERROR: pair_style panna_plus: {message}", flat(outcome.text)), outcome.text[-2000:]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"reference_energies": 1e308}, "the energy is not a finite number at step 0"),
     ({"element_O_layer_2_weight": 1e307},
      r"the force of atom \d+ \((Si|O)\) is not a finite number at step 0: look for overlapping atoms or a time step")],
)  # fmt: skip
def test_results_that_are_no_numbers_stop_all_ranks(
    changes: dict[str, float], message: str, model_path: str, folder: Path
) -> None:
    model = rewritten(model_path, folder / "model.pt", **changes)
    outcome = run_deck(deck(), str(model), folder, 2)
    assert outcome.returncode != 0
    assert re.search(f"ERROR: pair_style panna_plus: {message}", flat(outcome.text)), outcome.text[-2000:]


# One atom far from the others, at home on the second of two ranks, is pushed to infinity by a broken fix.
NOT_A_NUMBER = [
    "group bad id 17",
    "fix move all nve",
    "variable push atom exp(1000.0)",
    "fix push bad addforce v_push 0.0 0.0",
    "neigh_modify every 1000 delay 1000 check no",
    "run 3",
]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_position_that_is_not_a_number_stops_all_ranks(ranks: int, model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(run=NOT_A_NUMBER), model_path, folder, ranks)
    assert outcome.returncode != 0
    assert re.search(
        r"ERROR: pair_style panna_plus: the position of atom 17 \(Si\) is not a finite number at step \d",
        flat(outcome.text),
    ), outcome.text[-2000:]


def dimer(distance: float) -> Atoms:
    """A cluster, and far from it two atoms at a distance."""
    pair = Atoms("SiO", positions=[[25, 25, 25], [25, 25, 25 + distance]])
    return cluster() + pair


@pytest.mark.parametrize("ranks", [1, 2])
def test_guard_stops_below_06(ranks: int, model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(atoms=dimer(0.5 * SHORTEST)), model_path, folder, ranks)
    assert outcome.returncode != 0
    text = flat(outcome.text)
    assert re.search(r"step 0; atom 1[89] \((Si|O)\) and atom 1[89] \((Si|O)\) are 0.7500 angstrom apart", text), text
    assert "shortest in training: 1.5000" in text
    assert "0.500 of the shortest distance" in text
    assert "limit 0.6" in text
    assert "'guard off' in pair_style turns this check off" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_guard_warns_once_below_095(ranks: int, model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(atoms=dimer(0.9 * SHORTEST), run=["run 0", "run 0", "run 2"]), model_path, folder, ranks)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert len(re.findall(r"0.900 of the shortest distance .*limit 0.95", outcome.text)) == 1


def test_guard_warns_again_after_another_pair_style(model_path: str, folder: Path) -> None:
    again = ["run 0", "pair_style panna_plus", f"pair_coeff * * {model_path} Si O", "run 0"]
    outcome = run_deck(deck(atoms=dimer(0.9 * SHORTEST), run=again), model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert len(re.findall(r"0.900 of the shortest distance .*limit 0.95", outcome.text)) == 2


class WithoutIds(Deck):
    """A deck for `atom_modify id no`."""

    def ids(self) -> np.ndarray:
        return np.zeros(len(self.atoms), dtype=int)


def test_atoms_without_ids_are_named_by_their_element(model_path: str, folder: Path) -> None:
    other = WithoutIds(dimer(0.5 * SHORTEST), ["Si", "O"], first_lines=["atom_modify id no"])
    outcome = run_deck(other, model_path, folder)
    assert outcome.returncode != 0
    assert re.search(r"step 0; atom \(without id\) \((Si|O)\) and atom \(without id\)", flat(outcome.text)), (
        outcome.text
    )


def test_guard_off_is_silent(model_path: str, folder: Path) -> None:
    outcome = run_deck(deck(atoms=dimer(0.5 * SHORTEST), options="precision double guard off"), model_path, folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "shortest" not in outcome.text


@pytest.mark.parametrize("variable", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"])
def test_copies_started_by_another_mpi_are_refused(variable: str, model_path: str, folder: Path) -> None:
    write(deck(), model_path, folder)
    outcome = launch(folder, environment={variable: "4"})
    assert outcome.returncode != 0
    text = flat(outcome.text)
    assert re.search(r"ERROR: .*the launcher started 4 processes, but LAMMPS sees only itself", text), text
    own = f"belongs to another MPI: use {(BIN / 'mpiexec').resolve()}"
    others = "belongs to another MPI: use (the mpiexec that belongs to )?/|was compiled without MPI: start it without"
    assert re.search(others if OTHER_LAMMPS else own, text), text
    assert f"(where separate simulations are meant: env -u {variable}" in text


Mutation = Callable[[bytes], bytes]
DAMAGES: dict[str, Mutation] = {
    "truncated": lambda content: content[: len(content) // 2],
    "one byte changed": lambda content: content.replace(b"weights_sha256", b"weights_sha25x"),
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(damage: str, model_path: str, folder: Path) -> None:
    (folder / "damaged.pt").write_bytes(DAMAGES[damage](Path(model_path).read_bytes()))
    outcome = run_deck(deck(), "damaged.pt", folder)
    assert outcome.returncode != 0
    assert re.search(r"ERROR: pair_style panna_plus: .*damaged.pt", flat(outcome.text)), outcome.text[-2000:]


def test_fixture_is_not_too_close() -> None:
    distances = triclinic().get_all_distances(mic=True)
    assert distances[np.triu_indices(len(distances), 1)].min() > SHORTEST
