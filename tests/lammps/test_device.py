"""`device cuda` finds what `device cpu` finds, ranks are spread over devices, and what cannot be is said in a sentence.

Without a GPU: a copy of the installation with the emulated CUDA library, which the address sanitizer watches; its
devices are those of CUDA_VISIBLE_DEVICES. With one (`-m gpu`): the installation itself.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from panna_plus.families.panna.committee import committee_of
from panna_plus.native.cuda_building import LIBRARY_NAME
from tests.lammps.deck import BIN, MEASURE, REPORT, Deck, Measured, Outcome, finish, launch, read_results, write
from tests.lammps.installation import copied_installation
from tests.lammps.models import REFERENCE_ENERGIES
from tests.lammps.structures import cluster, one_atom, triclinic, with_helium
from tests.lammps.test_messages import flat
from tests.lammps.test_uncertainty import member
from tests.native.c_interface import engine_library
from tests.native.compiled import emulated_library, sanitized
from tests.small_model import write_unchecked

pytestmark = pytest.mark.lammps

# Forces relative to their rms, energies in eV per atom without E0, virials relative to the rms of theirs.
EMULATED_LIMITS = {"mixed": 1e-6, "double": 1e-12}
GPU_LIMITS = {"mixed": 1e-5, "double": 1e-10}
MOVE = ["velocity all create 900 3", "timestep 0.0005", "fix move all nve"]


@dataclass
class Machine:
    """Where decks run: libraries of a copied installation (None: the installed one), and the environment."""

    libraries: dict[str, bytes | Path] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=lambda: EMULATED_LIMITS)

    def prepare(self, deck: Deck, model: str, folder: Path) -> None:
        loading = [] if self.libraries is None else copied_installation(folder, self.libraries)
        write(replace(deck, first_lines=[*loading, *deck.first_lines]), model, folder)

    def run(self, deck: Deck, model: str, folder: Path, ranks: int = 1, **environment: str) -> Outcome:
        self.prepare(deck, model, folder)
        return launch(folder, ranks, {**self.environment, **environment})


@pytest.fixture(scope="module")
def emulated(request: pytest.FixtureRequest) -> Machine:
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile the emulated CUDA library with")
    sanitizer = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    libraries: dict[str, bytes | Path] = {LIBRARY_NAME: emulated_library(sanitized(request.config))}
    # LAMMPS itself is not watched: the sanitizer must be there before it is.
    environment = {"LD_PRELOAD": sanitizer, "ASAN_OPTIONS": "detect_leaks=0", "CUDA_VISIBLE_DEVICES": "0"}
    return Machine(libraries, environment)


@pytest.fixture(scope="module")
def gpu() -> Machine:
    engine = engine_library()
    if engine.panna_plus_cuda_devices() == 0:
        pytest.skip(f"no CUDA device: {engine.panna_plus_last_error().decode()}")
    return Machine(limits=GPU_LIMITS)


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Machine:
    """The one that a test is parametrized with."""
    return request.getfixturevalue(request.param)


def deck(**changes: object) -> Deck:
    return Deck(**{"atoms": triclinic(), "types": ["Si", "O"], **changes})  # type: ignore[arg-type]


def lone(options: str = "device cuda") -> Deck:
    """One atom: evaluated at once."""
    return deck(atoms=one_atom(), options=options)


def check_against_cpu(machine: Machine, other: Deck, model: str, folder: Path, ranks: int) -> None:
    """Run a deck on the device and on the CPU, and compare all that is tallied at the end."""
    run, options, precision = other.run, other.options, other.options.split()[1]
    found = {}
    for device in ("cpu", "cuda"):
        other.options = f"{options} device {device}"
        other.run = [*run, *MEASURE, "run 0", REPORT]
        outcome = machine.run(other, model, folder / device, ranks)
        assert outcome.returncode == 0, outcome.text[-3000:]
        assert f"device {device}" in outcome.text
        found[device] = read_results(other, folder / device)
    compare(found["cuda"], found["cpu"], other, machine.limits[precision])


def compare(found: Measured, expected: Measured, other: Deck, limit: float) -> None:
    rms = np.sqrt((expected.forces**2).mean())
    assert rms > 0.1
    assert abs(found.forces - expected.forces).max() <= 3 * limit * rms
    # Energies are as large as those of all electrons, which are added in double precision.
    n_atoms = len(expected.energies)
    rounding = np.finfo(float).eps * abs(np.array(REFERENCE_ENERGIES)).max()
    assert abs(found.energy - expected.energy) <= n_atoms * (10 * limit + rounding)
    for name in ("virials", "centroid_virials"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert abs(mine - theirs).max() <= 10 * limit * np.sqrt((theirs**2).mean())
    assert abs(found.virial - expected.virial).max() <= 10 * limit * n_atoms * rms


HYBRID = [
    "pair_style hybrid/overlay panna_plus OPTIONS lj/cut 4.0",
    "pair_coeff * * panna_plus MODEL NAMES",
    "pair_coeff * 3 lj/cut 0.01 2.0",
]
# Changes of the deck, its commands, ranks, and whether the test is slow.
SCENES: dict[str, tuple[dict[str, object], list[str], int, bool]] = {
    "mixed": ({"atoms": cluster(), "options": "precision mixed"}, [*MOVE, "run 1"], 1, False),
    "a rank without atoms, newton off": ({"atoms": cluster(), "newton": "off"}, [], 2, False),
    "new, deleted and moved atoms": (
        {"atoms": cluster(), "options": "precision double guard off"},
        [
            *[*MOVE, "region some block 1 7 1 7 1 7"],
            *["fix put all deposit 1 1 1 777 region some near 1.5 attempt 500", "run 1", "unfix put"],
            *["group few id 1:3", "delete_atoms group few", "run 0", "displace_atoms all random 0.2 0.2 0.2 7"],
        ],
        1,
        True,
    ),
    "swapped types": (
        {"atoms": cluster(), "options": "precision double guard off"},
        [*MOVE, "fix swap all atom/swap 2 2 9 5000.0 types 1 2 ke no", "run 3"],
        2,
        True,
    ),
    "types set while the list is kept": ({}, [*MOVE, "run 1", "set atom 1*9 type 2", "run 2 pre no"], 1, True),
    "hybrid with types that are not seen": (
        {"atoms": with_helium(), "types": ["Si", "O", "He"], "names": ["Si", "O", "NULL"], "pair": HYBRID},
        [*MOVE, "run 2"],
        2,
        True,
    ),
    "four ranks, threads": (
        {"first_lines": ["package omp 2"], "options": "precision mixed"},
        [*MOVE, "run 3"],
        4,
        True,
    ),
    "minimization": ({"options": "precision mixed guard off"}, ["minimize 0.0 0.0 2 5"], 2, True),
    "units real": ({"units": "real"}, ["run 0"], 1, True),
    "two files, members asked": (
        {"atoms": cluster(), "pair": ["pair_style panna_plus OPTIONS", "pair_coeff * * MODEL MODEL NAMES"]},
        [*MOVE, "fix u all pair 2 panna_plus force_deviation 1", "run 3"],
        2,
        True,
    ),
}
MACHINES = [pytest.param("emulated", id="emulated"), pytest.param("gpu", id="gpu", marks=pytest.mark.gpu)]
SCENES_AND_TIERS = [
    pytest.param(scene, id=scene, marks=[pytest.mark.slow] if slow else []) for scene, (*_, slow) in SCENES.items()
]


@pytest.mark.parametrize("machine", MACHINES, indirect=True)
@pytest.mark.parametrize("scene", SCENES_AND_TIERS)
def test_device_finds_what_the_cpu_finds(scene: str, machine: Machine, model_path: str, folder: Path) -> None:
    changes, commands, ranks, _ = SCENES[scene]
    check_against_cpu(machine, deck(**{**changes, "run": commands}), model_path, folder, ranks)


ASK = [
    "fix u all pair 1 panna_plus force_deviation 1 extrapolation 1",
    "compute c all pair panna_plus",
    "thermo_style custom step pe c_c[1] c_c[2] c_c[3] c_c[4] c_c[5]",
    "thermo_modify norm no",
    "run 0",
    "print 'asked $(c_c[1]:%.17g) $(c_c[2]:%.17g) $(c_c[3]:%.17g) $(c_c[4]:%.17g) $(c_c[5]:%.17g)'",
    "write_dump all custom u.dump id f_u[1] f_u[2] fx fy fz modify sort id format float %.17g",
]


@pytest.mark.parametrize("machine", MACHINES, indirect=True)
def test_committee_is_asked_on_a_device(machine: Machine, folder: Path) -> None:
    """Two members on two ranks: deviations, energies of the members and extrapolations are those of the CPU."""
    members = [member(seed) for seed in (1, 2)]
    path = str(write_unchecked(committee_of(members, ["1", "2"]), folder / "committee.pt"))
    found = {}
    for device in ("cpu", "cuda"):
        asked = deck(options=f"precision double guard off device {device}", run=ASK)
        (folder / device).mkdir()
        outcome = machine.run(asked, path, folder / device, 2)
        assert outcome.returncode == 0, outcome.text[-2000:]
        line = re.search(r"^asked (.+)$", outcome.text, re.MULTILINE)
        atoms = np.loadtxt(folder / device / "u.dump", skiprows=9)
        assert line
        found[device] = [np.array(line[1].split(), float), *atoms.T[1:]]
    assert found["cpu"][0][0] > 0.1 and np.ptp(found["cpu"][1]) > 0.1
    limit = 100 * machine.limits["double"]
    for mine, theirs in zip(found["cuda"], found["cpu"], strict=True):
        assert abs(mine - theirs).max() <= limit * max(1.0, abs(theirs).max())


def devices_of(text: str) -> list[str]:
    """Return the lines of the table: the last digits of the id of a device, and its ranks."""
    return re.findall(r"node \S+, (cuda:\d+) emulated device \(GPU-[-0]+(\d+)\): (ranks? [\d, ]+)", text)


@pytest.mark.parametrize(
    ("options", "ranks", "expected"),
    [
        ("device auto", 2, [("cuda:0", "4", "rank 0"), ("cuda:1", "7", "rank 1")]),
        ("device cuda", 3, [("cuda:0", "4", "ranks 0, 2"), ("cuda:1", "7", "rank 1")]),
        ("device cuda:1", 2, [("cuda:1", "7", "ranks 0, 1")]),
    ],
)
def test_ranks_are_spread(
    options: str, ranks: int, expected: list, emulated: Machine, model_path: str, folder: Path
) -> None:
    outcome = emulated.run(lone(options), model_path, folder, ranks, CUDA_VISIBLE_DEVICES="4,7")
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert devices_of(outcome.text) == expected
    shared = [len(line[2].split(",")) for line in expected if "ranks" in line[2]]
    warnings = re.findall(r"WARNING: pair_style panna_plus: (\d) ranks share the device cuda:\d", outcome.text)
    assert [int(n) for n in warnings] == shared


# What a rank of a batch system may see: one device of its own, which every process calls 0.
ONE_EACH = 'export CUDA_VISIBLE_DEVICES=$((3 + PMI_RANK)); exec "$0" "$@"'


def test_a_device_of_its_own_for_every_rank_is_not_shared(emulated: Machine, model_path: str, folder: Path) -> None:
    emulated.prepare(lone(), model_path, folder)
    command = [str(BIN / "mpiexec"), "-n", "2", "sh", "-c", ONE_EACH, str(BIN / "lmp"), "-in", "in.lammps"]
    outcome = finish(command, folder, emulated.environment)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert devices_of(outcome.text) == [("cuda:0", "3", "rank 0"), ("cuda:0", "4", "rank 1")]
    assert "share the device" not in outcome.text


def test_partitions_begin_with_different_devices(emulated: Machine, model_path: str, folder: Path) -> None:
    emulated.prepare(lone(), model_path, folder)
    command = [str(BIN / "mpiexec"), "-n", "2", str(BIN / "lmp"), "-partition", "1", "1", "-in", "in.lammps"]
    outcome = finish(command, folder, {**emulated.environment, "CUDA_VISIBLE_DEVICES": "0,1"})
    assert outcome.returncode == 0, outcome.text[-2000:]
    numbers = [devices_of((folder / f"log.lammps.{n}").read_text())[0][0] for n in (0, 1)]
    assert numbers == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        ("device cuda", {"CUDA_VISIBLE_DEVICES": ""}, r"no CUDA device can be used: .*CUDA_VISIBLE_DEVICES, or choose"),
        ("device cuda:1", {}, r"CUDA device 1 does not exist: expected 0 to 0"),
        (
            "device cuda",
            {"PANNA_EMULATED_MEMORY": "20000"},
            r"no \d+ MiB of device memory to be had .* use more devices, or fewer ranks on each "
            r"\(rank \d, step 0, \d+ atoms, \d+ atoms around them, \d+ pairs in the neighbor list\)",
        ),
    ],
)
def test_refusals(
    options: str, environment: dict, message: str, emulated: Machine, model_path: str, folder: Path
) -> None:
    outcome = emulated.run(deck(options=options), model_path, folder, 2, **environment)
    assert outcome.returncode != 0
    assert re.search(rf"ERROR: pair_style panna_plus: .*{message}", flat(outcome.text)), outcome.text[-2000:]


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"CUDA_VISIBLE_DEVICES": ""}, ""),
        ({"PANNA_EMULATED_MEMORY": "9"}, r"not on CUDA: CUDA: no 0 MiB of device memory"),
    ],
)
def test_auto_takes_the_cpu_where_a_device_cannot_be_used(
    environment: dict, reason: str, emulated: Machine, model_path: str, folder: Path
) -> None:
    outcome = emulated.run(lone("guard off"), model_path, folder, 2, **environment)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "backend native, device cpu\n" in outcome.text
    if reason:
        assert re.search(reason, outcome.text)
    else:
        assert "cuda" not in outcome.text.lower().replace("cuda_visible_devices", "")


def test_installation_without_cuda(model_path: str, folder: Path) -> None:
    machine = Machine({})
    assert machine.run(lone("device auto"), model_path, folder / "auto").returncode == 0
    outcome = machine.run(lone("device cuda"), model_path, folder / "cuda", 2)
    assert outcome.returncode != 0
    assert "this installation of panna_plus was built without CUDA" in flat(outcome.text)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"the CUDA part of panna_plus cannot be loaded: \S+libpanna_plus_cuda.so: file too short"),
        ("", r"libpanna_plus_cuda.so' has no function panna_plus_cuda_fingerprint: it belongs to another version"),
        (
            'extern "C" unsigned long panna_plus_cuda_fingerprint() { return 0; }',
            r"libpanna_plus_cuda.so' was built from other sources than the engine that opens it: install again",
        ),
    ],
    ids=["no library", "foreign", "old"],
)
def test_another_cuda_library_is_refused(source: str | None, message: str, model_path: str, folder: Path) -> None:
    """And left alone where nobody asks for a device."""
    library: bytes | Path = b""
    if source is not None:
        if shutil.which("g++") is None:
            pytest.skip("no g++ to compile another CUDA library with")
        library = folder / "other.so"
        command = ["g++", "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library)]
        subprocess.run(command, input=source, text=True, check=True)
    machine = Machine({LIBRARY_NAME: library})
    assert machine.run(lone("device auto"), model_path, folder / "auto").returncode == 0
    outcome = machine.run(lone("device cuda"), model_path, folder / "cuda")
    assert outcome.returncode != 0
    assert re.search(rf"ERROR: pair_style panna_plus: .*{message}", flat(outcome.text)), outcome.text[-2000:]


@pytest.mark.parametrize(("device", "says"), [("cuda:0", True), ("cpu", False)])
def test_restart_on_a_machine_without_a_device(
    device: str, says: bool, emulated: Machine, model_path: str, folder: Path
) -> None:
    """The choice of the CPU is kept, others become `auto`."""
    writing = lone(f"device {device}")
    writing.run = ["run 0", "write_restart system.restart"]
    assert emulated.run(writing, model_path, folder).returncode == 0
    script = folder / "in.lammps"
    loading = [line for line in script.read_text().splitlines() if line.startswith("plugin")]
    script.write_text("\n".join([*loading, "read_restart system.restart", "run 0", ""]))
    for visible, expected in (("", "cpu"), ("0", device.split(":")[0])):
        outcome = launch(folder, 1, {**emulated.environment, "CUDA_VISIBLE_DEVICES": visible})
        assert outcome.returncode == 0, outcome.text[-2000:]
        assert f"backend native, device {expected}\n" in outcome.text
        warned = "was written by a run on CUDA devices, this one continues on the CPU" in flat(outcome.text)
        assert warned == (says and expected == "cpu")
