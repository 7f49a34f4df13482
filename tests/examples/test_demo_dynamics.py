import re
from dataclasses import replace

import dynamics
import numpy as np
import pytest
from ase.build import bulk

from panna_plus import PannaPlusCalculator
from panna_plus.export import export_model
from panna_plus.families import build_potential
from panna_plus.families.panna.config import MbpConfig, NetworkConfig, PannaConfig
from panna_plus.graph import graph_from_atoms

LOG = """\
   Step          Time           Temp          TotEng
         0   0              300           -2000
WARNING: something
         2   0.002          301           -2000.5
Loop time of 0.5 on 2 procs for 2 steps with 4 atoms
"""


def trajectory(energies, step=0.002):
    energies = np.asarray(energies, float)
    return dynamics.Trajectory(step * np.arange(len(energies)), np.full(len(energies), 300.0), energies, 1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small untrained potential in a file: forces are no silicon's, but large."""
    descriptor = MbpConfig(n_radial=4, n_angular=2, n_theta=2, zeta=4.0, angular_cutoff=4.0)
    network = NetworkConfig(hidden=(8,))
    potential = build_potential("panna", PannaConfig(descriptor=descriptor, network=network), ["Si"], seed=3)
    crystal = bulk("Si", "diamond", a=5.478, cubic=True)
    crystal.rattle(0.1, seed=1)
    path = tmp_path_factory.mktemp("model") / "model.pt"
    export_model(potential, path, [graph_from_atoms(crystal, ["Si"], potential.cutoff)])
    return path


def test_protocol_scales_size_and_time():
    assert (dynamics.protocol().n_atoms, dynamics.protocol().nvt_steps, dynamics.protocol().nve_steps) == (
        1000,
        2000,
        5000,
    )
    larger = dynamics.protocol("8")
    assert (larger.n_atoms, larger.nve_steps) == (8000, 40000)
    assert dynamics.protocol("0.1").nve_steps * 0.001 > 1.0


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "large"])
def test_a_scale_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=f"DEMO_SCALE must be a positive number, found '{text}'"):
        dynamics.protocol(text)


def test_log_is_read_per_atom():
    found = dynamics.parse_log(LOG, n_atoms=4)
    assert found.times.tolist() == [0, 0.002]
    assert found.energies.tolist() == [-500, -500.125]
    assert found.speed == 4


def test_log_without_a_run_is_refused():
    with pytest.raises(ValueError, match="no thermodynamic output"):
        dynamics.parse_log("LAMMPS (22 Jul 2025)\n", 4)


def test_drift_is_the_slope_after_the_first_picosecond():
    times = 0.002 * np.arange(1501)
    energies = np.where(times < 1.0, -5.0 + times, -4.0 + 3e-5 * (times - 1.0))
    assert dynamics.drift(trajectory(energies)) == pytest.approx(0.03, rel=1e-9)


def test_noise_ignores_offset_and_slope():
    times = 0.002 * np.arange(1000)
    wave = 1e-5 * np.sin(2 * np.pi * 50 * times)
    assert dynamics.fluctuation(trajectory(-5 + 0.3 * times + wave)) == pytest.approx(1e-2 / np.sqrt(2), rel=1e-3)


def test_ratio_compares_the_same_time():
    times = 0.002 * np.arange(1001)
    wave = np.sin(2 * np.pi * 50 * times)
    # Twice as loud in its second half, which the coarse run does not have.
    fine = trajectory(wave * np.where(times < 1.0, 1.0, 2.0))
    coarse = trajectory(4 * wave[:501])
    results = dynamics.DynamicsResults(dynamics.protocol(), fine, coarse, times, times, 0.0)
    assert results.time_step_ratio == pytest.approx(4.0, rel=0.01)
    assert replace(results, coarse=trajectory(wave[:501])).time_step_ratio == pytest.approx(1.0, rel=0.01)


def test_radial_distribution_counts_neighbors(tmp_path):
    atoms = bulk("Si", "diamond", a=5.4, cubic=True) * (3, 3, 3)
    lines = [f"{k + 1} 1 {x:.10f} {y:.10f} {z:.10f}" for k, (x, y, z) in enumerate(atoms.positions)]
    box = "\n".join(f"0 {length:.10f}" for length in atoms.cell.lengths())
    head = f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n{len(atoms)}\nITEM: BOX BOUNDS pp pp pp\n{box}\n"
    (tmp_path / "a.dump").write_text(head + "ITEM: ATOMS id type x y z\n" + "\n".join(lines) + "\n")
    distances, distribution = dynamics.radial_distribution(tmp_path / "a.dump")
    width = distances[1] - distances[0]
    density = len(atoms) / atoms.get_volume()
    shells = 4 * np.pi * (distances**2 + width**2 / 12) * width * density * distribution
    assert shells[distances < 3.0].sum() == pytest.approx(4)
    assert shells[distances < 4.2].sum() == pytest.approx(16)


def test_decks_know_every_variable_that_the_demo_sets():
    nvt, nve = ((dynamics.DECKS / name).read_text() for name in ("nvt.in", "nve.in"))
    assert {"model", "cells", "steps"} <= set(re.findall(r"^variable\s+(\w+)", nvt, re.M))
    assert {"model", "steps", "timestep", "every", "name"} <= set(re.findall(r"^variable\s+(\w+)", nve, re.M))


@pytest.mark.lammps
def test_both_decks_run_and_agree_with_pytorch(model, tmp_path):
    reference = PannaPlusCalculator(model, backend="torch")
    plan = dynamics.Protocol(cells=2, nvt_steps=5, nve_steps=20)
    results = dynamics.run_dynamics(model, tmp_path / "dynamics", plan, reference)
    last = dynamics.ase.io.read(tmp_path / "dynamics" / "nve.dump", index=-1, format="lammps-dump-text")
    assert np.sqrt((last.get_forces() ** 2).mean()) > 0.1
    assert results.force_mismatch < 5e-5
    assert results.fine.times[-1] == pytest.approx(0.02)
    assert results.coarse.times[-1] == pytest.approx(0.02)


@pytest.mark.lammps
def test_a_failing_deck_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"nvt\.in .*nvt\.log[\s\S]*missing\.pt"):
        dynamics.run_deck("nvt.in", tmp_path, {"model": "missing.pt"}, "nvt.log")
