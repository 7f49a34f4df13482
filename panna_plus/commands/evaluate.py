"""`panna-plus evaluate model.pt frames.xyz`: error tables, parity plot, and the frames with the model's results."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panna_plus.errors import ConfigError, DataError, require

if TYPE_CHECKING:
    from ase import Atoms

    from panna_plus.data import Frame, LabelKeys
    from panna_plus.training.metrics import FrameResult

PREFIX = "MODEL_"


def add_parser(subparsers: Any) -> None:
    """Add `evaluate` to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare a model with labelled structures, or compute structures",
        description="Compute structures with a model. Where they carry labels, print error tables and draw parity "
        "plots; with -o, write them back with MODEL_energy, MODEL_forces and MODEL_stress beside all that they had.",
    )
    parser.add_argument("model", help="model file")
    parser.add_argument("frames", nargs="+", help="structures: extended XYZ or anything ASE reads")
    parser.add_argument("-o", "--output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace the output file if it exists")
    parser.add_argument("--plot", metavar="FILE", help="parity plot to write, or none (default: NAME_parity.png)")
    parser.add_argument("--errors", type=Path, metavar="FILE", help="write the error tables as JSON")
    parser.add_argument(
        "--key", action="append", default=[], metavar="LABEL=KEY", help="name of a label, e.g. energy=dft_energy"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N or auto (cpu)")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="precision of the networks")
    parser.add_argument(
        "--backend",
        choices=("auto", "native", "torch"),
        default="auto",
        help="compiled operators, the PyTorch reference, or the faster that works here (auto)",
    )
    parser.add_argument("--batch-atoms", type=int, default=128, help="atoms evaluated at a time (128)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, write; return the exit code."""
    import torch

    from panna_plus.commands.display import Display
    from panna_plus.families import load_potential
    from panna_plus.neighbors import total_charge, unpaired_electrons
    from panna_plus.training.backend import select_backend
    from panna_plus.training.evaluation import evaluate_frames
    from panna_plus.training.run import resolved_device

    check_output(args)
    device = resolved_device(args.device)
    potential, card = load_potential(args.model, getattr(torch, args.dtype), device)
    atoms, frames = read_labelled(args.frames, label_keys(args.key))
    check_elements(frames, potential.elements)
    potential.check(*(torch.tensor([read(a) for a in atoms]) for read in (total_charge, unpaired_electrons)))
    display = Display()
    select_backend(potential, args.backend, display.say)
    with display.counting_frames() as on_progress:
        results = evaluate_frames(potential, frames, device, args.batch_atoms, on_progress(""))
    report_errors(args, results, card["reference_energies"], display)
    if args.output:
        write_predictions(args.output, atoms, results)
        display.say(
            f"wrote {args.output}: {len(results)} frames with {PREFIX}energy, {PREFIX}forces and, with a cell, "
            f"{PREFIX}stress"
        )
    return 0


def check_output(args: argparse.Namespace) -> None:
    """Refuse to write over an input, and over an existing file unless told to."""
    require(args.batch_atoms > 0, ConfigError, f"--batch-atoms must be positive, found {args.batch_atoms}")
    if args.output is None:
        return
    inputs = {Path(f).resolve() for f in args.frames}
    require(args.output.resolve() not in inputs, ConfigError, f"the output '{args.output}' is one of the inputs")
    require(
        args.overwrite or not args.output.exists(),
        ConfigError,
        f"'{args.output}' exists: give --overwrite to replace it, or another name with -o",
    )
    require(args.output.parent.is_dir(), ConfigError, f"the folder '{args.output.parent}' does not exist")


def label_keys(assignments: Sequence[str]) -> "LabelKeys":
    """Return the label names given as LABEL=KEY."""
    from panna_plus.config import parse
    from panna_plus.data import LabelKeys

    for text in assignments:
        require("=" in text, ConfigError, f"--key expects LABEL=KEY, found '{text}'")
    return parse(LabelKeys, dict(text.split("=", 1) for text in assignments), "--key")


def read_labelled(paths: Sequence[str], keys: "LabelKeys") -> tuple[list["Atoms"], list["Frame"]]:
    """Return the structures as ASE reads them, with all they carry, and as labelled frames."""
    from panna_plus.data.files import read_atoms
    from panna_plus.data.reading import frame_from_atoms

    atoms, frames = [], []
    for path in paths:
        for number, one in enumerate(read_atoms(path)):
            atoms.append(one)
            frames.append(frame_from_atoms(one, keys, f"{path} frame {number}"))
    return atoms, frames


def check_elements(frames: Sequence["Frame"], elements: Sequence[str]) -> None:
    """Name the first frame with an element that the model does not know."""
    for frame in frames:
        unknown = frame.unknown_elements(elements)
        require(
            not unknown,
            DataError,
            f"{frame.source} (counted from 0) holds {', '.join(unknown)}; the model knows {', '.join(elements)}: "
            "remove the frame or use a model trained on these elements",
        )


def report_errors(
    args: argparse.Namespace, results: Sequence["FrameResult"], reference_energies: dict[str, float], display: Any
) -> None:
    """Print the error table and draw the parity plot, as far as there are labels."""
    from panna_plus.training import figures
    from panna_plus.training.metrics import error_table
    from panna_plus.training.report import errors_json
    from panna_plus.training.run_directory import write_text

    counted = [r for r in results if not r.frame.is_isolated_atom]
    name = Path(args.frames[0]).name.split(".")[0]
    tables = {name: error_table(counted).as_dict()}
    if not tables[name]["all"]:
        display.say(f"{len(results)} frames, none with a label: no errors to show")
        return
    n_apart = len(results) - len(counted)
    if n_apart:
        display.say(f"{n_apart} isolated atom(s) do not count in the errors")
    display.tables(tables)
    if args.errors:
        write_text(args.errors, errors_json(tables))
    if args.plot != "none":
        plot = Path(args.plot or f"{name}_parity.png")
        figures.write_figure(figures.parity({name: counted}, reference_energies), plot)
        display.say(f"wrote {plot}")


def write_predictions(path: Path, atoms: Sequence["Atoms"], results: Sequence["FrameResult"]) -> None:
    """Write the structures with the results under a prefix; what they carried stays as it was."""
    import ase.io

    from panna_plus.model_file import write_atomically

    for one, result in zip(atoms, results, strict=True):
        one.info[f"{PREFIX}energy"] = result.energy
        one.arrays[f"{PREFIX}forces"] = result.forces
        one.info.pop(f"{PREFIX}stress", None)
        if result.stress is not None:
            one.info[f"{PREFIX}stress"] = result.stress.ravel()
    buffer = io.StringIO()
    ase.io.write(buffer, list(atoms), format="extxyz")
    write_atomically(path, buffer.getvalue().encode("utf-8"))
