"""`backend torch`: libtorch is in the process only then, and what its program does wrong is said in one sentence."""

import io
import re
import shutil
import subprocess
import sys
import warnings  # noqa: F401 (a program below uses it)
from pathlib import Path

import pytest
import torch

from panna_plus.model_file import archive_bytes, read_model
from panna_plus.native.torch_libraries import built_library
from tests.lammps.deck import MEASURE, REPORT, Deck, launch, read_results, run_deck, write
from tests.lammps.installation import copied_installation
from tests.lammps.structures import triclinic
from tests.lammps.test_messages import flat

pytestmark = pytest.mark.lammps


def deck(**changes: object) -> Deck:
    defaults = {"atoms": triclinic(), "types": ["Si", "O"], "options": "precision double backend torch"}
    return Deck(**{**defaults, **changes})  # type: ignore[arg-type]


DRIVER = """
import sys
from pathlib import Path
{first}
import panna_plus.lammps
lmp = panna_plus.lammps.load().lammps(cmdargs=["-screen", "none", "-log", "none"])
for script in sys.argv[1:]:
    lmp.command("clear")
    lmp.file(script)
    print("libtorch" in Path("/proc/self/maps").read_text(), lmp.get_thermo("pe"))
"""


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.parametrize("first", ["", "import torch"])
def test_libtorch_is_loaded_by_the_users_word_only(first: str, model_path: str, folder: Path) -> None:
    """Also after Python has loaded it, whose OpenMP is then the first of two in the process."""
    for name, backend in (("native", "auto"), ("torch", "torch")):
        write(deck(options=f"precision double backend {backend}"), model_path, folder)
        (folder / "in.lammps").rename(folder / f"in.{name}")
    command = [sys.executable, "-c", DRIVER.format(first=first), "in.native", "in.torch"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    mapped, energies = zip(*(line.split() for line in done.stdout.splitlines()[-2:]), strict=True)
    assert mapped == (str(bool(first)), "True")
    assert float(energies[0]) == pytest.approx(float(energies[1]), abs=1e-8)
    assert "Warn" not in done.stderr


@pytest.mark.usefixtures("torch_backend")
def test_restart_keeps_the_backend(model_path: str, folder: Path) -> None:
    assert run_deck(deck(run=["run 0", "write_restart system.restart"]), model_path, folder).returncode == 0
    (folder / "in.lammps").write_text("read_restart system.restart\nrun 0\n")
    outcome = launch(folder, 2)
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "precision double, guard on, backend torch" in outcome.text


def with_library(folder: Path, content: bytes | None) -> list[str]:
    """Return the lines that load a copy of the installation with another TorchScript library, or with none."""
    return copied_installation(folder, {} if content is None else {"libpanna_plus_torchscript.so": content})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            r"there is neither \S+/native/libpanna_plus_torchscript.so nor \S+/cache/panna_plus/libpanna_plus_torch",
        ),
        (b"", r"the panna_plus engine cannot be opened \(\S+libpanna_plus_torchscript.so: file too short\)"),
    ],
)
def test_a_library_that_is_missing_or_broken(
    content: bytes | None, message: str, model_path: str, folder: Path
) -> None:
    """The native engine works without it."""
    lines = with_library(folder, content)
    for backend in ("native", "torch"):
        write(deck(first_lines=lines, options=f"backend {backend}"), model_path, folder)
        outcome = launch(folder, environment={"XDG_CACHE_HOME": str(folder / "cache")})
        assert (outcome.returncode == 0) == (backend == "native"), outcome.text[-2000:]
    assert re.search(message, flat(outcome.text)), outcome.text[-2000:]
    assert "run 'panna-plus build' there, or leave 'backend torch' out" in flat(outcome.text)


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.parametrize("content", [None, b"built for another torch"])
def test_the_library_of_the_users_cache_serves_instead(content: bytes | None, model_path: str, folder: Path) -> None:
    write(deck(first_lines=with_library(folder, content)), model_path, folder)
    (folder / "cache/panna_plus").mkdir(parents=True)
    library = built_library("torchscript")
    assert library is not None
    shutil.copy(library, folder / "cache/panna_plus")
    outcome = launch(folder, environment={"XDG_CACHE_HOME": str(folder / "cache")})
    assert outcome.returncode == 0, outcome.text[-2000:]
    assert "backend torch" in outcome.text


# Bodies of programs that stand in for that of a model file, and what the user is told.
ARGUMENTS = "displacements: Tensor, centers: Tensor, neighbors: Tensor, species: Tensor"
RIGHT = "return torch.zeros(species.shape[0]), torch.zeros_like(displacements)"
PROGRAMS: dict[str, tuple[str, str]] = {
    "raises": (
        f"if species.shape[0] > 0:\n    raise ValueError('out of luck')\n  {RIGHT}",
        r"model.pt': .*out of luck",
    ),
    "adds other shapes": (
        "return torch.zeros(species.shape[0]), displacements + species",
        r"model.pt': .*The size of tensor a \(3\) must match the size of tensor b \(\d+\) at non-singleton dimension 1",
    ),
    "one result": ("return species", r"model.pt' does not return energies and gradients: export the model again"),
    "wrong shape": (
        "return torch.zeros(species.shape[0]), displacements.t()",
        r"model.pt' returned gradients of another shape than its inputs ask for: export the model again",
    ),
    "not a number": (
        "return torch.zeros(species.shape[0]) / 0.0, torch.zeros_like(displacements)",
        r"the energy of atom row \d+ is not finite: its surroundings are far outside the training data",
    ),
}


def with_program(model_path: str, body: str, path: Path, name: str = "forward") -> None:
    """Write the card and weights of a model file with another program."""
    # A class of its own: programs of one class share their methods.
    program = torch.jit.script(type("Program", (torch.nn.Module,), {})())
    program.define(f"def {name}(self, {ARGUMENTS}):\n  {body}\n")
    buffer = io.BytesIO()
    torch.jit.save(program, buffer)
    model = read_model(model_path)
    path.write_bytes(archive_bytes(buffer.getvalue(), model.card, model.arrays))


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("case", PROGRAMS)
def test_faults_of_a_program(case: str, model_path: str, folder: Path) -> None:
    body, message = PROGRAMS[case]
    with_program(model_path, body, folder / "model.pt")
    outcome = run_deck(deck(), "model.pt", folder, 2)
    assert outcome.returncode != 0
    assert re.search(rf"ERROR: pair_style panna_plus: .*{message} \(rank \d, step 0", flat(outcome.text)), outcome.text
    assert "frame #" not in outcome.text


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_of_another_name_is_refused_at_once(model_path: str, folder: Path) -> None:
    with_program(model_path, RIGHT, folder / "model.pt", name="evaluate")
    outcome = run_deck(deck(), "model.pt", folder)
    assert outcome.returncode != 0
    assert re.search(r"the TorchScript part of model file 'model.pt': .*'forward' is not defined", flat(outcome.text))
    assert "frame #" not in outcome.text


@pytest.mark.usefixtures("torch_backend")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_only_backend_torch_runs_the_program_and_its_warnings_stay_inside(model_path: str, folder: Path) -> None:
    with_program(model_path, f"warnings.warn('mind the gap')\n  {RIGHT}", folder / "model.pt")
    forces = []
    for backend in ("native", "torch"):
        other = deck(options=f"precision double backend {backend}", run=[*MEASURE, "run 0", REPORT])
        outcome = run_deck(other, "model.pt", folder)
        assert outcome.returncode == 0, outcome.text[-2000:]
        assert "mind the gap" not in outcome.text
        forces.append(abs(read_results(other, folder).forces).max())
    assert forces[0] > 0.1
    assert forces[1] == 0.0
