"""The driver of benchmarks/speed/gpu on the CPU: its dynamics and its neighbor lists."""

import json
import shutil
import subprocess
from pathlib import Path

import ase.io
import numpy as np
import pytest
import vesin
from speed.gpu.models import DENSITY, timed_models
from speed.gpu.native_build import HERE, Build, Builder
from speed.gpu.profile_driver import bound

from panna_plus import PannaPlusCalculator
from panna_plus.native.library import is_built, library_path

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the driver with"),
    pytest.mark.skipif(not is_built(), reason="the native engine was not built"),
]
SILICON = HERE / "silicon.pt"


@pytest.fixture(scope="module")
def driver(request) -> Path:
    # Kept between runs, so that only what changed is compiled again.
    build = Build(Path(request.config.cache.mkdir("gpu_benchmark_driver")), is_emulated=True)
    shutil.copy(library_path(), build.engine)
    Builder(build, print).driver()
    return build.driver


def drive(driver: Path, *options: object) -> dict:
    done = subprocess.run([str(word) for word in (driver, *options)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_energy_is_conserved(driver):
    """Velocity Verlet: fluctuations go with the square of the time step, lists are made anew on the way."""
    noise = []
    for timestep, steps in ((1e-3, 200), (5e-4, 400)):
        how = ("--precision", "double", "--warmup", 100, "--steps", steps, "--timestep", timestep)
        found = drive(driver, SILICON, "--cells", 2, 2, 2, *how)
        assert found["force_rms"] > 0.1
        assert found["rebuilds"] >= 3
        assert 500 < found["temperature_K"] < 1600
        assert abs(found["energy_drift_meV_per_atom_and_ps"]) < 0.1
        noise.append(found["energy_noise_meV_per_atom"])
    assert noise[0] < 0.05
    assert 2 < noise[0] / noise[1] < 8


def test_springs_take_part_in_the_energy(driver):
    how = ("--precision", "double", "--warmup", 50, "--steps", 100, "--timestep", 5e-4, "--spring", 6)
    found = drive(driver, SILICON, "--cells", 2, 2, 2, *how)
    # Their energy changes by tens of meV per atom.
    assert abs(found["energy_drift_meV_per_atom_and_ps"]) < 1 and found["energy_noise_meV_per_atom"] < 0.05


# The first box is hardly longer than the cutoff: atoms have several images, also of themselves.
@pytest.mark.parametrize(("cells", "threads"), [((1, 1, 1), 1), ((1, 2, 3), 1), ((2, 2, 2), 3)])
def test_forces_are_those_of_the_calculator(driver, tmp_path, cells, threads):
    file = tmp_path / "last.xyz"
    how = ("--precision", "double", "--threads", threads, "--steps", 20, "--skin", 0.3)
    found = drive(driver, SILICON, "--cells", *cells, *how, "--write", file)
    assert found["rebuilds"] < 20
    atoms = ase.io.read(file)
    forces, energy = atoms.get_forces(), atoms.get_potential_energy()
    assert np.sqrt(np.mean(forces**2)) > 0.1
    atoms.calc = PannaPlusCalculator(SILICON, dtype="float64", device="cpu", backend="native")
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-9)
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-8)


@pytest.mark.parametrize("cells", [(1, 1, 1), (4, 2, 3)])
def test_lists_hold_what_vesin_finds(driver, tmp_path, cells):
    # Without a skin the list is made anew in every step.
    file = tmp_path / "last.xyz"
    found = drive(driver, SILICON, "--cells", *cells, "--skin", 0, "--steps", 2, "--warmup", 0, "--write", file)
    assert found["rebuilds"] == 2
    atoms = ase.io.read(file)
    pairs = vesin.NeighborList(cutoff=5.2, full_list=True).compute(atoms.positions, atoms.cell.array, True, "i")[0]
    assert found["listed_pairs"] == len(pairs)


def test_models_have_the_neighbors_that_they_are_named_for(driver, tmp_path):
    models = {model.name: model for model in timed_models(tmp_path)}
    assert set(models) == {"case A", "mlearn", "mlearn small", "silicon"}
    options = ("--skin", 0, "--steps", 2, "--cells", 4, 4, 4, "--check")
    for name, model in models.items():
        found = drive(driver, model.path, *options, "--spring", model.spring)
        assert found["force_rms"] > 0.1, f"{name}: forces too small to tell"
        assert found["force_difference"] < 1e-5 and found["one_core_us"] > 0
        # Nothing but neighbors inside the cutoff.
        expected = 50 if name == "case A" else DENSITY * 4 / 3 * np.pi * model.cutoff**3
        assert found["listed_pairs"] / found["atoms"] == pytest.approx(expected, rel=0.03 if name == "case A" else 0.2)


def test_driver_as_a_function(driver, capfd):
    library = str(driver.with_name("libdriver.so"))
    drive = bound(library, [str(SILICON), "--cells", "1", "1", "1", "--steps", "2"])
    assert drive() == 0
    assert drive() == 0
    one, other = (json.loads(line) for line in capfd.readouterr().out.splitlines())
    assert one["atoms"] == 8 and one["force_rms"] == other["force_rms"]
    assert bound(library, ["--nonsense"])() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "no model file named"),
        (["--stpes", "3"], "unknown option '--stpes'"),
        (["--steps", "many"], "--steps takes a number of at least 1"),
        (["--steps"], "--steps takes a value"),
        (["--precision", "half"], "--precision must be mixed or double"),
        (["--device", "gpu"], 'must be "cpu", "cuda"'),
    ],
)
def test_wrong_options_are_explained(driver, options, message):
    model = [SILICON] if options else []
    done = subprocess.run([driver, *model, *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr
