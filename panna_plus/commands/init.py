"""`panna-plus init`: look at the data, say what is in it, write a configuration made from it."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panna_plus.errors import ConfigError, require

if TYPE_CHECKING:
    from panna_plus.data import DataReport, DataSet

# Å. Where a molecule is too small to fill the wished number of neighbors, the middle values hold.
_RADIAL_CUTOFF = (5.0, 5.2, 5.6)
_ANGULAR_CUTOFF = (3.6, 4.6, 4.6)
_RADIAL_NEIGHBORS = 29
_ANGULAR_NEIGHBORS = 21
_MESSAGE_CUTOFF = (4.0, 5.0, 5.0)
_MESSAGE_NEIGHBORS = 40
# Where a family trains better with other values than the defaults, which suit panna. A step of so3krates costs nearly
# the same for two molecules and for five.
_TRAINING: dict[str, dict[str, Any]] = {
    "so3krates": {"batch_size": 5, "learning_rate": 5e-3, "loss_weights": {"forces": 10.0}}
}
# Neighbors per atom that count as "the first": a few per thousand, so that one odd frame does not decide.
_FIRST_NEIGHBORS = 0.001


def add_parser(subparsers: Any) -> None:
    """Add `init` to the command line."""
    parser = subparsers.add_parser(
        "init",
        help="look at structures and write a commented config.yaml for training",
        description="Read structures with energies, forces or stresses, print what is in them, and write a "
        "configuration made from them. Next: panna-plus train config.yaml",
    )
    parser.add_argument("frames", nargs="+", help="training structures: extended XYZ or anything ASE reads")
    parser.add_argument("-o", "--output", default="config.yaml", help="configuration to write (config.yaml)")
    parser.add_argument("--validation", nargs="+", metavar="FILE", help="validation structures (default: 10 %% drawn)")
    parser.add_argument("--test", nargs="+", metavar="FILE", help="test structures")
    parser.add_argument("--family", default="panna", help="kind of potential (panna)")
    parser.add_argument("--force", action="store_true", help="overwrite the configuration if it exists")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, report, write; return the exit status."""
    from rich.console import Console

    from panna_plus.data import data_report, load_dataset, render

    output = Path(args.output)
    _check_output(output, args.force)
    data = _data_section(args, output.parent)
    dataset = load_dataset(data, seed=0, base_directory=output.parent)
    report = data_report(dataset)
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(render(report))
    output.write_text(configuration_text(args.family, data, dataset, report, str(output)), encoding="utf-8")
    console.print(f"\nWrote {output}. Next: panna-plus train {output}", highlight=False)
    return 0


def configuration_text(family: str, data: Any, dataset: "DataSet", report: "DataReport", name: str) -> str:
    """Return the commented configuration for a data set, after checking that it reads back as it was meant."""
    import yaml

    from panna_plus.commands.commented_yaml import commented_yaml
    from panna_plus.training.config import parse_run_config

    suggestions = {"panna": _panna_section, "so3krates": _so3krates_section}
    model, remarks = suggestions[family](report) if family in suggestions else ({}, {})
    weights, weight_remarks = _loss_weights(report)
    training = _TRAINING.get(family, {})
    content = {
        "family": family,
        "data": _with_findings(data, report).model_dump(mode="json"),
        "model": model,
        "training": {**training, "loss_weights": training.get("loss_weights", {}) | weights},
    }
    config = parse_run_config(content, name)
    text = commented_yaml(config, _header(dataset, report), {**_data_remarks(report), **remarks, **weight_remarks})
    require(
        parse_run_config(yaml.safe_load(text), name) == config,
        ConfigError,
        f"{name}: the configuration does not survive being written as YAML; please report this with your data's keys",
    )
    return text


def _check_output(output: Path, is_forced: bool) -> None:
    require(
        is_forced or not output.exists(),
        ConfigError,
        f"'{output}' exists: give --force to overwrite it, or another name with -o",
    )
    require(output.parent.is_dir(), ConfigError, f"the folder '{output.parent}' does not exist: create it first")


def _data_section(args: argparse.Namespace, folder: Path) -> Any:
    """Return a DataConfig whose relative paths start at the folder of the configuration."""
    from panna_plus.data import DataConfig

    def paths(files):
        shown = [f if os.path.isabs(f) else os.path.relpath(f, folder) for f in files]
        return shown[0] if len(shown) == 1 else shown

    chosen = {"train": args.frames, "validation": args.validation, "test": args.test}
    return DataConfig(**{name: paths(files) for name, files in chosen.items() if files})


def _with_findings(data: Any, report: "DataReport") -> Any:
    """Write down the keys and the source of reference energies that were found, instead of 'auto'."""
    keys = {}
    for label, found in report.keys.items():
        if len(found) == 1:
            key = next(iter(found))
            keys["virial" if "virial" in key else label] = key
    return data.model_copy(
        update={
            "keys": data.keys.model_copy(update=keys),
            "reference_energies": _reference_energy_setting(report),
        }
    )


def _reference_energy_setting(report: "DataReport") -> str:
    from panna_plus.data.reference_energies import FITTED, ISOLATED

    names = {ISOLATED: "isolated_atoms", FITTED: "least_squares"}
    sources = set(report.reference_energies.sources.values())
    return names.get(sources.pop(), "auto") if len(sources) == 1 else "auto"


def _data_remarks(report: "DataReport") -> dict[str, str]:
    values = ", ".join(f"{s} {e:.6f}" for s, e in report.reference_energies.values.items())
    remarks = {"data.reference_energies": f"Found (eV): {values}"}
    for label, found in report.keys.items():
        if not found:
            remarks[f"data.keys.{label}"] = "Not found in these files"
    return remarks


def _loss_weights(report: "DataReport") -> tuple[dict[str, float], dict[str, str]]:
    """Set the weight of a label that no training frame carries to 0."""
    absent = [label for label, n in report.splits[0].n_labels.items() if n == 0]
    remarks = {f"training.loss_weights.{label}": f"Set to 0: no training frame carries {label}" for label in absent}
    return dict.fromkeys(absent, 0.0), remarks


def _panna_section(report: "DataReport") -> tuple[dict[str, Any], dict[str, str]]:
    """Choose cutoffs and first centers of the descriptor from the distances in the data."""
    first = report.pairs.radius_with(_FIRST_NEIGHBORS) or 1.0
    radial_cutoff = _within(report.pairs.radius_with(_RADIAL_NEIGHBORS), _RADIAL_CUTOFF)
    angular_cutoff = min(_within(report.pairs.radius_with(_ANGULAR_NEIGHBORS), _ANGULAR_CUTOFF), radial_cutoff)
    # Default centers suit distances above 1.9 Å; shorter bonds need earlier ones.
    descriptor = {
        "type": "mbp",
        "radial_cutoff": radial_cutoff,
        "radial_start": round(max(0.3, min(1.0, first - 0.4)), 1),
        "angular_cutoff": angular_cutoff,
        "angular_start": round(max(0.5, min(1.6, first - 0.1)), 1),
    }
    prefix = "model.descriptor."
    starts = f"Chosen for shortest distances of about {first:.2f} Å"
    remarks = {f"{prefix}radial_start": starts, f"{prefix}angular_start": starts}
    for kind, cutoff in (("radial", radial_cutoff), ("angular", angular_cutoff)):
        count = report.neighbors_within(cutoff)
        remarks[f"{prefix}{kind}_cutoff"] = f"An atom of these data has {count:.1f} neighbors within it on average"
    return {"descriptor": descriptor}, remarks


def _so3krates_section(report: "DataReport") -> tuple[dict[str, Any], dict[str, str]]:
    """Choose the cutoff of the layers from the density of the data."""
    cutoff = _within(report.pairs.radius_with(_MESSAGE_NEIGHBORS), _MESSAGE_CUTOFF)
    count = report.neighbors_within(cutoff)
    return {"cutoff": cutoff}, {"model.cutoff": f"An atom of these data has {count:.1f} neighbors within it on average"}


def _within(wished: float | None, limits: tuple[float, float, float]) -> float:
    lowest, otherwise, highest = limits
    return round(otherwise if wished is None else min(max(wished, lowest), highest), 1)


def _header(dataset: "DataSet", report: "DataReport") -> str:
    train = report.splits[0]
    labels = ", ".join(f"{label} in {n}" for label, n in train.n_labels.items())
    splits = ", ".join(f"{s.n_frames} {s.name}" for s in report.splits)
    warnings = [f"Warning: {warning}" for warning in report.warnings]
    lines = [
        "Made by panna-plus init from the data; every option stands here with its value. Units are eV and Å.",
        f"Structures: {splits}. Elements: {', '.join(dataset.elements)}.",
        f"Labels of the {train.n_frames} training structures: {labels}.",
        *warnings,
    ]
    return "\n".join(lines)
