"""Geometries that no potential can learn from are refused; unusual valid ones are not."""

import numpy as np
import pytest
from ase import Atoms

from panna_plus.data.geometry_checks import check_geometry
from panna_plus.errors import DataError

WHERE = "a.xyz frame 3 (counted from 0)"


@pytest.mark.parametrize(
    "atoms, message",
    [
        (Atoms(), "holds no atoms"),
        (Atoms("HX", positions=[[0, 0, 0], [1, 0, 0]]), "species 'X'"),
        (Atoms("H2", positions=[[0, 0, 0], [1, np.nan, 0]]), "key 'positions' of atom 1"),
        (Atoms("H", positions=[[np.inf, 0, 0]]), "key 'positions' of atom 0"),
        (Atoms("H", cell=[np.nan, 4, 4], pbc=True), "the cell is not finite"),
        (Atoms("H", pbc=True), "span no volume"),
        (Atoms("H", cell=[4, 4, 0], pbc=True), "span no volume"),
        (Atoms("H", cell=[[4, 0, 0], [4, 0, 0], [0, 0, 4]], pbc=True), "span no volume"),
        (Atoms("H", cell=[[4, 0, 0], [8, 0, 0], [0, 0, 0]], pbc=(1, 1, 0)), "span no volume"),
        (Atoms("H", cell=[0, 0, 4], pbc=(1, 0, 0)), "span no volume"),
        (Atoms("H3", positions=[[0, 0, 0], [1, 0, 0], [1, 0, 0.05]]), "atoms 1 and 2 .* 0.0500 Å apart"),
        (Atoms("H2", positions=[[0, 0, 0.01], [0, 0, 3.99]], cell=[4, 4, 4], pbc=True), "atoms 0 and 1 .* 0.0200 Å"),
        (Atoms("H", cell=[4, 4, 0.05], pbc=True), "atoms 0 and 0 .* 0.0500 Å apart"),
    ],
)
def test_impossible_geometry_is_refused(atoms, message):
    with pytest.raises(DataError, match=rf"^a\.xyz frame 3 \(counted from 0\).*{message}"):
        check_geometry(atoms, WHERE)


@pytest.mark.parametrize(
    "atoms",
    [
        Atoms("H"),
        Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.11]]),
        Atoms("H", cell=[1, 1, 1], pbc=False),
        Atoms("H", cell=[0, 0, 4], pbc=(0, 0, 1)),
        Atoms("H", cell=-4 * np.eye(3), pbc=True),
        Atoms("H", cell=[[4, 0, 0], [7, 2.6, 0], [7, 1.2, 2.0]], pbc=True),
        Atoms("H2", positions=[[0, 0, 0], [901, -77, 1e5]], cell=[5, 5, 5], pbc=True),
        Atoms("H2", positions=[[0, 0, 0.01], [0, 0, 3.99]], cell=[4, 4, 4], pbc=(1, 1, 0)),
    ],
)
def test_unusual_geometry_is_accepted(atoms):
    check_geometry(atoms, WHERE)
