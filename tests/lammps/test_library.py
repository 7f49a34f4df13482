"""LAMMPS as a library: several objects, several models and a part of the processes, in processes of their own."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from panna_plus.potential import Potential
from tests.lammps import reference
from tests.lammps.deck import BIN, Deck, finish, write
from tests.lammps.models import TestModel
from tests.lammps.structures import triclinic

pytestmark = pytest.mark.lammps

# Two LAMMPS objects that take turns, with different options.
TWO_OBJECTS = """
import json, sys
import panna_plus.lammps
module = panna_plus.lammps.load()
quiet = ["-screen", "none", "-log", "none"]
first, second = module.lammps(cmdargs=quiet), module.lammps(cmdargs=quiet)
for lmp, precision in ((first, "double"), (second, "mixed")):
    for line in open("in.lammps"):
        lmp.command(line.replace("precision double", f"precision {precision}").strip())
energies = [lmp.get_thermo("pe") for lmp in (first, second)]
first.command("run 0")
energies.append(first.get_thermo("pe"))
second.command("clear")
first.command("run 0")
energies.append(first.get_thermo("pe"))
scale = first.extract_pair("scale")
print(json.dumps({"energies": energies, "cutoff": first.extract_pair("cutoff"),
                  "scale": [list(row)[1:] for row in scale][1:], "absent": first.extract_pair_dimension("epsilon")}))
"""

# Ranks 0 and 2 of three run LAMMPS; rank 1 has other things to do, and waits only at the end.
PART_OF_THE_RANKS = """
import ctypes, os, sys
import panna_plus.lammps
module = panna_plus.lammps.load()
mpi = ctypes.CDLL(str(panna_plus.lammps.mpi_library()), ctypes.RTLD_GLOBAL)
mpi.MPI_Init(None, None)
world, rank, part = 0x44000000, ctypes.c_int(), ctypes.c_int()  # MPI_COMM_WORLD of MPICH
mpi.MPI_Comm_rank(world, ctypes.byref(rank))
mpi.MPI_Comm_split(world, rank.value % 2, rank.value, ctypes.byref(part))
if rank.value != 1:
    words = [b"lammps", b"-screen", b"none", b"-log", b"none"]
    library = ctypes.CDLL(os.path.join(os.path.dirname(module.__file__), "liblammps.so"), ctypes.RTLD_GLOBAL)
    library.lammps_open.restype, library.lammps_get_thermo.restype = ctypes.c_void_p, ctypes.c_double
    lmp = ctypes.c_void_p(library.lammps_open(len(words), (ctypes.c_char_p * len(words))(*words), part, None))
    library.lammps_file(lmp, b"in.lammps")
    energy, size = library.lammps_get_thermo(lmp, b"pe"), library.lammps_extract_setting(lmp, b"world_size")
    library.lammps_close(lmp)
    if rank.value == 0:
        print(f"energy {energy:.17g} on {size}")
mpi.MPI_Barrier(world)
mpi.MPI_Finalize()
"""

# Twenty simulations in a row; the resident memory (kB) before each of them is printed.
MANY_RUNS = """
import json
import panna_plus.lammps
lmp = panna_plus.lammps.load().lammps(cmdargs=["-screen", "none", "-log", "none"])
def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
used = []
for _ in range(20):
    used.append(resident())
    lmp.file("in.lammps")
    lmp.command("fix move all nve")
    lmp.command("run 100")
    lmp.command("clear")
used.append(resident())
print(json.dumps(used))
"""

# What becomes of each command of a list, for hosts that catch what LAMMPS throws and go on.
CATCHING = """
import json
import panna_plus.lammps
lmp = panna_plus.lammps.load().lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.file("in.lammps")
said = []
for command in json.load(open("commands.json")):
    try:
        lmp.command(command)
        said.append("")
    except Exception as error:
        said.append(str(error))
print(json.dumps({"said": said, "energy": lmp.get_thermo("pe")}))
"""
HYBRID = [
    "pair_style hybrid/overlay panna_plus OPTIONS zero 3.0",
    "pair_coeff * * zero",
    "pair_coeff * * panna_plus MODEL NAMES",
]


def deck() -> Deck:
    return Deck(atoms=triclinic(), types=["Si", "O"], options="precision double guard off")


def test_two_objects_do_not_share_their_state(model_path: str, potential: Potential, folder: Path) -> None:
    write(deck(), model_path, folder)
    done = subprocess.run([sys.executable, "-c", TWO_OBJECTS], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    first, second, *again = found["energies"]
    expected = reference.of_model(potential, triclinic()).energies.sum()
    assert abs(first - expected) < 1e-8
    assert 1e-8 < abs(second - expected) < 1e-3, "the second object is not in mixed precision"
    np.testing.assert_allclose(again, first, rtol=0, atol=1e-9)
    assert found["cutoff"] == pytest.approx(potential.cutoff, abs=1e-12)
    assert found["scale"] == [[1.0, 1.0], [1.0, 1.0]]
    assert found["absent"] is None


@pytest.mark.parametrize(
    ("pair", "coeff", "without"),
    [(None, "pair_coeff * *", "All pair coeffs are not set"),
     (HYBRID, "pair_coeff * * panna_plus", "there is no model: write pair_coeff * * model.pt El1 El2")],
    ids=["alone", "hybrid"],
)  # fmt: skip
def test_a_host_that_goes_on_after_a_refusal_has_no_model(
    pair: list[str] | None, coeff: str, without: str, model_path: str, potential: Potential, folder: Path
) -> None:
    """Nothing is computed with a part of what was there before, and the right line sets everything."""
    write(replace(deck(), pair=pair), model_path, folder)
    refused = {"absent.pt Si O": "cannot be opened", f"{model_path} Si Ge": "is not in the model"}
    commands = [line for words in refused for line in (f"{coeff} {words}", "run 0")]
    commands += [f"{coeff} {model_path} Si O", "run 0"]
    (folder / "commands.json").write_text(json.dumps(commands))
    done = subprocess.run([sys.executable, "-c", CATCHING], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = [text for reason in refused.values() for text in (reason, without)]
    assert all(text in said for text, said in zip(expected, found["said"], strict=False)), found["said"]
    assert found["said"][len(expected) :] == ["", ""]
    assert abs(found["energy"] - reference.of_model(potential, triclinic()).energies.sum()) < 1e-8


def test_a_part_of_the_ranks_is_enough(model_path: str, potential: Potential, folder: Path) -> None:
    """Whatever is collective stays within the communicator that LAMMPS was given: else this hangs."""
    write(deck(), model_path, folder)
    outcome = finish([str(BIN / "mpiexec"), "-n", "3", sys.executable, "-c", PART_OF_THE_RANKS], folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    energy, size = re.findall(r"energy (\S+) on (\d)", outcome.text)[0]
    assert size == "2"
    assert abs(float(energy) - reference.of_model(potential, triclinic()).energies.sum()) < 1e-8


@pytest.mark.parametrize("name", ["panna", pytest.param("charges", marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_number_of_runs(
    name: str, models: Callable[[str], TestModel], folder: Path
) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc to read the memory of a process from")
    write(deck(), models(name).path, folder)
    outcome = finish([sys.executable, "-c", MANY_RUNS], folder)
    assert outcome.returncode == 0, outcome.text[-2000:]
    used = json.loads(outcome.text.splitlines()[-1])
    assert used[1] - used[0] > 1000, "the first run loads the engine: is this the memory of the process?"
    assert used[-1] - used[1] < 5000
