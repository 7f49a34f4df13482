"""Who takes part: our models, models for cost only, and the potentials that come with LAMMPS."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from speed.cost_models import cutoff_with, random_config, write_random_model, write_uf3
from speed.dynamics import Workbench, potentials_folder

from panna_plus.model_file import read_model
from panna_plus.native.torch_libraries import built_library

ROOT = Path(__file__).resolve().parents[2]
DEMO_MODEL = ROOT / "demo/model.pt"
# Zuo et al., J. Phys. Chem. A 124, 731 (2020): their coefficients come with LAMMPS. Mean absolute errors on the test
# file of mlearn Si, measured with LAMMPS: meV/atom, meV/Å. Models trained on that set compare with them.
MLEARN_ERRORS = {"SNAP": (6.44, 133.0), "qSNAP": (3.81, 116.0)}


@dataclass(frozen=True)
class Contestant:
    """A potential and the LAMMPS commands that choose it.

    Attributes
    ----------
    kind : "model" (trained, ours), "cost" (ours, random weights) or "peer"
    is_held : the potential does not hold the crystal together, springs must
    errors : mean absolute test errors, meV/atom and meV/Å
    model : our model file
    """

    name: str
    kind: str
    commands: list[str]
    n_elements: int = 1
    is_held: bool = False
    n_parameters: int | None = None
    errors: tuple[float, float] | None = None
    note: str = ""
    model: Path | None = None


@dataclass
class Field:
    """Contestants, and the reason for each that is missing."""

    contestants: list[Contestant] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def all_contestants(bench: Workbench, models: list[str], deepmd: Path | None) -> Field:
    """Gather everybody. `models`: "NAME=model.pt" or "model.pt"; none: the model of `make demo`."""
    entrants = Field()
    if not models and DEMO_MODEL.exists():
        models = [f"demo={DEMO_MODEL}"]
    if not models:
        entrants.skipped["demo"] = f"{DEMO_MODEL.relative_to(ROOT)} not found: run `make demo` or name a model file"
    ours = [
        trained(name or Path(path).stem, Path(path).resolve()) for name, _, path in (m.rpartition("=") for m in models)
    ]
    for model in ours:
        entrants.contestants += in_both_precisions(model)
    if ours:
        add_torch_backend(entrants, ours[0])
    for model in cost_only(bench):
        entrants.contestants += in_both_precisions(model)
    add_peers(entrants, bench)
    add_foreign_engines(entrants, deepmd)
    return entrants


def trained(name: str, path: Path) -> Contestant:
    """Return a model of ours with what its card says."""
    card = read_model(path).card
    n_elements = len(card["elements"])
    test = card.get("errors", {}).get("test")
    return Contestant(
        name=name,
        kind="model",
        commands=commands_of(path, card["elements"]),
        n_elements=n_elements,
        is_held="Si" not in card["elements"] or n_elements > 1,
        n_parameters=card["n_parameters"],
        errors=(test["energy"]["mae"], test["forces"]["mae"]) if test and "n_frames" in test else None,
        note=f"cutoff {card['cutoff']:g} Å",
        model=path,
    )


def cost_only(bench: Workbench) -> list[Contestant]:
    """Return the models of stated sizes with random weights."""
    crystal = bench.crystal(5)
    many, few = cutoff_with(50, crystal), cutoff_with(25, crystal)
    case_a = {"n_radial": 24, "n_angular": 8, "n_theta": 8, "radial_cutoff": many, "angular_cutoff": few}
    small = {"n_radial": 12, "n_angular": 4, "n_theta": 6, "radial_cutoff": 4.8, "angular_cutoff": 3.6}
    return [
        random_model(bench, "case A", 1, (128, 64), **case_a),
        random_model(bench, "default size", 1, (64, 64)),
        random_model(bench, "small", 1, (32, 32), **small),
        random_model(bench, "default size, 3 elements", 3, (64, 64)),
    ]


def random_model(
    bench: Workbench, name: str, n_elements: int, hidden: tuple[int, ...], **descriptor: float
) -> Contestant:
    """Write a model with random weights into the workbench's folder and return it as a contestant."""
    path = bench.folder / f"{name.replace(' ', '_').replace(',', '')}.pt"
    write_random_model(path, n_elements, hidden, **descriptor)
    options = random_config(hidden, descriptor).descriptor
    note = (
        f"random weights; {options.n_radial} radial to {options.radial_cutoff:.2f} Å, "
        f"{options.n_angular}x{options.n_theta} angular to {options.angular_cutoff:.2f} Å, "
        f"{'-'.join(map(str, hidden))}-1"
    )
    card = read_model(path).card
    return Contestant(
        name, "cost", commands_of(path, card["elements"]), n_elements, True, card["n_parameters"], note=note, model=path
    )


def commands_of(path: Path, elements: list[str]) -> list[str]:
    return ["pair_style panna_plus precision {precision}", f"pair_coeff * * {path} {' '.join(elements)}"]


def in_both_precisions(contestant: Contestant) -> list[Contestant]:
    """Fill `{precision}` in the commands."""
    return [
        replace(
            contestant,
            name=f"{contestant.name} ({precision})",
            commands=[command.format(precision=precision) for command in contestant.commands],
        )
        for precision in ("mixed", "double")
    ]


def add_torch_backend(entrants: Field, model: Contestant) -> None:
    """Add a model once more, evaluated by the TorchScript part of its file."""
    name = f"{model.name} (torch)"
    if built_library("torchscript") is None:
        entrants.skipped[name] = "its library is not built: panna-plus build"
        return
    commands = [command.format(precision="mixed backend torch") for command in model.commands]
    entrants.contestants.append(replace(model, name=name, commands=commands, errors=None, note="backend torch"))


def add_peers(entrants: Field, bench: Workbench) -> None:
    """Add the potentials that this `lmp` has itself."""
    folder = potentials_folder()
    for name, style, file in (("Stillinger-Weber", "sw", "Si.sw"), ("Tersoff", "tersoff", "Si.tersoff")):
        commands = [f"pair_style {style}", f"pair_coeff * * {folder / file} Si"]
        entrants.contestants.append(Contestant(name, "peer", commands))
    for name, stem in (("SNAP", "Si_Zuo_JPCA2020"), ("qSNAP", "Si_Zuo_JPCA2020.quadratic")):
        coefficients = folder / f"{stem}.snapcoeff"
        lines = [line for line in coefficients.read_text().splitlines() if line and not line.startswith("#")]
        commands = ["pair_style snap", f"pair_coeff * * {coefficients} {folder / stem}.snapparam Si"]
        errors, n_parameters = MLEARN_ERRORS[name], int(lines[0].split()[1])
        entrants.contestants.append(
            Contestant(name, "peer", commands, n_parameters=n_parameters, errors=errors, note="2J=8, 4.9 Å, mlearn Si")
        )
    uf3 = write_uf3(bench.folder / "Si.uf3", cutoff=5.5, leg=4.0, n_pair=24, n_triplet=8)
    entrants.contestants.append(
        Contestant(
            "UF3",
            "peer",
            ["pair_style uf3 3", f"pair_coeff * * {uf3} Si"],
            is_held=True,
            note="coefficients of no meaning, for cost only; pairs to 5.5 Å, legs to 4.0 Å",
        )
    )


def add_foreign_engines(entrants: Field, deepmd: Path | None) -> None:
    """Add DeePMD-kit, where its style is in this `lmp`; say why what is missing is missing."""
    entrants.skipped["NEP"] = "calorine has no LAMMPS style; it is timed by ase_calculator.py where it is installed"
    if deepmd is None:
        entrants.skipped["DeePMD-kit"] = "no model named with --deepmd (needs deepmd-kit[lmp] beside this lmp)"
        return
    commands = [f"pair_style deepmd {deepmd.resolve()}", "pair_coeff * * Si"]
    entrants.contestants.append(Contestant("DeePMD-kit", "peer", commands))
