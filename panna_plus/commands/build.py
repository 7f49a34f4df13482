"""`panna-plus build`: compile what belongs to the installed torch, where the installation could not."""

import argparse
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `build` to the command line."""
    parser = subparsers.add_parser(
        "build",
        help="compile the libraries that belong to the installed torch",
        description="Compile what is not there yet for the installed torch: the operators that make training fast "
        "(training builds them itself at its first use), and the library of `backend torch` in LAMMPS. Needed after an "
        "installation without torch, and after torch was replaced. Takes about half a minute.",
    )
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace) -> int:
    """Build what is missing and name the files; return the exit code."""
    from panna_plus.native.building import TORCH_LIBRARIES
    from panna_plus.native.torch_libraries import ensure_built

    for name in TORCH_LIBRARIES:
        print(ensure_built(name, lambda text: print(text, file=sys.stderr)))
    return 0
