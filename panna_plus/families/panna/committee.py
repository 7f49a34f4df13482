"""Several panna models with one descriptor become one model: a committee, whose energy is the mean of theirs."""

from collections.abc import Sequence

import numpy as np
import torch

from panna_plus.errors import ModelFileError, require
from panna_plus.families.panna.model import PannaPotential
from panna_plus.families.panna.statistics import pooled

AS_FILES = (
    'give them as several files, which are a committee too: PannaPlusCalculator(["A.pt", "B.pt"]) in ASE, '
    "'pair_coeff * * A.pt B.pt Si O' in LAMMPS"
)
ADVICE = (
    "a merged committee evaluates one descriptor for all of its members. Train them with the same `model.descriptor`, "
    f"or {AS_FILES}"
)


def committee_of(potentials: Sequence[PannaPotential], names: Sequence[str]) -> PannaPotential:
    """Merge potentials into one whose members they are; members of committees become members.

    Their reference energies may differ: a lone atom has the mean. Of their shortest training distances it takes the
    longest, so that every member knows what is beyond; their training statistics are pooled.

    Parameters
    ----------
    potentials : sequence of PannaPotential
    names : sequence of str
        Of the potentials, for errors.

    Raises
    ------
    ModelFileError
        If there are fewer than two, one has a repulsion, or naming the first thing in which two of them differ.
    """
    require(len(potentials) >= 2, ModelFileError, f"a committee needs at least two models, found {len(potentials)}")
    first = potentials[0]
    for potential, name in zip(potentials, names, strict=True):
        require(
            potential.repulsion is None,
            ModelFileError,
            f"'{name}' has a learned repulsion, of which each member would have another: committees are of models "
            f"trained without `model.terms.repulsion`; or {AS_FILES}",
        )
    for other, name in zip(potentials[1:], names[1:], strict=True):
        found = difference(first, other)
        require(not found, ModelFileError, f"'{names[0]}' and '{name}' differ in {found}: {ADVICE}")
    merged = PannaPotential(
        first.elements,
        first.descriptor,
        [network for p in potentials for network in p.networks],  # type: ignore[misc]
        "reference" if first.subtract_lone_atom else "network",
    )
    merged.feature_mean.copy_(torch.cat([p.feature_mean for p in potentials]))
    merged.feature_scale.copy_(torch.cat([p.feature_scale for p in potentials]))
    energies = torch.cat([p.reference_energies + p.member_offsets for p in potentials])
    merged.reference_energies.copy_(energies.mean(dim=0))
    merged.member_offsets.copy_(energies - merged.reference_energies)
    merged.shortest_distances.copy_(torch.stack([p.shortest_distances for p in potentials]).amax(dim=0))
    known = [p.statistics for p in potentials if p.statistics is not None]
    if len(known) == len(potentials):
        merged.statistics = [pooled(of_element) for of_element in zip(*known, strict=True)]
    return merged.requires_grad_(False).eval()


def difference(a: PannaPotential, b: PannaPotential) -> str:
    """Return the first setting in which two potentials cannot share a descriptor, with both values; '' if none."""
    settings = [
        ("the elements (their order counts)", " ".join(a.elements), " ".join(b.elements)),
        ("the type of the descriptor", a.descriptor.kind, b.descriptor.kind),
        ("the energy of a lone atom", *("reference" if p.subtract_lone_atom else "network" for p in (a, b))),
    ]
    for what, mine, other in settings:
        if mine != other:
            return f"{what}, {mine} and {other}"
    arrays = zip(a.descriptor.parameter_arrays().items(), b.descriptor.parameter_arrays().values(), strict=True)
    for (name, own), others in arrays:
        found = first_difference(own.cpu().numpy(), others.cpu().numpy())
        if found:
            return f"descriptor/{name.replace('_', '/', 1)}, {found}"
    return ""


def first_difference(a: np.ndarray, b: np.ndarray) -> str:
    """Return the first entries that differ as 'x and y', or the sizes; '' for equal arrays."""
    if a.shape != b.shape:
        return f"{a.size} and {b.size} values"
    places = np.flatnonzero(a != b)
    return f"{a.flat[places[0]]:.10g} and {b.flat[places[0]]:.10g}" if len(places) else ""
