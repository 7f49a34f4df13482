"""`panna-plus lammps-check model.pt structure.xyz`: do LAMMPS and ASE compute the same?"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panna_plus.errors import ConfigError, require

if TYPE_CHECKING:
    from ase import Atoms
    from rich.console import Console
    from rich.table import Table

    from panna_plus.verify.lammps_check import RunResult

PLAIN_WIDTH = 110
WEAK_FORCES = 0.1  # eV/Å: below, absolute tolerances say little
EXIT_FAILED = 1


def add_parser(subparsers: Any) -> None:
    """Add `lammps-check` to the command line."""
    parser = subparsers.add_parser(
        "lammps-check",
        help="compare LAMMPS with ASE for a model and a structure",
        description="Compute a structure in ASE (float64) and in LAMMPS, for each number of ranks with newton on and "
        "off, and compare energy, forces and virial with each other and with finite differences of the energy. Any "
        "cell and any periodicity. Exit code 1 if something deviates.",
    )
    parser.add_argument(
        "models", type=Path, nargs="+", metavar="MODEL", help="model file, or several, which are a committee"
    )
    parser.add_argument("structure", type=Path, help="structure: extended XYZ or anything ASE reads")
    parser.add_argument("--frame", type=int, default=0, metavar="N", help="frame of the file, from 0 (%(default)s)")
    parser.add_argument(
        "--rattle",
        type=float,
        default=0.0,
        metavar="LENGTH",
        help="displace the atoms at random first, Å (%(default)s)",
    )
    parser.add_argument(
        "--ranks", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="numbers of MPI ranks (1 2 4)"
    )
    parser.add_argument(
        "--precision", choices=("double", "mixed"), default="double", help="of the pair style; tolerances follow it"
    )
    parser.add_argument(
        "--backend",
        choices=("auto", "native", "torch"),
        default="auto",
        help="of the pair style; ASE takes PyTorch too with torch",
    )
    parser.add_argument(
        "--device", default="auto", help="of the pair style: auto, cpu, cuda or cuda:N (%(default)s); ASE: the CPU"
    )
    parser.add_argument(
        "--lammps",
        type=Path,
        metavar="LMP",
        help="another lmp than that of this environment; it finds its pair style by LAMMPS_PLUGIN_PATH",
    )
    parser.add_argument("--units", choices=("metal", "real", "electron"), default="metal", help="of the LAMMPS input")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="new folder for the inputs and what LAMMPS wrote")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print; return the exit code."""
    from rich.console import Console

    from panna_plus import PannaPlusCalculator
    from panna_plus.neighbors import number_in_info
    from panna_plus.verify.lammps_check import Settings, reference_of, run_checks
    from panna_plus.verify.programs import lammps_command

    check_options(args)
    lammps_command(max(args.ranks), args.lammps)  # what is missing is said before anything is computed
    atoms = read_structure(args)
    calculator = PannaPlusCalculator(args.models, backend="torch" if args.backend == "torch" else "auto", device="cpu")
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    name = f"{args.structure} frame {args.frame}"
    console.print(f"{name}: {len(atoms)} atoms; ASE on the {calculator.backend.name} backend", soft_wrap=True)
    reference = reference_of(calculator, atoms)
    if reference.rms_force < WEAK_FORCES:
        weak = (
            f"warning: the forces are weak (rms {reference.rms_force:.3g} eV/Å), which hides errors: add --rattle 0.1"
        )
        console.print(weak, style="yellow", soft_wrap=True)
    state = [f"{key} {number_in_info(atoms, key):g}" for key in calculator.backend.state_ranges]
    chosen = [f"{name} {value}" for name in ("backend", "device") if (value := getattr(args, name)) != "auto"]
    settings = Settings(args.ranks, args.precision, args.units, " ".join([*chosen, *state]), args.lammps)
    with (
        nullcontext(args.keep) if args.keep else tempfile.TemporaryDirectory() as folder,
        console.status("LAMMPS runs ..."),
    ):
        results = list(run_checks(reference, atoms, calculator.elements, args.models, settings, Path(folder)))
    console.print(table_of(results))
    return concluded(results, args.keep, console)


def check_options(args: argparse.Namespace) -> None:
    """Refuse options that mean nothing."""
    from panna_plus.calculator.ase_calculator import DEVICE_NAME

    require(min(args.ranks) >= 1, ConfigError, f"--ranks must be 1 or more, found {min(args.ranks)}")
    require(args.rattle >= 0, ConfigError, f"--rattle must be a length of 0 Å or more, found {args.rattle}")
    require(
        args.keep is None or not args.keep.exists(),
        ConfigError,
        f"--keep makes a new folder, but '{args.keep}' exists: give another name or remove it",
    )
    require(
        DEVICE_NAME.fullmatch(args.device) is not None,
        ConfigError,
        f"--device must be auto, cpu, cuda or cuda:N, found '{args.device}'",
    )
    require(
        args.lammps is None or args.lammps.is_file(),
        ConfigError,
        f"--lammps is the path of a program, but '{args.lammps}' is no file",
    )


def read_structure(args: argparse.Namespace) -> "Atoms":
    """Read the wanted frame and displace its atoms."""
    from panna_plus.data.files import read_atoms

    frames = list(read_atoms(args.structure))
    require(
        0 <= args.frame < len(frames),
        ConfigError,
        f"--frame counts from 0 to {len(frames) - 1} in '{args.structure}', found {args.frame}",
    )
    atoms = frames[args.frame].copy()
    if args.rattle > 0:
        atoms.rattle(args.rattle, seed=0)
    return atoms


def table_of(results: "Sequence[RunResult]") -> "Table":
    """Return the largest deviations, one row per run, below their tolerances."""
    from rich.table import Table
    from rich.text import Text

    compared = next((result.comparisons for result in results if result.comparisons), [])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("ranks", justify="right")
    table.add_column("newton")
    for c in compared:
        table.add_column(f"{c.quantity.replace(', ', chr(10))}\n{c.unit}", justify="right", vertical="bottom")
    table.add_column("")
    table.add_row("", "", *(f"{c.tolerance:.1e}" for c in compared), "tolerance", style="dim")
    for result in results:
        numbers = [Text(f"{c.deviation:.1e}", "" if c.passed else "bold red") for c in result.comparisons]
        verdict = Text("pass", "green") if result.passed else Text("fail", "bold red")
        blank = [Text("-")] * (len(compared) - len(numbers))
        table.add_row(str(result.ranks), result.newton, *numbers, *blank, verdict)
    return table


def failures(results: "Sequence[RunResult]") -> Iterator[str]:
    """Yield a sentence for everything that fails."""
    for result in results:
        run_name = f"{result.ranks} rank{'s' if result.ranks > 1 else ''}, newton {result.newton}"
        if result.failure:
            yield f"{run_name}: LAMMPS failed: {result.failure}"
        for c in result.comparisons:
            if not c.passed:
                place = f", at {c.where}" if c.where else ""
                numbers = f"deviation {c.deviation:.3g} {c.unit}, tolerance {c.tolerance:.1e}"
                yield f"{run_name}: {c.quantity}: {numbers}{place}"


def concluded(results: "Sequence[RunResult]", keep: Path | None, console: "Console") -> int:
    """Say the result and where the inputs are; return the exit code."""
    from panna_plus.verify.lammps_check import folder_of

    if keep:
        example = keep / folder_of(results[0].ranks, results[0].newton)
        console.print(f"inputs and results are in {keep}: cd {example} && lmp -in in.lammps", soft_wrap=True)
    n_failed = sum(not result.passed for result in results)
    if n_failed == 0:
        console.print(f"LAMMPS and ASE agree in {len(results)} run{'s' if len(results) > 1 else ''}", style="green")
        return 0
    for line in failures(results):
        console.print(line, style="red", soft_wrap=True)
    advice = "" if keep else ", then report this with the folder that --keep makes"
    text = f"{n_failed} of {len(results)} runs fail: check the installation with panna-plus doctor{advice}"
    console.print(text, style="bold red", soft_wrap=True)
    return EXIT_FAILED
