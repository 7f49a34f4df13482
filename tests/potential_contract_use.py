"""What every potential promises about its use: batches, free atoms, precision, preparation, files."""

import copy
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.export import export_model, load_script
from panna_plus.families import build_potential, load_potential
from panna_plus.graph import AtomicGraph, graph_from_atoms
from panna_plus.model_file import read_model
from tests.geometries import (
    assert_same,
    cluster,
    crystal,
    graph_of,
    largest,
    moving,
    predict,
)

REFERENCE_ENERGIES = (-13.6, -1030.1, -203.7)


class BatchingContract:
    def test_a_frame_without_a_volume_leaves_the_stress_gradients_of_others_finite(self, potential):
        trainable = copy.deepcopy(potential).requires_grad_(True)
        graph = graph_of(trainable, crystal(self.elements), cluster(self.elements))
        for inputs in (graph, trainable.prepare(graph)):
            stress = trainable.predict(inputs, create_graph=True).stress
            assert torch.isfinite(stress[0]).all() and torch.isnan(stress[1]).all()
            trainable.zero_grad()
            stress[0].square().sum().backward()
            gradients = [p.grad for p in trainable.parameters() if p.grad is not None]
            assert all(torch.isfinite(g).all() for g in gradients)
            assert max(g.abs().max() for g in gradients) > 0.0

    def test_a_batch_equals_single_calls_in_any_order(self, potential):
        structures = [
            cluster(self.elements),
            Atoms(self.elements[0]),
            crystal(self.elements),
            cluster(self.elements, n=12, seed=4),
            Atoms(),
            Atoms([self.elements[-1]] * 2, [[0, 0, 0], [0, 0, 90.0]]),
        ]
        for order in (range(6), [5, 2, 4, 0, 3, 1]):
            chosen = [structures[k] for k in order]
            batch = moving(potential.predict(graph_of(potential, *chosen)))
            singles = [predict(potential, s) for s in chosen]
            for name in ("energies", "atomic_energies", "forces", "stress"):
                joined = torch.cat([getattr(s, name) for s in singles])
                assert torch.allclose(getattr(batch, name), joined, rtol=1e-12, atol=1e-12, equal_nan=True), name


class BoundaryContract:
    def test_lone_atoms_have_exactly_their_reference_energy(self, potential):
        for symbol, energy in zip(self.elements, REFERENCE_ENERGIES, strict=False):
            for atoms in (Atoms(symbol), Atoms(symbol, cell=np.eye(3) * 30, pbc=True)):
                prediction = predict(potential, atoms)
                assert prediction.energies.tolist() == [energy]
                assert prediction.forces.tolist() == [[0.0, 0.0, 0.0]]
        assert predict(potential, atoms).stress.abs().max() == 0.0

    def test_atoms_beyond_the_cutoff_are_alone(self, potential):
        atoms = Atoms([self.elements[0]] * 3, np.diag([1.0, 2.0, 3.0]) * 50)
        prediction = predict(potential, atoms)
        assert prediction.atomic_energies.tolist() == [REFERENCE_ENERGIES[0]] * 3
        assert prediction.forces.abs().max() == 0.0

    def test_no_atoms_have_no_energy(self, potential):
        prediction = predict(potential, Atoms())
        assert prediction.energies.tolist() == [0.0]
        assert prediction.forces.shape == (0, 3)

    @pytest.mark.parametrize("code", range(8))
    def test_every_combination_of_periodicity(self, potential, code):
        pbc = np.array([code & 1, code & 2, code & 4], dtype=bool)
        atoms = crystal(self.elements, pbc=pbc)
        before = moving(predict(potential, atoms))
        repeats = 1 + 2 * pbc
        after = predict(potential, atoms.repeat(repeats))
        assert largest(after.energies - repeats.prod() * before.energies) < 1e-9 * len(atoms) * repeats.prod()
        assert largest(after.forces - before.forces.repeat(repeats.prod(), 1)) < 1e-9
        assert bool(torch.isnan(before.stress).all()) == (not pbc.any())

    def test_an_atom_feels_its_own_images(self, potential):
        symbol = self.elements[0]
        cell = crystal(self.elements).cell.array
        atoms = Atoms(symbol, cell=cell, pbc=True)
        single, large = predict(potential, atoms), predict(potential, atoms.repeat((4, 3, 3)))
        assert abs(float(single.energies) - REFERENCE_ENERGIES[0]) > 1e-3
        assert largest(single.stress) > 1e-4
        assert largest(large.energies / 36 - single.energies) < 1e-10
        assert largest(large.stress - single.stress) < 1e-11
        assert largest(single.forces) < 1e-13

    def test_handedness_of_the_cell_does_not_matter(self, potential):
        right = crystal(self.elements)
        left = right.copy()
        left.set_cell(right.cell.array[[1, 0, 2]])
        assert_same(moving(predict(potential, right)), predict(potential, left), 1e-11)


class PrecisionContract:
    def test_float32_stays_within_its_budget(self, model_path):
        double, single = (load_potential(model_path, dtype)[0] for dtype in (torch.float64, torch.float32))
        for seed in range(5):
            for atoms in (cluster(self.elements, seed=seed), crystal(self.elements, seed=seed)):
                exact, rounded = moving(predict(double, atoms)), predict(single, atoms)
                difference = exact.forces - rounded.forces
                assert largest(exact.energies - rounded.energies) <= 1e-5 * len(atoms)
                assert largest(difference) <= 1e-4
                assert float(difference.square().mean().sqrt()) <= 1e-5
                assert largest(torch.nan_to_num(exact.stress - rounded.stress)) <= 1e-5
                assert largest(difference) > 0.0, "float32 computed the same: it is not used"

    def test_large_reference_energies_cost_no_digits(self, model_path):
        potential, _ = load_potential(model_path, torch.float32)
        moving(predict(potential, cluster(self.elements)))
        graph = graph_of(potential, cluster(self.elements), Atoms([self.elements[0]] * 10**5, far_apart(10**5)))
        potential.reference_energies.zero_()
        before = potential.predict(graph)
        assert before.energies[1] == 0.0
        potential.reference_energies.fill_(-1e4)
        after = potential.predict(graph)
        assert (after.forces == before.forces).all()
        n_atoms = torch.bincount(graph.frames)
        assert largest((after.energies + 1e4 * n_atoms - before.energies) / n_atoms) <= 1e-6

    def test_far_from_the_origin(self, model_path):
        potential, _ = load_potential(model_path, torch.float32)
        atoms = cluster(self.elements)
        near = moving(predict(potential, atoms))
        atoms.positions += 1e4
        assert largest(near.forces - predict(potential, atoms).forces) <= 1e-5

    def test_computing_leaves_the_settings_of_torch_alone(self, potential):
        before = torch_settings()
        predict(potential, cluster(self.elements))
        with pytest.raises((IndexError, RuntimeError)):
            graph = graph_of(potential, cluster(self.elements))
            potential.predict(replace(graph, species=graph.species + 1000))
        assert torch_settings() == before


def far_apart(n: int) -> np.ndarray:
    """Return positions of atoms that do not interact."""
    side = int(np.ceil(n ** (1 / 3)))
    return 20.0 * np.stack(np.unravel_index(np.arange(n), (side, side, side)), axis=1)


def torch_settings() -> tuple:
    return (
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_rng_state().numpy().tobytes(),
        torch.backends.cuda.matmul.allow_tf32,
    )


class PreparationContract:
    def test_prepared_inputs_give_the_same(self, potential):
        structures = [cluster(self.elements), crystal(self.elements), Atoms(self.elements[0]), Atoms()]
        graphs = [graph_of(potential, s) for s in structures]
        prepared = [potential.prepare(g) for g in graphs]
        exact = moving(potential.predict(AtomicGraph.concatenate(graphs)))
        joined = type(prepared[0]).concatenate(prepared)
        assert (joined.n_atoms, joined.n_frames) == (sum(map(len, structures)), 4)
        cached = potential.predict(joined)
        assert largest(exact.atomic_energies - cached.atomic_energies) <= 1e-11
        # The Jacobian is kept in float32.
        assert largest(exact.forces - cached.forces) <= 1e-5
        assert torch.allclose(exact.stress, cached.stress, rtol=0, atol=1e-5, equal_nan=True)

    def test_forces_can_be_trained_on(self, potential):
        model = copy.deepcopy(potential).requires_grad_(True)
        graph = graph_of(model, crystal(self.elements))
        gradients = []
        for inputs in (graph, model.prepare(graph)):
            prediction = moving(model.predict(inputs, create_graph=True))
            loss = prediction.forces.square().sum() + prediction.stress.square().sum() + prediction.energies.sum()
            gradients.append(torch.autograd.grad(loss, list(model.parameters()), allow_unused=True))
        scale = max(float(g.abs().max()) for g in gradients[0] if g is not None)
        assert scale > 1e-3
        for direct, cached in zip(*gradients, strict=True):
            assert (direct is None) == (cached is None)
            if direct is not None:
                assert largest(direct - cached) <= 1e-5 * scale


class FileContract:
    def test_torchscript_part_equals_the_potential_through_ten_calls(self, potential, model_path):
        script = load_script(model_path)
        structures = [
            cluster(self.elements),
            crystal(self.elements),
            Atoms(self.elements[-1]),
            cluster(self.elements, n=12, seed=4),
            Atoms([self.elements[0]] * 2, [[0, 0, 0], [0, 0, 60.0]]),
        ]
        moving(predict(potential, structures[0]))
        for call in range(10):
            g = graph_of(potential, structures[call % 5])
            expected = potential(g.displacements, g.centers, g.neighbors, g.species)
            found = script(g.displacements, g.centers, g.neighbors, g.species)
            for a, b in zip(found, expected, strict=True):
                assert torch.allclose(a, b, rtol=1e-12, atol=1e-11), f"call {call + 1}"

    def test_script_uses_operators_of_torch_only(self, model_path):
        def kinds(block):
            for node in block.nodes():
                yield node.kind().split("::")[0]
                for inner in node.blocks():
                    yield from kinds(inner)

        assert {"aten"} < set(kinds(load_script(model_path).inlined_graph)) <= {"aten", "prim"}

    def test_loaded_model_gives_the_same_bits(self, potential, model_path):
        loaded, card = load_potential(model_path)
        assert card["elements"] == self.elements
        assert_same(moving(predict(potential, crystal(self.elements))), predict(loaded, crystal(self.elements)), 0.0)

    def test_saving_again_keeps_the_weights(self, model_path, tmp_path):
        loaded, _ = load_potential(model_path)
        graphs = [graph_of(loaded, cluster(self.elements))]
        export_model(loaded, tmp_path / "again.pt", graphs)
        first, second = read_model(model_path), read_model(tmp_path / "again.pt")
        assert first.card["weights_sha256"] == second.card["weights_sha256"]
        assert first.card["family_parameters"] == second.card["family_parameters"]

    def test_card_says_what_the_potential_is(self, potential, model_path):
        card = read_model(model_path).card
        assert card["family"] == self.family
        assert card["cutoff"] == potential.cutoff == max(self.crossings)
        assert card["n_parameters"] == potential.n_parameters > 0

    def test_state_dict_restores_everything(self, potential):
        other = build_potential(self.family, self.config, self.elements, seed=99)
        buffer = io.BytesIO()
        torch.save(potential.state_dict(), buffer)
        buffer.seek(0)
        other.load_state_dict(torch.load(buffer, weights_only=True))
        atoms = crystal(self.elements)
        assert_same(moving(predict(potential, atoms)), predict(other, atoms), 0.0)

    def test_moves_to_any_device(self, potential):
        meta = copy.deepcopy(potential).to("meta")
        graph = graph_from_atoms(cluster(self.elements), self.elements, potential.cutoff)
        assert {t.device.type for t in [*meta.parameters(), *meta.buffers()]} == {"meta"}
        assert graph.to("meta").displacements.device.type == "meta"
