"""Descriptor values of a frame with their sparse Jacobian, computed once and kept through a training.

A fixed descriptor has no trainable parameter, so energy, forces and stress of a frame are matrix products of the
network's input gradient g = dE/dG with arrays that never change:

    F_x   = -sum_i g_i . dG_i/dx        dE/dstrain = sum_i g_i . dG_i/dstrain

dG_i/dx_j is stored per (i, j) with periodic images summed, and only for the features that neighbor j can touch: the
radial block of its element and the angular blocks that its element takes part in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from panna_plus.families.panna.descriptors import Descriptor, neighbor_pairs
from panna_plus.graph import AtomicGraph, moved_to, offsets, sum_by_index


@dataclass(frozen=True)
class DescriptorInputs:
    """Descriptor values and Jacobian of one or several frames.

    Attributes
    ----------
    features : (n_atoms, F) float64
    species, frames : (n_atoms,) int64
    n_frames : int
    volumes : (n_frames,) float64, Å³, NaN without a three-dimensional cell
    centers, neighbors : (n_pairs,) int64
        Pairs of different atoms, each once, images summed.
    jacobian : (n_pairs, n_touched, 3) float32, 1/Å
        dG_center/dx_neighbor for the features that the neighbor's element touches.
    touched : (n_elements, n_touched) int64
        Those features, by element of the neighbor.
    strained : (n_strained,) int64
        Atoms of frames with a volume.
    strain_jacobian : (n_strained, F, 6) float32
        dG/dstrain of these atoms, components xx, yy, zz, yz, xz, xy.
    """

    features: Tensor
    species: Tensor
    frames: Tensor
    n_frames: int
    volumes: Tensor
    centers: Tensor
    neighbors: Tensor
    jacobian: Tensor
    touched: Tensor
    strained: Tensor
    strain_jacobian: Tensor

    @property
    def n_atoms(self) -> int:
        return self.species.shape[0]

    def to(self, device: torch.device | str) -> "DescriptorInputs":
        """Return the inputs with every tensor on `device`."""
        return moved_to(self, device)

    @staticmethod
    def concatenate(parts: Sequence["DescriptorInputs"]) -> "DescriptorInputs":
        """Join inputs into one with all their frames, in order."""
        first_atom = offsets([p.n_atoms for p in parts])
        first_frame = offsets([p.n_frames for p in parts])

        def joined(name: str, starts: Sequence[int] | None = None) -> Tensor:
            values = [getattr(p, name) for p in parts]
            return torch.cat(values if starts is None else [v + s for v, s in zip(values, starts, strict=True)])

        return DescriptorInputs(
            features=joined("features"),
            species=joined("species"),
            frames=joined("frames", first_frame),
            n_frames=sum(p.n_frames for p in parts),
            volumes=joined("volumes"),
            centers=joined("centers", first_atom),
            neighbors=joined("neighbors", first_atom),
            jacobian=joined("jacobian"),
            touched=parts[0].touched,
            strained=joined("strained", first_atom),
            strain_jacobian=joined("strain_jacobian"),
        )


def descriptor_inputs(descriptor: Descriptor, graph: AtomicGraph) -> DescriptorInputs:
    """Evaluate the descriptor and its Jacobian for one graph."""
    with torch.no_grad():
        features = descriptor(graph.displacements, graph.centers, graph.neighbors, graph.species)
        per_edge = edge_jacobian(descriptor, graph)
        touched = touched_features(descriptor).to(per_edge.device)
        centers, neighbors, jacobian = merged_images(graph, per_edge)
        strained = torch.nonzero(~torch.isnan(graph.volumes)[graph.frames]).flatten()
        strain = strain_jacobian(graph, per_edge, touched, descriptor.n_features)[strained]
    return DescriptorInputs(
        features=features,
        species=graph.species,
        frames=graph.frames,
        n_frames=graph.n_frames,
        volumes=graph.volumes,
        centers=centers,
        neighbors=neighbors,
        jacobian=jacobian.to(torch.float32),
        touched=touched,
        strained=strained,
        strain_jacobian=strain.to(torch.float32),
    )


def touched_features(descriptor: Descriptor) -> Tensor:
    """List the features that a neighbor of each element contributes to, (n_elements, n_touched) int64."""
    d = descriptor
    radial = torch.arange(d.n_elements).unsqueeze(1) * d.n_radial + torch.arange(d.n_radial)
    starts = d.n_elements * d.n_radial + d.blocks.cpu() * d.n_angular
    angular = (starts.unsqueeze(2) + torch.arange(d.n_angular)).flatten(1)
    return torch.cat([radial, angular], dim=1)


def edge_jacobian(descriptor: Descriptor, graph: AtomicGraph) -> Tensor:
    """Return dG_center/d(displacement) of every directed pair, (n_pairs, n_touched, 3) float64."""
    r = torch.linalg.vector_norm(graph.displacements, dim=1)
    unit = graph.displacements / r.unsqueeze(1)
    slope = torch.func.jvp(descriptor.radial, (r,), (torch.ones_like(r),))[1]
    radial = slope.unsqueeze(2) * unit.unsqueeze(1)
    angular = angular_edge_jacobian(descriptor, graph, r, unit)
    return torch.cat([radial, angular], dim=1)


def angular_edge_jacobian(descriptor: Descriptor, graph: AtomicGraph, r: Tensor, unit: Tensor) -> Tensor:
    """Return the angular part of the Jacobian, (n_pairs, n_elements * n_angular, 3), blocks by partner element."""
    edge = torch.nonzero(r < descriptor.angular_cutoff).flatten()
    first, second = neighbor_pairs(graph.centers[edge])
    a, b = edge[first], edge[second]
    species = graph.species[graph.neighbors]
    c = (unit[a] * unit[b]).sum(dim=1)
    along_a, along_b, along_c = partial_derivatives(descriptor, r[a], r[b], c)
    n_slots = r.shape[0] * descriptor.n_elements
    total = torch.zeros(n_slots, descriptor.n_angular * 3, dtype=r.dtype, device=r.device)
    for this, other, along in ((a, b, along_a), (b, a, along_b)):
        cosine_gradient = (unit[other] - c.unsqueeze(1) * unit[this]) / r[this].unsqueeze(1)
        gradient = along.unsqueeze(2) * unit[this].unsqueeze(1) + along_c.unsqueeze(2) * cosine_gradient.unsqueeze(1)
        total += sum_by_index(gradient.flatten(1), this * descriptor.n_elements + species[other], n_slots)
    return total.view(r.shape[0], descriptor.n_elements * descriptor.n_angular, 3)


def partial_derivatives(descriptor: Descriptor, r_a: Tensor, r_b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the derivatives of the angular functions with respect to r_a, r_b and c, each (n, n_angular)."""
    point = (r_a, r_b, c)
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    directions = ((one, zero, zero), (zero, one, zero), (zero, zero, one))
    along_a, along_b, along_c = (torch.func.jvp(descriptor.angular, point, d)[1] for d in directions)
    return along_a, along_b, along_c


def merged_images(graph: AtomicGraph, per_edge: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum the Jacobian over the images of each neighbor; an atom's own images cancel with its row as center."""
    distinct = graph.centers != graph.neighbors
    key = (graph.centers * graph.n_atoms + graph.neighbors)[distinct]
    pairs, slot = torch.unique(key, return_inverse=True)
    merged = sum_by_index(per_edge[distinct].flatten(1), slot, pairs.shape[0])
    return pairs // graph.n_atoms, pairs % graph.n_atoms, merged.view(-1, *per_edge.shape[1:])


def strain_jacobian(graph: AtomicGraph, per_edge: Tensor, touched: Tensor, n_features: int) -> Tensor:
    """Return dG/dstrain of every atom, (n_atoms, F, 6) float64: the sum of displacement (x) dG/d(displacement)."""
    full = torch.zeros(graph.n_atoms, n_features, 6, dtype=per_edge.dtype, device=per_edge.device)
    rows = torch.tensor([0, 1, 2, 1, 0, 0], device=per_edge.device)
    columns = torch.tensor([0, 1, 2, 2, 2, 1], device=per_edge.device)
    for s, of_this_element in enumerate(touched):
        edge = torch.nonzero(graph.species[graph.neighbors] == s).flatten()
        d, jacobian = graph.displacements[edge], per_edge[edge]
        outer = 0.5 * (
            d[:, None, rows] * jacobian[:, :, columns] + d[:, None, columns] * jacobian[:, :, rows]
        )  # symmetrised: a rotation changes no feature
        sums = sum_by_index(outer.flatten(1), graph.centers[edge], graph.n_atoms)
        full[:, of_this_element] += sums.view(graph.n_atoms, len(of_this_element), 6)
    return full
