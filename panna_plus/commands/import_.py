"""`panna-plus import panna FOLDER -o model.pt`: bring a potential of another program into a model file."""

import argparse
import sys
from pathlib import Path
from typing import Any

from panna_plus.errors import ConfigError, require

DEFAULT_EPSILON = 1e-3


def add_parser(subparsers: Any) -> None:
    """Add `import` to the command line, with a command of its own for each format."""
    parser = subparsers.add_parser(
        "import",
        help="bring a potential of another program into a model.pt",
        description="Read a potential of another program and write it as a model file for ASE and LAMMPS.",
    )
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    panna = formats.add_parser("panna", help="a PANNA potential folder: panna.in and weight files")
    panna.add_argument("folder", type=Path, metavar="FOLDER", help="folder that holds panna.in and the weight files")
    panna.add_argument("-o", "--output", type=Path, default=Path("model.pt"), metavar="FILE", help="file to write")
    panna.add_argument(
        "--epsilon",
        type=float,
        metavar="NUMBER",
        help="constant of the angular functions, which the folder does not record: 1e-3 for PANNA 2 (default), "
        "1e-2 for PANNA 1 from January 2020 on, 0 before",
    )
    panna.add_argument("--file", default="panna.in", metavar="NAME", help="name of the text file (%(default)s)")
    panna.add_argument("--force", action="store_true", help="overwrite the output if it exists")
    panna.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Import, write and report; return the exit code."""
    from panna_plus.export import export_model
    from panna_plus.families.panna.import_folder import checking_graphs, import_folder

    require(
        arguments.force or not arguments.output.exists(),
        ConfigError,
        f"'{arguments.output}' exists: choose another name with -o, or overwrite it with --force",
    )
    epsilon = DEFAULT_EPSILON if arguments.epsilon is None else arguments.epsilon
    imported = import_folder(arguments.folder, epsilon, arguments.file)
    provenance = {"imported_from": "PANNA potential folder", "epsilon": epsilon, "gversion": imported.gversion}
    graphs = checking_graphs(imported.potential)
    card = export_model(imported.potential, arguments.output, graphs, {"provenance": provenance})
    for note in imported.notes:
        print(f"warning: {note}", file=sys.stderr)
    if arguments.epsilon is None:
        print(
            f"warning: epsilon = {epsilon:g} assumed, the folder does not record it; a potential trained with PANNA 1 "
            "needs --epsilon 1e-2 (or 0 before January 2020)",
            file=sys.stderr,
        )
    print(
        f"{arguments.output}: {', '.join(card['elements'])}, cutoff {card['cutoff']:g} Å, "
        f"{card['n_parameters']} weights, epsilon {epsilon:g}, gversion {imported.gversion}"
    )
    print("A lone atom has the energy of its network: offsets are part of the last bias in this format.")
    return 0
