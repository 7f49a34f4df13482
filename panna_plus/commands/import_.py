"""`panna-plus import FORMAT FOLDER -o model.pt`: bring a potential of another program into a model file."""

import argparse
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panna_plus.commands.info import engine_rows
from panna_plus.errors import ConfigError, require

if TYPE_CHECKING:
    from panna_plus.graph import AtomicGraph
    from panna_plus.potential import Potential

DEFAULT_EPSILON = 1e-3
N_FRAMES = 4
SO3LR_CITATION = [
    "Kabylda, Frank, Suárez-Dou, Khabibrakhmanov, Medrano Sandonas, Unke, Chmiela, Müller and Tkatchenko, Molecular "
    "Simulations with a Pretrained Neural Network and Universal Pairwise Force Fields, J. Am. Chem. Soc. (2025)",
    "Frank, Unke, Müller and Chmiela, A Euclidean transformer for fast and stable machine learned force fields, "
    "Nat. Commun. 15, 6539 (2024)",
]


def add_parser(subparsers: Any) -> None:
    """Add `import` to the command line, with a command of its own for each format."""
    parser = subparsers.add_parser(
        "import",
        help="bring a potential of another program into a model.pt",
        description="Read a potential of another program and write it as a model file for ASE and LAMMPS.",
    )
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    add_panna(formats)
    add_so3lr(formats)


def add_panna(formats: Any) -> None:
    """Add `import panna`."""
    panna = formats.add_parser("panna", help="a PANNA potential folder: panna.in and weight files")
    panna.add_argument("folder", type=Path, metavar="FOLDER", help="folder that holds panna.in and the weight files")
    add_output(panna)
    panna.add_argument(
        "--epsilon",
        type=float,
        metavar="NUMBER",
        help="constant of the angular functions, which the folder does not record: 1e-3 for PANNA 2 (default), "
        "1e-2 for PANNA 1 from January 2020 on, 0 before",
    )
    panna.add_argument("--file", default="panna.in", metavar="NAME", help="name of the text file (%(default)s)")
    panna.set_defaults(run=run_panna)


def add_so3lr(formats: Any) -> None:
    """Add `import so3lr`."""
    so3lr = formats.add_parser("so3lr", help="an SO3LR checkpoint: hyperparameters.json and params.npz or params.pkl")
    so3lr.add_argument("folder", type=Path, metavar="FOLDER", help="folder of the checkpoint; no code in it is run")
    add_output(so3lr)
    so3lr.add_argument(
        "--lr-cutoff",
        type=float,
        default=12.0,
        metavar="NUMBER",
        help="Å, where electrostatics and dispersion end, which a checkpoint does not say (%(default)s)",
    )
    so3lr.add_argument(
        "--damping",
        type=float,
        default=2.0,
        metavar="NUMBER",
        help="Å before that cutoff over which dispersion is switched off (%(default)s)",
    )
    so3lr.set_defaults(run=run_so3lr)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add what names the file to write."""
    parser.add_argument("-o", "--output", type=Path, default=Path("model.pt"), metavar="FILE", help="file to write")
    parser.add_argument("--force", action="store_true", help="overwrite the output if it exists")
    parser.add_argument(
        "--frames",
        metavar="FILE",
        help=f"structures whose first {N_FRAMES} say how exact the file and the native engine are (default: random "
        "clusters)",
    )


def refuse_to_overwrite(arguments: argparse.Namespace) -> None:
    """Raise ConfigError if the output exists and nobody said that it may go."""
    require(
        arguments.force or not arguments.output.exists(),
        ConfigError,
        f"'{arguments.output}' exists: choose another name with -o, or overwrite it with --force",
    )


def summary(path: Path, card: dict[str, Any]) -> str:
    """Return what was written, in a line."""
    return f"{path}: {', '.join(card['elements'])}, cutoff {card['cutoff']:g} Å, {card['n_parameters']} weights"


def graphs_for(arguments: argparse.Namespace, potential: "Potential") -> "list[AtomicGraph]":
    """Return the graphs on which the written file is compared with the potential."""
    from panna_plus.data.files import read_atoms
    from panna_plus.export import checking_graphs
    from panna_plus.graph import graph_from_atoms

    if arguments.frames is None:
        return checking_graphs(potential)
    frames = islice(read_atoms(arguments.frames), N_FRAMES)
    return [graph_from_atoms(atoms, potential.elements, potential.cutoff) for atoms in frames]


def print_engine_errors(card: dict[str, Any]) -> None:
    """Say how far the native engine is from the exact model."""
    for name, text in engine_rows(card):
        print(f"{name}: {text}")


def run_so3lr(arguments: argparse.Namespace) -> int:
    """Import an SO3LR checkpoint, write and report; return the exit code."""
    from panna_plus.export import export_model
    from panna_plus.families.so3krates.import_so3lr import import_folder

    refuse_to_overwrite(arguments)
    potential = import_folder(arguments.folder, arguments.lr_cutoff, arguments.damping)
    extras = {"provenance": {"imported_from": "SO3LR checkpoint"}, "citation": SO3LR_CITATION}
    card = export_model(potential, arguments.output, graphs_for(arguments, potential), extras)
    print(f"{summary(arguments.output, card)}, long range to {arguments.lr_cutoff:g} Å")
    print_engine_errors(card)
    print("A lone atom has the energy of its network: only differences of energies mean something in this model.")
    return 0


def run_panna(arguments: argparse.Namespace) -> int:
    """Import a PANNA folder, write and report; return the exit code."""
    from panna_plus.export import export_model
    from panna_plus.families.panna.import_folder import import_folder

    refuse_to_overwrite(arguments)
    epsilon = DEFAULT_EPSILON if arguments.epsilon is None else arguments.epsilon
    imported = import_folder(arguments.folder, epsilon, arguments.file)
    provenance = {"imported_from": "PANNA potential folder", "epsilon": epsilon, "gversion": imported.gversion}
    graphs = graphs_for(arguments, imported.potential)
    card = export_model(imported.potential, arguments.output, graphs, {"provenance": provenance})
    for note in imported.notes:
        print(f"warning: {note}", file=sys.stderr)
    if arguments.epsilon is None:
        print(
            f"warning: epsilon = {epsilon:g} assumed, the folder does not record it; a potential trained with PANNA 1 "
            "needs --epsilon 1e-2 (or 0 before January 2020)",
            file=sys.stderr,
        )
    print(f"{summary(arguments.output, card)}, epsilon {epsilon:g}, gversion {imported.gversion}")
    print_engine_errors(card)
    print("A lone atom has the energy of its network: offsets are part of the last bias in this format.")
    return 0
