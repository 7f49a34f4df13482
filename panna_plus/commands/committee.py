"""`panna-plus committee A.pt B.pt ... -o C.pt`: merge models into one file that knows how far they disagree."""

import argparse
from pathlib import Path
from typing import Any

from panna_plus.commands.import_ import add_output, graphs_for, print_engine_errors, refuse_to_overwrite, summary


def add_parser(subparsers: Any) -> None:
    """Add `committee` to the command line."""
    parser = subparsers.add_parser(
        "committee",
        help="merge panna models into one model.pt that tells how far they disagree",
        description="Merge panna models with equal descriptors, for example of several seeds, into one file. Its "
        "energy and forces are the mean of the members'; on request it gives their energies and forces as well, for "
        "the price of one descriptor. Models that differ in more need no merging: give them as several files.",
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model files, at least two")
    add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Merge, write and report; return the exit code."""
    from panna_plus.errors import ModelFileError, require
    from panna_plus.export import export_model
    from panna_plus.families import potential_from_model
    from panna_plus.families.panna.committee import AS_FILES, committee_of
    from panna_plus.model_file import read_model

    refuse_to_overwrite(arguments)
    files = [read_model(path) for path in arguments.models]
    for file in files:
        family = file.card["family"]
        require(
            family == "panna",
            ModelFileError,
            f"'{file.path}' is of the family {family}: merged committees are of panna models; {AS_FILES}",
        )
    potentials: list[Any] = [potential_from_model(file.card, file.arrays) for file in files]
    committee = committee_of(potentials, [file.path for file in files])
    members = [member for file in files for member in members_of(file.card, Path(file.path).name)]
    card = export_model(committee, arguments.output, graphs_for(arguments, committee), {"members": members})
    print(f"{summary(arguments.output, card)}, a committee of {committee.n_members}")
    print_engine_errors(card)
    if committee.statistics is None:
        print("It cannot tell how far atoms are from the training data: some members hold no statistics of theirs.")
    return 0


def members_of(card: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return what a committee's card says of a model: of its members if it is a committee itself."""
    if "members" in card:
        return card["members"]
    kept: dict[str, Any] = {
        key: card[key] for key in ("weights_sha256", "n_parameters", "errors", "provenance") if key in card
    }
    return [{"file": name, **kept}]
