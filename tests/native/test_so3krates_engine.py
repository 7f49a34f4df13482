"""The engine's so3krates models against the PyTorch model in float64: switches, precisions, published weights."""

import ase.io
import numpy as np
import pytest
from ase import Atoms

from panna_plus.errors import ModelFileError
from panna_plus.export import export_model
from panna_plus.families.so3krates.import_so3lr import import_folder
from panna_plus.graph import graph_from_atoms, pair_list
from panna_plus.layers.terms import TermsConfig
from panna_plus.model_file import read_model
from panna_plus.native import Engine, image_lists
from panna_plus.verify.deck import CENTROID, VOIGT, matrices
from tests.geometries import cluster, crystal, graph_of, largest, predict
from tests.lammps import reference
from tests.native.model_files import write_model
from tests.native.systems import disordered_crystal, rms, species_of
from tests.native.systems import evaluate as evaluate_rows
from tests.small_so3krates import ELEMENTS, REFERENCE_ENERGIES, VARIANTS, small_so3krates

NO_TERMS = TermsConfig(repulsion=False)
# Chunks of features that fill no vector, one that fills several, and degrees that stand alone or twice.
SHAPES = {
    **{variant: {"variant": variant} for variant in VARIANTS},
    "chunks of 5": {"variant": "plain", "n_features": 20, "n_heads": 4, "degrees": (2, 4)},
    "one chunk of 36": {"variant": "plain", "n_features": 36, "n_heads": 1, "degrees": (3,), "terms": NO_TERMS},
    "chunks of 1": {"variant": "plain", "n_features": 12, "n_heads": 12, "degrees": (0, 1, 2, 3)},
    "a degree twice": {"variant": "plain", "degrees": (1, 1, 2), "query_key_activation": "silu"},
    "no exchange needed": {"variant": "one layer", "degrees": (4,), "terms": NO_TERMS, "charge_embedding": False},
}


@pytest.fixture(scope="module", params=SHAPES)
def model(request, so3krates_path, tmp_path_factory):
    """A potential and its file."""
    potential = small_so3krates(**SHAPES[request.param])
    if request.param in VARIANTS:
        return potential, so3krates_path(request.param)
    path = tmp_path_factory.mktemp("shape") / "model.pt"
    frames = [cluster(ELEMENTS), crystal(ELEMENTS)]
    export_model(potential, path, [graph_of(potential, frame) for frame in frames])
    return potential, path


def evaluate(engine, atoms, n_threads=1, details=()):
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    bound = engine.bound_to(image_lists(len(atoms), *pairs), species_of(atoms, engine))
    state = {"total_charge": atoms.info.get("charge", 0.0), "unpaired_electrons": atoms.info.get("spin", 0.0)}
    return bound.compute(atoms.positions, atoms.cell.array, n_threads, details=details, **state)


def systems(potential):
    ion = cluster(ELEMENTS, n=14)
    ion.info = {key: value for key, value in (("charge", -1), ("spin", 2)) if key in potential.info_keys}
    return [ion, crystal(ELEMENTS), crystal(ELEMENTS, n=9, pbc=(True, False, True))]


def test_double_equals_the_model(model):
    potential, path = model
    engine = Engine(path, "double")
    for atoms in systems(potential):
        expected = predict(potential, atoms)
        found = evaluate(engine, atoms, details=engine.details)
        scale = rms(expected.forces.numpy())
        assert scale > 0.1
        assert found.energy == pytest.approx(float(expected.energies.sum()), rel=1e-9)
        assert largest(found.forces - expected.forces.numpy()) < 2e-8 * scale
        for name in engine.details:
            assert found.details[name] == pytest.approx(expected.details[name].numpy(), rel=1e-8, abs=1e-8), name


@pytest.mark.parametrize("n_threads", [1, 2])
def test_centroid_virials_are_those_of_directed_pairs(model, n_threads):
    """Whichever atom of a pair comes first; their sum is the virial, and nothing else changes when they are wanted."""
    potential, path = model
    atoms = disordered_crystal(ELEMENTS, n=24)
    atoms.pbc = False
    expected = reference.of_model(potential, atoms)
    scale = abs(expected.centroid_virials).max()
    assert rms(expected.forces) > 0.1
    for order in (np.arange(len(atoms)), np.random.default_rng(0).permutation(len(atoms))):
        raw = evaluate_rows(Engine(path), atoms[order], n_threads=n_threads, atomic_virials=True).raw
        found = matrices(raw.centroid_virials, CENTROID)
        assert abs(found - expected.centroid_virials[order]).max() < 1e-8 * scale
        assert abs(found.sum(axis=0) - matrices(raw.virial[None], VOIGT)[0]).max() < 1e-10 * scale
        plain = evaluate_rows(Engine(path), atoms[order], n_threads=n_threads).raw
        for name in ("energy", "atomic_energies", "forces", "virial"):
            assert getattr(raw, name) == pytest.approx(getattr(plain, name), rel=1e-11, abs=1e-11 * scale), name


def test_centroid_virials_of_neighbors_alone_define_the_heat_flux(model):
    """With one layer and nothing of long range the energy of an atom is one of its own pairs."""
    potential, path = model
    atoms = disordered_crystal(ELEMENTS, n=24)
    atoms.pbc = False
    exact = reference.exact_centroid_virials(potential, atoms)
    raw = evaluate_rows(Engine(path), atoms, atomic_virials=True).raw
    off = abs(matrices(raw.centroid_virials, CENTROID) - exact).max() / abs(exact).max()
    assert off < 1e-8 if potential.n_exchanges == 0 else off > 1e-4


def test_mixed_is_within_its_bounds(model):
    potential, path = model
    engine = Engine(path, "mixed")
    # Random weights are scaled to make forces: where energies of hundreds of eV cancel, float keeps fewer digits.
    size = max(1.0, float(potential.energy.outer.weight.abs().max()) / 10.0)
    for atoms in systems(potential):
        expected = predict(potential, atoms)
        found = evaluate(engine, atoms, n_threads=2)
        assert abs(found.energy - float(expected.energies.sum())) < 1e-5 * size * len(atoms)
        assert largest(found.forces - expected.forces.numpy()) < 1e-4


def test_threads_and_instruction_sets_agree(model):
    potential, path = model
    atoms = systems(potential)[2] * (2, 1, 1)
    expected = evaluate(Engine(path, "double"), atoms)
    assert rms(expected.forces) > 0.1
    for n_threads, kernels in ((1, "portable"), (2, ""), (3, "portable")):
        found = evaluate(Engine(path, "double", kernels), atoms, n_threads)
        assert found.energy == pytest.approx(expected.energy, rel=1e-13)
        assert found.forces == pytest.approx(expected.forces, abs=1e-11)
        assert found.virial == pytest.approx(expected.virial, abs=1e-10)


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_lone_atoms_have_exactly_their_reference_energies(so3krates_path, precision):
    atoms = Atoms(ELEMENTS, np.diag([1.0, 2.0, 3.0]) * 50)
    found = evaluate(Engine(so3krates_path("plain"), precision), atoms)
    assert found.atomic_energies.tolist() == REFERENCE_ENERGIES
    assert not found.forces.any()


def test_files_without_tables_are_refused(so3krates_path, tmp_path):
    file = read_model(so3krates_path())
    arrays = {name: array for name, array in file.arrays.items() if not name.startswith("tables/")}
    with pytest.raises(ModelFileError, match=r"'tables/radial': expected the tables of radial filters, found none"):
        Engine(write_model(tmp_path / "old.pt", file.card, arrays))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 5}, "n_features.*expected a multiple of 4, of n_heads"),
        ({"degrees": [2, 1]}, "degrees.*expected ascending numbers from 0 to 4"),
        ({"degrees": [5]}, "degrees.*expected ascending numbers from 0 to 4"),
        ({"cutoff_function": "smooth"}, "cutoff_function.*expected one of quintic, cosine, exponential"),
        ({"lone_atom": "yes"}, "lone_atom.*expected one of reference, network"),
        ({"layer_norm_1": "on"}, "layer_norm_1.*expected true or false"),
        ({"n_features": 32}, "embedding/elements/weight"),
        ({"n_layers": 3}, "layers/2/"),
        ({"n_layers": 1}, "tables/radial"),
        ({"n_layers": 0}, "n_layers.*expected 1 to 1000, found 0"),
        ({"element_rows": "alphabet"}, 'element_rows.*expected "species" or "atomic_numbers", found "alphabet"'),
        ({"terms": {"repulsion": 1}}, r"family_parameters\.terms\.repulsion': expected true or false, found 1"),
    ],
)
def test_what_does_not_fit_is_refused(so3krates_path, tmp_path, change, message):
    file = read_model(so3krates_path())
    file.card["family_parameters"] |= change
    with pytest.raises(ModelFileError, match=message):
        Engine(write_model(tmp_path / "model.pt", file.card, dict(file.arrays)))


# What multiplies an array, what is added, and what the engine says of it.
ARRAYS = {
    "short_cutoff": (0, 0, "'short_cutoff': expected a positive distance"),
    "message_norms": (0, 0, "'message_norms': expected positive numbers"),
    "tables/knots": (0.5, 0, "'tables/knots': expected a spacing whose last knot is the cutoff"),
    "shortest_distances": (0, -1, "'shortest_distances': expected distances of at least 0"),
    "terms/repulsion/end": (0, 0, "'terms/repulsion/end': expected a positive number"),
    "terms/repulsion/coefficients": (0, -800, "'terms/repulsion/coefficients': expected values above -700"),
    "terms/electrostatics/width": (0, -1, "'terms/electrostatics/width': expected a positive number"),
    "terms/electrostatics/switch_start": (0, 6, "switch_start': expected 0 to below the cutoff"),
    "terms/dispersion/cutoff": (1, 1, "'terms/dispersion/cutoff': expected that of electrostatics"),
    "terms/dispersion/polarizabilities": (-1, 0, "'terms/dispersion/polarizabilities': expected positive values"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_without_meaning_are_refused(so3krates_path, tmp_path, name):
    factor, shift, message = ARRAYS[name]
    file = read_model(so3krates_path())
    changed = {**file.arrays, name: file.arrays[name] * factor + shift}
    with pytest.raises(ModelFileError, match=message):
        Engine(write_model(tmp_path / "model.pt", file.card, changed))


def test_elements_without_a_row_are_refused(so3krates_path, tmp_path):
    file = read_model(so3krates_path())
    card = file.card | {"elements": ["H", "C", "Oh"]}
    card["family_parameters"] = card["family_parameters"] | {"element_rows": "atomic_numbers"}
    with pytest.raises(ModelFileError, match=r"'Oh' is no chemical symbol: expected H, He, \.\.\. Og"):
        Engine(write_model(tmp_path / "symbol.pt", card, dict(file.arrays)))
    with pytest.raises(ModelFileError, match="expected a row 6, found 3 rows"):
        Engine(write_model(tmp_path / "rows.pt", card | {"elements": ["H", "C", "O"]}, dict(file.arrays)))


def test_a_damping_beyond_the_cutoff_is_refused(so3krates_path):
    with pytest.raises(ModelFileError, match=r"the dispersion damping, 7\.0+ angstrom, must be below the long-range"):
        Engine(so3krates_path(), dispersion_damping=7.0)


@pytest.mark.parametrize(("key", "value"), [("n_exchanges", 7), ("cutoff", 5.0)])
def test_cards_that_contradict_the_weights_are_refused(so3krates_path, tmp_path, key, value):
    file = read_model(so3krates_path())
    with pytest.raises(ModelFileError, match=f"card key '{key}'"):
        Engine(write_model(tmp_path / "model.pt", file.card | {key: value}, dict(file.arrays)))


@pytest.fixture(scope="module")
def published(reference_folder, tmp_path_factory):
    """Folder of SO3LR's references and the imported model."""
    folder = reference_folder / "so3lr"
    potential = import_folder(folder, 12.0, 2.0)
    path = tmp_path_factory.mktemp("so3lr") / "so3lr.pt"
    molecule = ase.io.read(folder / "atat.extxyz")
    export_model(potential, path, [graph_from_atoms(molecule, potential.elements, potential.cutoff)])
    return folder, path


@pytest.mark.parametrize(("name", "repeats"), [("atat", None), ("water", (2, 2, 2))])
def test_published_weights_reproduce_upstream(published, name, repeats):
    folder, path = published
    atoms = ase.io.read(folder / ("water_64.extxyz" if repeats else "atat.extxyz"))
    if repeats:
        atoms = atoms.repeat(repeats)
    else:
        atoms.pbc, atoms.cell = False, None
    reference = np.load(folder / f"{name}_reference.npz")
    energy, forces = float(reference["energy_float64"]), reference["forces_float64"]
    assert rms(forces) > 0.1
    double, mixed = (evaluate(Engine(path, precision), atoms) for precision in ("double", "mixed"))
    assert abs(double.energy - energy) < 1e-6 + 1e-7 * abs(energy)
    assert largest(double.forces - forces) < 5e-6
    assert abs(mixed.energy - double.energy) < 1e-5 * len(atoms)
    assert largest(mixed.forces - double.forces) < 1e-4
