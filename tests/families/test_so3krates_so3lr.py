"""The published SO3LR weights give the published energies and forces, by every route from the import to ASE."""

import json
import pickle
import shutil

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus import PannaPlusCalculator
from panna_plus.commands.main import main
from panna_plus.errors import DataError, ModelFileError
from panna_plus.export import flat, load_script
from panna_plus.families import load_potential
from panna_plus.families.so3krates.import_so3lr import HYPERPARAMETERS, import_folder
from panna_plus.families.so3krates.published_names import sources_of
from panna_plus.graph import graph_from_atoms
from panna_plus.model_file import read_model
from panna_plus.potential import forces_of
from tests.geometries import cluster, largest, predict
from tests.lammps import reference

TERMS = ("network_energies", "repulsion_energies", "electrostatic_energies", "dispersion_energies")
LOW_RATIOS = r"Hirshfeld ratios below 0.3 for 64 of 64 O atoms \(lowest 0.0.*bulk water \(said once\)"


@pytest.fixture(scope="module")
def folder(reference_folder):
    """Folder of the published checkpoint."""
    return reference_folder / "so3lr"


@pytest.fixture(scope="module")
def model(folder, tmp_path_factory):
    """The imported model file."""
    path = tmp_path_factory.mktemp("so3lr") / "so3lr.pt"
    assert main(["import", "so3lr", str(folder), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def potential(model):
    return load_potential(model)[0]


class Case:
    """Atoms with the numbers that upstream computed for `factor` times as many, the first of them being these."""

    def __init__(self, folder, name, atoms, factor=1):
        stored = np.load(folder / f"{name}_reference.npz")
        self.atoms = atoms
        self.energy = float(stored["energy_float64"]) / factor
        self.terms = stored["energy_terms"] / factor
        self.forces = stored["forces_float64"][: len(atoms)]
        self.charges = stored["charges"][: len(atoms)]
        self.ratios = stored["hirshfeld_ratios"][: len(atoms)]

    def check(self, energy, forces):
        assert np.sqrt((self.forces**2).mean()) > 0.1
        assert abs(float(energy) - self.energy) < 1e-6 + 1e-7 * abs(self.energy)
        assert largest(np.asarray(forces) - self.forces) < 5e-6


def molecule(folder):
    atoms = ase.io.read(folder / "atat.extxyz")
    atoms.set_cell(None)
    atoms.pbc = False
    return Case(folder, "atat", atoms)


def box(folder):
    """One box of the eight that upstream computed: with all its images it has an eighth of the energy."""
    return Case(folder, "water", ase.io.read(folder / "water_64.extxyz"), factor=8)


def boxes(folder):
    return Case(folder, "water", ase.io.read(folder / "water_64.extxyz").repeat(2))


CASES = pytest.mark.parametrize("make", [molecule, box, pytest.param(boxes, marks=pytest.mark.slow)])


@CASES
def test_potential_gives_the_published_numbers_term_by_term(potential, folder, make):
    case = make(folder)
    prediction = predict(potential, case.atoms)
    case.check(prediction.energies, prediction.forces)
    terms = [float(prediction.details[name].sum()) for name in TERMS]
    assert largest(terms - case.terms) < 1e-9 * len(case.atoms)
    assert largest(prediction.details["charges"].numpy() - case.charges) < 1e-10
    assert largest(prediction.details["hirshfeld_ratios"].numpy() - case.ratios) < 1e-10


@CASES
def test_torchscript_gives_the_published_numbers(model, potential, folder, make):
    case = make(folder)
    graph = graph_from_atoms(case.atoms, potential.elements, potential.cutoff)
    script = load_script(model)
    # The first calls specialize the code.
    for _ in range(1 if case.atoms.pbc.any() else 3):
        energies, gradient = flat(script, graph)
    case.check(energies.sum(), forces_of(gradient, graph.centers, graph.neighbors, graph.n_atoms))


BACKENDS = pytest.mark.parametrize("backend", ["native", "torch"])


@BACKENDS
@CASES
def test_calculator_gives_the_published_numbers(model, folder, make, backend, recwarn):
    case = make(folder)
    case.atoms.calc = PannaPlusCalculator(model, device="cpu", backend=backend)
    if case.atoms.pbc.any():
        with pytest.warns(UserWarning, match=LOW_RATIOS.replace("64", str(len(case.atoms) // 3))):
            case.check(case.atoms.get_potential_energy(), case.atoms.get_forces())
        assert np.isfinite(case.atoms.get_stress()).all()
    else:
        case.check(case.atoms.get_potential_energy(), case.atoms.get_forces())
        # The engine interpolates radial filters.
        assert largest(case.atoms.get_charges() - case.charges) < (1e-10 if backend == "torch" else 1e-8)
        assert largest(case.atoms.get_dipole_moment() - case.charges @ case.atoms.positions) < 1e-9
    assert set(case.atoms.calc.details) == {*TERMS, "charges", "hirshfeld_ratios"}
    # The warning is said once.
    case.atoms.rattle(1e-3, seed=1)
    assert abs(case.atoms.get_potential_energy() - case.energy) > 1e-5
    assert len(recwarn) == 0


@BACKENDS
@pytest.mark.parametrize("make", [molecule, box])
@pytest.mark.filterwarnings("ignore:Hirshfeld ratios")
def test_float32_stays_near(model, folder, make, backend):
    case = make(folder)
    case.atoms.calc = PannaPlusCalculator(model, dtype="float32", device="cpu", backend=backend)
    assert 0.0 < largest(case.atoms.get_forces() - case.forces) < 1e-4
    assert abs(case.atoms.get_potential_energy() - case.energy) < 1e-5 * len(case.atoms)


def test_import_says_how_far_the_engine_is(folder, tmp_path, capsys):
    arguments = ["import", "so3lr", str(folder), "-o", str(tmp_path / "so3lr.pt"), "--frames"]
    assert main([*arguments, str(folder / "water_64.extxyz")]) == 0
    errors = read_model(tmp_path / "so3lr.pt").card["engine_errors"]
    assert errors["double"]["forces"] < 1e-7 < errors["mixed"]["forces"] < 1e-4
    assert errors["double"]["energy"] < 1e-9 < errors["mixed"]["energy"] < 1e-5
    assert errors["mixed"]["largest_force"] == pytest.approx(np.abs(box(folder).forces).max(), rel=0.2)
    said = capsys.readouterr().out
    assert f"engine, mixed: within {errors['mixed']['energy']:.1e} eV/atom" in said
    (tmp_path / "none.xyz").write_text("")
    assert main([*arguments, str(tmp_path / "none.xyz"), "--force"]) != 0


# Shape


def test_numbers_of_parameters_are_the_published_ones(potential):
    assert potential.n_parameters == 530_238
    assert [sum(p.numel() for p in layer.parameters()) for layer in potential.layers] == [121_812] * 3
    assert potential.elements == ["H", "C", "N", "O", "F", "P", "S", "Cl"]
    assert (potential.cutoff, potential.reach, potential.n_exchanges) == (12.0, 3 * 4.5 + 12.0, 3)


def test_every_learned_array_has_a_source(potential):
    names = {name.replace(".", "/") for name, _ in potential.named_parameters()}
    assert set(sources_of(potential.config)) == names


def test_published_arrays_survive_import_and_export(model, folder):
    published = np.load(folder / "params.npz")
    weights = {name.removeprefix("params/"): published[name] for name in published.files}
    potential, _ = load_potential(model, torch.float32)
    arrays = potential.arrays()
    for name, source in sources_of(potential.config).items():
        assert arrays[name].dtype == np.float32
        assert (arrays[name] == source.read(weights)).all(), name


# Charge and spin


def test_charges_of_an_ion_sum_to_its_charge(model, folder):
    atoms = molecule(folder).atoms
    atoms.calc = PannaPlusCalculator(model, device="cpu")
    neutral = atoms.get_potential_energy()
    assert abs(atoms.get_charges().sum()) < 1e-12
    atoms.info["charge"] = -1
    with pytest.warns(UserWarning, match="total charge -1: no reference with a charge other than 0 to 0 stands behind"):
        assert abs(atoms.get_potential_energy() - neutral) > 0.1
    assert atoms.get_charges().sum() == pytest.approx(-1.0, abs=1e-12)


def test_charged_cell_says_what_is_done(model):
    atoms = cluster(["H", "C", "O"])
    atoms.set_cell([9.0, 9.0, 9.0])
    atoms.pbc = True
    atoms.info["charge"] = 1
    atoms.calc = PannaPlusCalculator(model, device="cpu")
    with pytest.warns(UserWarning) as caught:
        atoms.get_potential_energy()
    texts = [str(w.message) for w in caught]
    assert any("a periodic cell with a total charge: its partial charges add up to that charge" in t for t in texts)


@pytest.mark.parametrize("spin", [1, 2, -1])
def test_spin_that_was_never_trained_is_refused(model, spin):
    atoms = cluster(["H", "C", "O"])
    atoms.info["spin"] = spin
    atoms.calc = PannaPlusCalculator(model, device="cpu")
    with pytest.raises(DataError, match=rf"info\['spin'\] is {spin} unpaired electrons; this model was trained with 0"):
        atoms.get_potential_energy()


@pytest.mark.parametrize("value", [0.5, "two", None, float("nan")])
def test_a_charge_that_is_no_whole_number_is_refused(model, value):
    atoms = cluster(["H", "C", "O"])
    atoms.info["charge"] = value
    atoms.calc = PannaPlusCalculator(model, device="cpu")
    with pytest.raises(DataError, match=r"atoms.info\['charge'\] must be a whole number"):
        atoms.get_potential_energy()


# What an import refuses


@pytest.fixture
def copied(folder, tmp_path):
    """A copy of the checkpoint to be changed."""
    for name in (HYPERPARAMETERS, "params.npz"):
        shutil.copy(folder / name, tmp_path / name)
    return tmp_path


def change(folder, section, **values):
    path = folder / HYPERPARAMETERS
    content = json.loads(path.read_text())
    content[section].update(values)
    path.write_text(json.dumps(content))


def weights_of(folder):
    with np.load(folder / "params.npz") as stored:
        return {name: stored[name] for name in stored.files}


def nested(arrays):
    tree: dict = {}
    for name, array in arrays.items():
        *path, last = name.split("/")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = array
    return tree


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_pickled_checkpoint_reads_alike(copied, potential, protocol):
    weights = weights_of(copied)
    (copied / "params.npz").unlink()
    (copied / "params.pkl").write_bytes(pickle.dumps(nested(weights), protocol=protocol))
    found = import_folder(copied, 12.0, 2.0).arrays()
    assert all((found[name] == array).all() for name, array in potential.arrays().items())


class Intruder:
    def __reduce__(self):
        return eval, ("1/0",)


def test_pickle_that_asks_for_code_is_refused(copied):
    (copied / "params.npz").unlink()
    (copied / "params.pkl").write_bytes(pickle.dumps({"params": Intruder()}))
    with pytest.raises(ModelFileError, match=r"asks for 'builtins.eval'; a checkpoint holds arrays and nothing else"):
        import_folder(copied, 12.0, 2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cutoff_fn": "tanh"}, r"model.cutoff_fn is 'tanh', this version imports 'phys', 'cosine', 'exponential'"),
        ({"num_features": 130}, "n_features"),
        ({"cutoff": "far"}, "cutoff: .* found 'far'"),
        ({"num_layers": 2}, r"hold more than they need: layers_2.*belong to different models"),
        ({"residual_mlp_2": True}, r"lack layers_0/res_mlp_2_layer_1/bias"),
        (
            {"num_radial_basis_fn": 16},
            r"array 'layers/0/attention/features/filter/radial_inner/weight' must have shape \(128, 16\), found",
        ),
        ({"energy_activation_fn": "identity"}, "supported with energy_activation_fn silu"),
    ],
)
def test_hyperparameters_that_do_not_fit_are_refused(copied, changes, message):
    change(copied, "model", **changes)
    with pytest.raises(ModelFileError, match=message):
        import_folder(copied, 12.0, 2.0)


def test_other_faults_of_a_checkpoint_are_refused(copied, tmp_path):
    change(copied, "data", avg_num_neighbors=None)
    with pytest.raises(ModelFileError, match="avg_num_neighbors must be positive, found None"):
        import_folder(copied, 12.0, 2.0)
    change(copied, "data", avg_num_neighbors=13.0)
    weights = weights_of(copied)
    name = "params/observables_0/atomic_scales"
    weights[name] = np.full_like(weights[name], np.nan)
    np.savez(copied / "params.npz", **weights)
    with pytest.raises(ModelFileError, match="'params/observables_0/atomic_scales' must hold finite"):
        import_folder(copied, 12.0, 2.0)
    (copied / "params.npz").write_bytes(b"PK nothing")
    with pytest.raises(ModelFileError, match="cannot read"):
        import_folder(copied, 12.0, 2.0)
    (copied / "params.npz").unlink()
    with pytest.raises(ModelFileError, match=r"holds neither params\.npz nor params\.pkl"):
        import_folder(copied, 12.0, 2.0)
    with pytest.raises(ModelFileError, match=r"cannot read .*hyperparameters.json"):
        import_folder(tmp_path / "absent", 12.0, 2.0)
    (copied / HYPERPARAMETERS).write_text("[]")
    with pytest.raises(ModelFileError, match="sections model and data"):
        import_folder(copied, 12.0, 2.0)


def test_output_is_not_overwritten_unasked(model, folder, capsys):
    assert main(["import", "so3lr", str(folder), "-o", str(model)]) == 2
    assert "--force" in capsys.readouterr().err


def droplet(folder):
    """Molecules of water around the middle of the box, whole."""
    atoms = ase.io.read(folder / "water_64.extxyz")
    middle, found = 0.5 * atoms.cell.lengths(), Atoms()
    for oxygen in np.flatnonzero(atoms.symbols == "O"):
        position = atoms.positions[oxygen] % atoms.cell.lengths()
        if np.linalg.norm(position - middle) > 4.5:
            continue
        vectors = atoms.get_distances(oxygen, range(len(atoms)), mic=True, vector=True)
        near = np.argsort((vectors**2).sum(axis=1))[:3]
        found += Atoms("OH2", position + vectors[near])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("water", 0.30), ("molecule", 0.78)])
def test_heat_flux_is_a_rough_approximation(potential, folder, name, size):
    """As large as the documentation says."""
    atoms = droplet(folder) if name == "water" else ase.io.read(folder / "atat.extxyz")
    atoms.pbc = False
    assert len(atoms) == {"water": 33, "molecule": 60}[name]
    assert np.sqrt((reference.of_model(potential, atoms).forces ** 2).mean()) > 0.1
    assert reference.flux_error(potential, atoms) == pytest.approx(size, abs=0.01)
