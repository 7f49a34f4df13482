"""`panna-plus`: one command with subcommands. Heavy imports happen inside the subcommand that needs them."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from panna_plus import __version__
from panna_plus.commands import build, committee, doctor, evaluate, import_, info, init, lammps_check, train
from panna_plus.errors import PannaPlusError

EXIT_OPERATING_SYSTEM = 6
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args)
    except PannaPlusError as error:
        return failed(error, error.exit_code, args.debug)
    except BrokenPipeError:
        # Whoever read has seen enough, for example `head`; nothing may be written when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return failed(error, EXIT_OPERATING_SYSTEM, args.debug)
    except KeyboardInterrupt:
        print("panna-plus: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def failed(error: Exception, exit_code: int, is_debug: bool) -> int:
    """Say what went wrong; with a traceback only if asked for."""
    if is_debug:
        traceback.print_exception(error)
    print(f"panna-plus: error: {error}", file=sys.stderr)
    return exit_code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = argparse.ArgumentParser(
        prog="panna-plus",
        description="Neural interatomic potentials for ASE and LAMMPS: train, export to one file, simulate.",
        epilog="First steps: panna-plus init frames.xyz, then panna-plus train config.yaml",
    )
    parser.add_argument("--version", action="version", version=f"panna-plus {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (init, train, evaluate, info, committee, import_, doctor, lammps_check, build):
        module.add_parser(subparsers)
    for subparser in subparsers.choices.values():
        subparser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
