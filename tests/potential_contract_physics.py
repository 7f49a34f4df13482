"""What every potential promises about physics: symmetry, gradients, reach, smoothness, periodicity."""

import numpy as np
import pytest
import torch
from ase import Atoms

from panna_plus.conventions import voigt_from_matrix
from panna_plus.graph import AtomicGraph
from panna_plus.neighbors import pair_list
from tests.geometries import (
    assert_same,
    chain,
    cluster,
    crystal,
    energies,
    graph_of,
    largest,
    moving,
    predict,
    random_rotation,
    slope,
)

LEFT_HANDED = crystal(["H"]).cell.array[[1, 0, 2]]
SHEAR = np.array([[1.02, 0.11, -0.07], [0.05, 0.97, 0.13], [0.0, -0.09, 1.01]])


class InvarianceContract:
    @pytest.mark.parametrize("seed", range(4))
    def test_rotation_turns_forces_and_stress_along(self, potential, seed):
        rotation = random_rotation(np.random.default_rng(seed))
        for atoms in (cluster(self.elements), crystal(self.elements)):
            turned = Atoms(atoms.symbols, atoms.positions @ rotation.T, cell=atoms.cell @ rotation.T, pbc=atoms.pbc)
            self.assert_transforms(potential, atoms, turned, rotation)

    @pytest.mark.parametrize("reflection", [-np.eye(3), np.diag([1.0, -1.0, 1.0])], ids=["inversion", "mirror"])
    def test_reflection_turns_forces_and_stress_along(self, potential, reflection):
        for atoms in (cluster(self.elements), crystal(self.elements)):
            turned = Atoms(atoms.symbols, atoms.positions @ reflection, cell=atoms.cell @ reflection, pbc=atoms.pbc)
            self.assert_transforms(potential, atoms, turned, reflection)

    def assert_transforms(self, potential, atoms, turned, rotation):
        before, after = moving(predict(potential, atoms)), predict(potential, turned)
        assert largest(before.atomic_energies - after.atomic_energies) < 1e-10
        assert largest(before.forces.numpy() @ rotation.T - after.forces.numpy()) < 1e-9
        if atoms.pbc.any():
            assert largest(rotation @ before.stress[0].numpy() @ rotation.T - after.stress[0].numpy()) < 1e-10

    @pytest.mark.parametrize("shift", [(0.3, -1.7, np.sqrt(2)), (1e4, -2e4, 3e4)])
    def test_translation_changes_nothing(self, potential, shift):
        for atoms in (cluster(self.elements), crystal(self.elements)):
            moved = atoms.copy()
            moved.positions += shift
            # Positions of 1e4 Å have a spacing of 4e-12 Å.
            tolerance = 1e-8 if max(shift) > 100 else 1e-10
            assert_same(moving(predict(potential, atoms)), predict(potential, moved), tolerance)

    def test_permutation_within_and_across_elements(self, potential):
        for atoms in (cluster(self.elements), crystal(self.elements)):
            order = np.random.default_rng(3).permutation(len(atoms))
            before, after = moving(predict(potential, atoms)), predict(potential, atoms[order])
            assert largest(before.atomic_energies[order] - after.atomic_energies) < 1e-10
            assert largest(before.forces[order] - after.forces) < 1e-10
            assert largest(before.energies - after.energies) < 1e-12 * float(before.energies.abs().max())

    def test_wrapping_changes_nothing(self, potential):
        atoms = crystal(self.elements)
        atoms.set_scaled_positions(np.where(np.arange(15).reshape(5, 3) == 4, 0.0, atoms.get_scaled_positions()))
        before = moving(predict(potential, atoms))
        moves = np.random.default_rng(2).integers(-7, 8, (len(atoms), 3))
        for fractional in (moves, np.full((5, 3), -1e-17), np.full((5, 3), -4.4e-52), np.ones((5, 3))):
            moved = atoms.copy()
            moved.positions += fractional @ atoms.cell.array
            assert_same(before, predict(potential, moved), 1e-10)

    def test_supercell_multiplies_the_energy(self, potential):
        atoms = crystal(self.elements)
        before, after = moving(predict(potential, atoms)), predict(potential, atoms.repeat((3, 2, 2)))
        assert largest(after.energies - 12 * before.energies) < 1e-9 * 12 * len(atoms)
        assert largest(after.forces - before.forces.repeat(12, 1)) < 1e-9
        assert largest(after.stress - before.stress) < 1e-10

    def test_forces_add_up_to_nothing(self, potential):
        for atoms in (cluster(self.elements), crystal(self.elements)):
            forces = moving(predict(potential, atoms)).forces.numpy()
            assert largest(forces.sum(axis=0)) < 1e-10 * len(atoms)
            if not atoms.pbc.any():
                assert largest(np.cross(atoms.positions, forces).sum(axis=0)) < 1e-9 * len(atoms)

    def test_same_input_gives_the_same_bits(self, potential):
        atoms = crystal(self.elements)
        assert_same(moving(predict(potential, atoms)), predict(potential, atoms), 0.0)


class GradientContract:
    @pytest.mark.parametrize("kind", ["cluster", "crystal"])
    def test_forces_are_minus_the_slope_of_the_energy(self, potential, kind):
        atoms = next(a for a in self.candidates(kind) if self.is_away_from_crossings(a))
        forces = moving(predict(potential, atoms)).forces.numpy()

        def displaced(h):
            structures = []
            for atom, axis in np.ndindex(len(atoms), 3):
                moved = atoms.copy()
                moved.positions[atom, axis] += h
                structures.append(moved)
            return energies(potential, structures)

        # Untrained networks are rough: with a step of 1e-3 Å the error of the stencil itself reaches 1e-6.
        assert largest(forces.flatten() + slope(displaced, 2e-4)) < 1e-7

    def test_second_derivatives_are_symmetric(self, potential):
        atoms = next(a for a in self.candidates("cluster") if self.is_away_from_crossings(a))
        moving(predict(potential, atoms))

        def gradients(h):
            structures = []
            for atom, axis in np.ndindex(len(atoms), 3):
                moved = atoms.copy()
                moved.positions[atom, axis] += h
                structures.append(moved)
            return -potential.predict(graph_of(potential, *structures)).forces.numpy().reshape(len(structures), -1)

        hessian = slope(gradients, 2e-4)
        assert largest(hessian) > 1.0
        assert largest(hessian - hessian.T) < 1e-6 * largest(hessian)

    def candidates(self, kind):
        return (
            cluster(self.elements, seed=s) if kind == "cluster" else crystal(self.elements, seed=s) for s in range(99)
        )

    def is_away_from_crossings(self, atoms):
        """Where a pair crosses a cutoff the curvature may jump, and differences lose their order."""
        i, j, shifts = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, 1.1 * max(self.crossings))
        distances = np.linalg.norm(atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array, axis=1)
        return np.abs(distances[:, None] - self.crossings).min() > 3e-3

    @pytest.mark.parametrize("handedness", ["right", "left"])
    def test_six_components_of_stress_are_the_slope_under_strain(self, potential, handedness):
        cell = crystal(self.elements).cell.array if handedness == "right" else LEFT_HANDED
        atoms = crystal(self.elements, cell=cell)
        atoms.set_cell(atoms.cell.array @ SHEAR.T, scale_atoms=True)
        assert np.sign(np.linalg.det(atoms.cell.array)) == (1.0 if handedness == "right" else -1.0)
        stress = moving(predict(potential, atoms)).stress[0].numpy()
        assert largest(stress - stress.T) <= 1e-14
        assert largest(stress) > 1e-3

        def strained(h):
            structures = []
            for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
                strain = np.zeros((3, 3))
                strain[a, b] += 0.5 * h
                strain[b, a] += 0.5 * h
                moved = atoms.copy()
                moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
                structures.append(moved)
            return energies(potential, structures)

        numerical = slope(strained, 1e-4) / atoms.get_volume()
        assert largest(voigt_from_matrix(stress) - numerical) < 1e-8

    def test_forward_gives_the_gradient_of_every_pair(self, potential):
        graph = graph_of(potential, crystal(self.elements))
        moving(potential.predict(graph))
        atomic, gradient = potential(graph.displacements, graph.centers, graph.neighbors, graph.species)
        step = torch.zeros_like(graph.displacements)
        step[3, 1] = 1.0

        def total(h):
            moved = graph.displacements + h * step
            return potential.atomic_energies(moved, graph.centers, graph.neighbors, graph.species).sum().numpy()

        assert abs(float(gradient[3, 1]) - slope(total, 2e-4)) < 1e-7
        assert largest(atomic - potential.predict(graph).atomic_energies) == 0.0


class LocalityContract:
    """For strictly local potentials."""

    def test_distant_clusters_do_not_feel_each_other(self, potential):
        first, second = cluster(self.elements), cluster(self.elements, n=7, seed=8)
        width = max(np.ptp(a.positions, axis=0).max() for a in (first, second))
        second.positions += [width + potential.cutoff + 1e-6, 0, 0]
        assert np.linalg.norm(first.positions[:, None] - second.positions[None], axis=-1).min() > potential.cutoff
        parts = [moving(predict(potential, a)) for a in (first, second)]
        both = predict(potential, first + second)
        assert largest(both.forces - torch.cat([p.forces for p in parts])) < 1e-13
        assert largest(both.atomic_energies - torch.cat([p.atomic_energies for p in parts])) < 1e-13 * 1100

    def test_atomic_energy_ends_at_the_cutoff(self, potential):
        # Distances from the end in cutoffs: 0.3 per atom.
        atoms = chain(self.elements, 9, 0.3 * potential.cutoff)
        before = moving(predict(potential, atoms))
        atoms.positions[8] += [0.3, 0.2, 0.05]
        after = predict(potential, atoms)
        changes = (after.atomic_energies - before.atomic_energies).abs()
        assert changes[:5].max() <= 1e-12
        assert changes[5:].min() > 1e-8
        # A force is felt through a common neighbor: up to twice as far.
        changes = (after.forces - before.forces).abs().amax(dim=1)
        assert changes[:2].max() <= 1e-13
        assert changes[3:].min() > 1e-8


class CutoffContract:
    """No jump of energy or force where a pair crosses a cutoff.

    Plain differences hold the legitimate slope: the energy residue is the difference minus the trapezoid of the force
    along the path, the force residue the difference extrapolated to a step of 0.
    """

    def test_dimers_end_smoothly(self, potential):
        for first in self.elements:
            for second in self.elements:
                for crossing in self.crossings:
                    atoms = Atoms([first, second], [[0, 0, 0], [0.6, 0.48, 0.64]])
                    assert self.strongest(potential, atoms, crossing) > 1e-3
                    self.assert_no_jump(potential, atoms, 1, atoms.positions[0], crossing)

    def strongest(self, potential, dimer, crossing):
        """Return the largest force on the way to the crossing."""
        structures = [dimer.copy() for _ in range(8)]
        for k, atoms in enumerate(structures):
            atoms.positions[1] *= (0.5 + 0.05 * k) * crossing
        return largest(potential.predict(graph_of(potential, *structures)).forces)

    def test_dimer_energy_is_the_integral_of_its_force(self, potential):
        # From half the cutoff to beyond it: a step anywhere on the way is seen.
        distances = torch.linspace(0.5, 1.1, 3001, dtype=torch.float64) * potential.cutoff
        for pair in np.ndindex(len(self.elements), len(self.elements)):
            graph = graph_of_dimers(pair, distances)
            prediction = potential.predict(graph)
            energy = (prediction.atomic_energies - potential.reference_energies[graph.species]).view(-1, 2).sum(dim=1)
            force = prediction.forces[1::2, 2]
            assert largest(force) > 1e-3
            residues = torch.diff(energy) + 0.5 * torch.diff(distances) * (force[1:] + force[:-1])
            assert largest(residues) < 1e-7

    def test_many_bodies_end_smoothly(self, potential):
        atoms = cluster(self.elements, n=12, seed=4)
        moving(predict(potential, atoms))
        for crossing in self.crossings:
            n_paths = 0
            for atom, other in np.argwhere(~np.eye(len(atoms), dtype=bool)):
                moved = atoms.copy()
                moved.set_distance(other, atom, crossing, fix=0)
                if n_paths < 6 and others_around(moved, atom, other):
                    self.assert_no_jump(potential, moved, atom, moved.positions[other], crossing)
                    n_paths += 1
            assert n_paths == 6

    def assert_no_jump(self, potential, atoms, atom, origin, crossing):
        direction = atoms.positions[atom] - origin
        direction = direction / np.linalg.norm(direction)

        def along_path(dr):
            structures = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[atom] = origin + direction * (crossing + sign * dr)
                structures.append(moved)
            graph = graph_of(potential, *structures)
            forces = potential.predict(graph).forces.numpy().reshape(2, len(atoms), 3)
            return energies(potential, structures), forces

        assert_smooth(along_path, atom, direction)

    def test_the_residues_see_a_step(self):
        # Lennard-Jones, truncated: value and slope jump at the cutoff, or only the slope after a shift.
        def energy_and_slope(r, shift):
            inside = r < 2.0
            return (r**-12 - r**-6 - shift) * inside, (-12 * r**-13 + 6 * r**-7) * inside

        for shift in (0.0, 2.0**-12 - 2.0**-6):

            def along_path(dr, shift=shift):
                value, gradient = energy_and_slope(np.array([2.0 + dr, 2.0 - dr]), shift)
                forces = np.zeros((2, 1, 3))
                forces[:, 0, 2] = -gradient
                return value, forces

            with pytest.raises(AssertionError):
                assert_smooth(along_path, 0, np.array([0.0, 0.0, 1.0]))


def graph_of_dimers(species: tuple[int, int], distances: torch.Tensor) -> AtomicGraph:
    """Return one frame per distance (n,): two atoms along z."""
    n = len(distances)
    first = 2 * torch.arange(n)
    along_z = torch.zeros(n, 2, 3, dtype=torch.float64)
    along_z[:, 0, 2], along_z[:, 1, 2] = distances, -distances
    return AtomicGraph(
        species=torch.tensor(species).repeat(n),
        centers=torch.arange(2 * n),
        neighbors=torch.stack([first + 1, first], dim=1).flatten(),
        displacements=along_z.flatten(0, 1),
        frames=torch.arange(n).repeat_interleave(2),
        n_frames=n,
        volumes=torch.full((n,), torch.nan, dtype=torch.float64),
    )


def others_around(atoms, first: int, second: int) -> bool:
    """Tell whether both atoms have further neighbors, none of them unphysically close."""
    distances = atoms.get_all_distances()
    np.fill_diagonal(distances, np.inf)
    distances[first, second] = distances[second, first] = np.inf
    closest = distances[[first, second]].min(axis=1)
    return bool((closest > 1.3).all() and (closest < 2.5).all())


def assert_smooth(along_path, atom: int, direction: np.ndarray) -> None:
    """Demand that the residues of energy and force vanish with the step."""
    residues, jumps = [], []
    for dr in (1e-3, 1e-4, 1e-5):
        (after, before), (force_after, force_before) = along_path(dr)
        trapezoid = dr * (force_after[atom] + force_before[atom]) @ direction
        residues.append(abs(after - before + trapezoid))
        jumps.append(force_after - force_before)
    # The residue of a smooth function falls as dr² or faster, down to rounding; that of a step stays.
    assert residues[1] <= max(residues[0] / 5.0, 1e-10)
    assert residues[2] <= max(residues[0] / 1e3, 1e-10)
    assert residues[-1] <= 1e-8
    extrapolated = (10.0 * jumps[2] - jumps[1]) / 9.0
    assert largest(extrapolated) <= 1e-6
