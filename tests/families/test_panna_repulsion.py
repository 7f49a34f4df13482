"""The repulsion beside the perceptrons of panna: in every way of evaluating it the same, and learned in training."""

import numpy as np
import pytest
import torch
from ase import Atoms
from pydantic import ValidationError

from panna_plus.errors import ModelFileError
from panna_plus.export import export_model
from panna_plus.families import build_potential, load_potential
from panna_plus.families.panna.config import PannaConfig, PannaTermsConfig
from panna_plus.families.panna.repelled import RepelledInputs
from panna_plus.graph import graph_from_atoms
from panna_plus.model_file import read_model
from panna_plus.native import Engine
from panna_plus.training.config import parse_run_config
from panna_plus.training.run import build_run, prepare, read_dataset
from panna_plus.verify.deck import CENTROID, matrices
from tests.geometries import assert_same, cluster, crystal, graph_of, largest, moving, predict
from tests.lammps import reference
from tests.native.model_files import write_model
from tests.native.systems import disordered_crystal, evaluate, rms
from tests.small_model import CONFIG, ELEMENTS
from tests.training.small_runs import content, labelled, lone_atoms, write_xyz

WITH_REPULSION = CONFIG.model_copy(update={"terms": PannaTermsConfig(repulsion=True)})


def close_atoms() -> Atoms:
    """Return a crystal whose atoms come as close as 0.9 Å."""
    atoms = disordered_crystal(ELEMENTS, n=18)
    atoms.set_cell(0.82 * atoms.cell.array, scale_atoms=True)
    return atoms


@pytest.fixture(scope="module")
def potential():
    """A potential whose repulsion has left its initial parameters, in float64."""
    model = build_potential("panna", WITH_REPULSION, ELEMENTS, seed=3).double()
    model.initialize([model.prepare(graph_of(model, cluster(ELEMENTS), crystal(ELEMENTS)))])
    with torch.no_grad():
        for parameter in model.repulsion.parameters():
            parameter += 0.05 * torch.arange(1, 1 + parameter.numel(), dtype=torch.float64)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def path(potential, tmp_path_factory):
    file = tmp_path_factory.mktemp("repelled") / "model.pt"
    export_model(potential, file, [graph_of(potential, close_atoms())])
    return file


def test_the_repulsion_is_part_of_energy_and_forces(potential):
    prediction = moving(predict(potential, close_atoms()))
    repelled = prediction.details["repulsion_energies"]
    alone = build_potential("panna", CONFIG, ELEMENTS, seed=3).double()
    alone.initialize([alone.prepare(graph_of(alone, cluster(ELEMENTS), crystal(ELEMENTS)))])
    network = predict(alone, close_atoms())
    assert float(repelled.sum()) > 1.0
    assert largest(prediction.atomic_energies - network.atomic_energies - repelled) < 1e-12
    assert rms((prediction.forces - network.forces).numpy()) > 0.1


def test_forces_are_the_slope_of_the_energy(potential):
    atoms = close_atoms()
    forces = moving(predict(potential, atoms)).forces
    direction = np.random.default_rng(2).normal(size=(len(atoms), 3))
    energies = []
    for step in (1e-5, -1e-5):
        moved = atoms.copy()
        moved.positions += step * direction
        energies.append(float(predict(potential, moved).energies))
    slope = (energies[0] - energies[1]) / 2e-5
    assert -(forces.numpy() * direction).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("backend", ["torch", "native"])
def test_prepared_inputs_predict_the_same(potential, backend):
    structures = [close_atoms(), cluster(ELEMENTS), crystal(ELEMENTS), Atoms("H")]
    expected = predict(potential, close_atoms())
    potential.use_backend(backend)
    prepared = [potential.prepare(graph_of(potential, s)) for s in structures]
    joined = potential.predict(RepelledInputs.concatenate(prepared))
    single = potential.predict(prepared[0])
    direct = predict(potential, structures[0])
    potential.use_backend("torch")
    # The cached Jacobian is float32.
    tolerance = 1e-10 if backend == "native" else 1e-4
    assert_same(single, expected, tolerance)
    assert_same(direct, expected, 1e-10)
    n = len(structures[0])
    assert largest(joined.forces[:n] - single.forces) < 1e-10
    assert largest(joined.details["repulsion_energies"][:n] - expected.details["repulsion_energies"]) < 1e-12


@pytest.mark.parametrize("kernels", ["reference", "portable", ""])
def test_the_engine_agrees(potential, path, kernels):
    atoms = close_atoms()
    expected = moving(predict(potential, atoms))
    exact = Engine(path, "double", kernels)
    assert exact.details == ["extrapolation", "repulsion_energies"]
    found = evaluate(exact, atoms, skin=1.0, atomic_virials=True, details=exact.details)
    assert abs(found.energies - expected.atomic_energies.numpy()).max() < 1e-10
    assert abs(found.forces - expected.forces.numpy()).max() < 1e-9
    assert abs(found.strain_gradient / atoms.get_volume() - expected.stress[0].numpy()).max() < 1e-10
    assert np.allclose(found.raw.atomic_virials.sum(axis=0), found.raw.virial, atol=1e-9, rtol=0)
    repelled = expected.details["repulsion_energies"].numpy()
    assert abs(found.raw.details["repulsion_energies"][: len(atoms)] - repelled).max() < 1e-12
    extrapolation = potential.extrapolation(graph_of(potential, atoms)).numpy()
    assert np.allclose(found.raw.details["extrapolation"][: len(atoms)], extrapolation, rtol=1e-9, atol=0)
    threads = evaluate(exact, atoms, n_threads=3)
    assert abs(threads.forces - found.forces).max() < 1e-10
    mixed = evaluate(Engine(path, "mixed", kernels), atoms)
    assert rms(mixed.forces - expected.forces.numpy()) < 1e-5 * max(1.0, rms(expected.forces.numpy()))


def test_centroid_virials_define_the_heat_flux(potential, path):
    """Also those of the repulsion, which belongs half to either atom."""
    atoms = close_atoms()
    atoms.pbc = False
    expected = reference.exact_centroid_virials(potential, atoms)
    raw = evaluate(Engine(path), atoms, atomic_virials=True).raw
    assert abs(matrices(raw.centroid_virials, CENTROID) - expected).max() < 1e-9 * abs(expected).max()


def test_files_keep_the_repulsion(potential, path):
    stored, card = load_potential(path)
    assert card["family_parameters"]["terms"]["repulsion"]
    assert_same(predict(stored, close_atoms()), predict(potential, close_atoms()), 1e-12)


def test_a_lone_atom_keeps_its_reference_energy(potential, path):
    lone = Atoms("Cu", [[0.0, 0.0, 0.0]])
    assert float(predict(potential, lone).energies) == float(potential.reference_energies[1])
    assert evaluate(Engine(path), lone).energies[0] == float(potential.reference_energies[1])


def test_other_terms_are_refused():
    with pytest.raises(ValidationError, match="panna has the repulsion alone, not electrostatics"):
        PannaConfig(terms={"electrostatics": True})


def test_files_with_other_terms_or_members_are_refused(path, tmp_path):
    """By the engine, whoever wrote them."""
    file = read_model(path)
    arrays, parameters = dict(file.arrays), file.card["family_parameters"]
    terms = parameters["terms"] | {"repulsion": False}
    card = file.card | {"family_parameters": parameters | {"terms": terms}}
    with pytest.raises(ModelFileError, match=r"terms': expected the repulsion alone in the family panna, found other"):
        Engine(write_model(tmp_path / "without.pt", card, arrays))
    # The file of a committee has networks and energies once per member.
    own = {name: a for name, a in arrays.items() if name.startswith("element/") and "/training/" not in name}
    own["reference_energies"] = arrays["reference_energies"]
    members = {f"member/{m}/{name}": array for m in range(2) for name, array in own.items()}
    kept = {name: array for name, array in arrays.items() if name not in own}
    listed = [{"activations": parameters["activations"]}] * 2
    card = file.card | {"family_parameters": parameters | {"members": listed}}
    with pytest.raises(ModelFileError, match=r"terms': expected none, whose members would each have a repulsion"):
        Engine(write_model(tmp_path / "members.pt", card, kept | members))


def test_training_learns_the_repulsion_in_every_way(tmp_path):
    """Clusters at bond lengths of 1.3 Å, three epochs."""
    rng = np.random.default_rng(5)
    corners = 1.3 * np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82]])
    frames = [labelled(Atoms("CuAuCuAu", corners + rng.normal(0, 0.05, (4, 3)))) for _ in range(14)]
    write_xyz(tmp_path / "train.xyz", lone_atoms() + frames[:10])
    write_xyz(tmp_path / "test.xyz", frames[10:])
    found = {}
    for backend, cache in (("torch", False), ("torch", True), ("native", True)):
        settings = content(tmp_path, backend=backend, cache=cache, epochs=3)
        settings["model"]["terms"] = {"repulsion": True}
        settings["training"]["loss_weights"] = {"stress": 0.0}
        config = parse_run_config(settings, "test")
        run = build_run(config, read_dataset(config, tmp_path))
        start = [p.detach().clone() for p in run.potential.repulsion.parameters()]
        prepare(run).trainer.fit()
        end = list(run.potential.repulsion.parameters())
        moved = [(b - a).detach().double() for a, b in zip(start, end, strict=True)]
        # The fastest of the four exponentials has died out at these distances.
        assert all(bool((m.abs() > 1e-3).any()) for m in moved)
        found[backend, cache] = torch.cat(moved)
    expected = found.pop(("torch", False))
    for way, moved in found.items():
        tolerance = 1e-2 if way[0] == "torch" else 1e-4
        assert largest(moved - expected) < tolerance * largest(expected), way


def test_graphs_of_close_pairs_hold_no_others(potential):
    graph = graph_from_atoms(close_atoms(), ELEMENTS, potential.cutoff)
    close = potential.prepare(graph).close
    lengths = close.displacements.norm(dim=1)
    assert 0 < close.n_atoms == graph.n_atoms
    assert 0 < len(lengths) < len(graph.displacements) and float(lengths.max()) < 1.5
