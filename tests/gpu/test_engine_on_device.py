"""The engine on a CUDA device gives what it gives on the CPU, for every test model."""

import numpy as np
import pytest
from ase import Atoms

from panna_plus.native import Engine
from panna_plus.neighbors import vesin_pairs
from tests.gpu import devices
from tests.gpu.pairs import listed_pairs
from tests.native.conftest import DESCRIPTORS
from tests.native.model_files import committee, random_model, write_model
from tests.native.systems import ELEMENTS, disordered_crystal, evaluate, rms

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def structures() -> list[Atoms]:
    crystal = disordered_crystal(n=12)
    cluster = crystal.copy()
    cluster.pbc = False
    return [crystal, cluster, Atoms("Si"), Atoms("SiO", [[0, 0, 0], [0, 1.2, 1.3]])]


@pytest.mark.parametrize("precision", ["double", "mixed"])
@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_model_gives_what_it_gives_on_the_cpu(device, structures, tmp_path, name, precision):
    path = write_model(tmp_path / "model.pt", *random_model(ELEMENTS, DESCRIPTORS[name]))
    on_device, on_cpu = Engine(path, precision, device="cuda"), Engine(path, "double")
    assert on_device.device == "cuda:0"
    assert rms(evaluate(on_cpu, structures[0]).forces) > 0.1
    for atoms in structures:
        expected, found = evaluate(on_cpu, atoms, skin=0.3), evaluate(on_device, atoms, skin=0.3)
        scale = max(1.0, float(np.abs(expected.forces).max()))
        tolerance = scale * devices.TOLERANCE[precision]
        assert np.abs(found.forces - expected.forces).max() < tolerance
        assert np.abs(found.energies - expected.energies).max() < tolerance
        assert np.abs(found.strain_gradient - expected.strain_gradient).max() < len(atoms) * tolerance


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_committee_and_its_members(device, structures, tmp_path, precision):
    members = [random_model(ELEMENTS, DESCRIPTORS["mbp"], seed=seed) for seed in (1, 2, 3)]
    path = write_model(tmp_path / "committee.pt", *committee(members))
    on_device, on_cpu = Engine(path, precision, device="cuda"), Engine(path, "double")
    assert on_device.n_members == 3
    ask = {"members": True, "details": ["extrapolation"]}
    expected = evaluate(on_cpu, structures[0], **ask)
    plain, found = evaluate(on_device, structures[0]), evaluate(on_device, structures[0], **ask)
    spread = expected.raw.member_forces.std(axis=0)
    assert rms(expected.forces) > 0.1 and rms(spread) > 0.01
    tolerance = float(np.abs(expected.raw.member_forces).max()) * devices.TOLERANCE[precision]
    assert np.abs(found.raw.member_forces - expected.raw.member_forces).max() < tolerance
    assert np.abs(found.raw.member_energies - expected.raw.member_energies).max() < len(spread) * tolerance
    for each in (plain, found):
        assert np.abs(each.forces - expected.forces).max() < tolerance
        assert np.abs(each.strain_gradient - expected.strain_gradient).max() < len(spread) * tolerance
    largest = expected.raw.details["extrapolation"].max()
    difference = found.raw.details["extrapolation"] - expected.raw.details["extrapolation"]
    assert np.abs(difference).max() < devices.TOLERANCE[precision] * largest


def test_pairs_by_hand_are_those_of_vesin(structures):
    pytest.importorskip("vesin")
    for atoms in structures[:2]:
        box = atoms.cell.array if atoms.pbc.all() else np.eye(3)
        tables = []
        for find in (vesin_pairs, listed_pairs):
            i, j, shifts = find(atoms.positions, box, atoms.pbc, 4.6)
            tables.append(sorted(np.column_stack([i, j, shifts]).tolist()))
        assert len(tables[0]) > 20 and tables[0] == tables[1]
