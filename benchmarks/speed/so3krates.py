"""Time per atom and step of the published SO3LR model in water on one core; So3krates-torch and MACE beside it.

    OMP_NUM_THREADS=1 python benchmarks/speed/so3krates.py SO3LR_FOLDER [--peer FOLDER] [--mace FOLDER] [--repeat 2 1 1]

SO3LR_FOLDER holds the published weights (see `panna-plus import so3lr`) and `water_64.extxyz`; the peer is the package
So3krates-torch with the same weights. `--peer` names a folder that it was installed into, so that it does not have to
share its dependencies with this environment:

    pip install --no-deps --target FOLDER so3krates-torch torch-geometric torchmetrics lightning-utilities matscipy ...
    pip install --no-deps --target FOLDER mace-torch e3nn==0.4.4 opt_einsum_fx opt_einsum torch_ema matscipy ...

MACE has random weights, on which its time does not depend: 128x0e + 128x1o, two interactions, the cutoff of SO3LR's
layers, no long range.

Rows are energy and forces through ASE with their lists of neighbors ("calculator"), and the engine alone on lists that
stand ("engine"), as LAMMPS calls it. "short range" is the model without electrostatics and dispersion.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ase.io
import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from hardware import write_result
from rich.console import Console
from rich.table import Table

from panna_plus import PannaPlusCalculator
from panna_plus.export import export_model
from panna_plus.families.so3krates.import_so3lr import import_folder
from panna_plus.families.so3krates.model import So3kratesPotential, from_arrays
from panna_plus.graph import graph_from_atoms, pair_list
from panna_plus.native import Engine, image_lists

SECONDS = 5.0
LONG_RANGE_CUTOFF, DISPERSION_DAMPING = 12.0, 2.0
DTYPES = {"mixed": "float32", "double": "float64"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", type=Path, help="folder with the package so3krates_torch and what it needs")
    parser.add_argument("--mace", type=Path, help="folder with the package mace and what it needs")
    parser.add_argument("--repeat", type=int, nargs=3, default=[2, 1, 1], help="copies of the box of 64 molecules")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    atoms = ase.io.read(arguments.folder / "water_64.extxyz").repeat(arguments.repeat)
    rows: list[dict[str, Any]] = []
    forces: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for part, path in write_models(arguments.folder, Path(scratch)).items():
            for precision, dtype in DTYPES.items():
                name = f"panna_plus, {part}, {precision}"
                calculator = PannaPlusCalculator(path, dtype=dtype, device="cpu", backend="native", guard=False)
                rows.append({"name": f"{name}, engine", **time_of_engine(Engine(path, precision), atoms)})
                rows.append({"name": f"{name}, calculator", **time_of_calculator(calculator, atoms)})
                forces[name] = calculator.get_forces(atoms)
    skipped = {}
    try:
        peer = peer_calculator(arguments.peer)
        rows.append({"name": "So3krates-torch, whole, float32, calculator", **time_of_calculator(peer, atoms)})
        forces["So3krates-torch"] = peer.get_forces(atoms)
    except ImportError as error:
        skipped["So3krates-torch"] = f"{error}: install it, or name its folder with --peer"
    try:
        mace = mace_calculator(arguments.mace, atoms)
        rows.append({"name": "MACE 128x0e+128x1o, float32, calculator", **time_of_calculator(mace, atoms)})
    except ImportError as error:
        skipped["MACE"] = f"{error}: install it, or name its folder with --mace"
    exact = forces.pop("panna_plus, whole, double")
    deviations = {name: float(np.abs(f - exact).max()) for name, f in forces.items() if "short" not in name}
    show(atoms, rows, deviations, skipped)
    content = {"atoms": len(atoms), "rows": rows, "largest_force_deviations": deviations, "skipped": skipped}
    print(f"written: {write_result('speed_so3krates', content)}")
    return 0


def write_models(folder: Path, scratch: Path) -> dict[str, Path]:
    """Write the whole model and the one without long-range terms; return their paths."""
    whole = import_folder(folder, LONG_RANGE_CUTOFF, DISPERSION_DAMPING)
    molecule = ase.io.read(folder / "water_64.extxyz")[:3]
    molecule.pbc = False
    paths = {}
    for part, potential in (("whole", whole), ("short range", without_long_range(whole))):
        paths[part] = scratch / f"{part.split()[0]}.pt"
        export_model(potential, paths[part], [graph_from_atoms(molecule, potential.elements, potential.cutoff)])
    return paths


def without_long_range(potential: So3kratesPotential) -> So3kratesPotential:
    """Return the same model without electrostatics and dispersion."""
    parameters = potential.family_parameters()
    parameters["terms"] |= {"electrostatics": False, "dispersion": False}
    kept = ("terms/charges/", "terms/electrostatics/", "terms/ratios/", "terms/dispersion/")
    arrays = {name: array for name, array in potential.arrays().items() if not name.startswith(kept)}
    return from_arrays(potential.elements, parameters, arrays)


def peer_calculator(folder: Path | None) -> Calculator:
    if folder is not None:
        sys.path.append(str(folder.resolve()))
    from so3krates_torch.calculator.so3 import SO3LRCalculator

    return SO3LRCalculator(
        r_max_lr=LONG_RANGE_CUTOFF, dispersion_energy_cutoff_lr_damping=DISPERSION_DAMPING, default_dtype="float32"
    )


def mace_calculator(folder: Path | None, atoms: Atoms) -> Calculator:
    if folder is not None:
        sys.path.append(str(folder.resolve()))
    # The package loads tables of its own that today's torch refuses without this word.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    from e3nn.o3 import Irreps
    from mace.calculators import MACECalculator
    from mace.modules import ScaleShiftMACE, interaction_classes

    numbers = sorted(set(atoms.numbers))
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    model = ScaleShiftMACE(
        r_max=4.5,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=Irreps("128x0e+128x1o"),
        MLP_irreps=Irreps("16x0e"),
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=38.6,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
        radial_type="bessel",
        radial_MLP=[64, 64, 64],
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    calculator = MACECalculator(models=model, device="cpu", default_dtype="float32")
    torch.set_default_dtype(usual)
    return calculator


def time_of_engine(engine: Engine, atoms: Atoms) -> dict[str, float]:
    """Return the processor time of the engine alone, its lists given."""
    pairs = pair_list(atoms.positions, atoms.cell.array, atoms.pbc, engine.cutoff)
    species = np.array([engine.elements.index(symbol) for symbol in atoms.symbols])
    bound = engine.bound_to(image_lists(len(atoms), *pairs), species)
    return timed(lambda positions: bound.compute(positions, atoms.cell.array), atoms)


def time_of_calculator(calculator: Calculator, atoms: Atoms) -> dict[str, float]:
    """Return the processor time of energy and forces through ASE."""
    moving = atoms.copy()
    moving.calc = calculator

    def evaluate(positions: np.ndarray) -> None:
        moving.positions = positions
        moving.get_forces()

    return timed(evaluate, atoms)


def timed(evaluate: Any, atoms: Atoms) -> dict[str, float]:
    """Return median and lowest processor time in microseconds per atom while the atoms move a little every time."""
    generator = np.random.default_rng(0)
    positions = atoms.positions.copy()
    evaluate(positions)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < end:
        positions = positions + generator.normal(scale=1e-3, size=positions.shape)
        start = time.process_time()
        evaluate(positions)
        times.append(1e6 * (time.process_time() - start) / len(atoms))
    return {"microseconds_per_atom": median(times), "lowest": min(times)}


def show(atoms: Atoms, rows: list[dict[str, Any]], deviations: dict[str, float], skipped: dict[str, str]) -> None:
    table = Table(title=f"SO3LR, {len(atoms)} atoms of water, one core: processor time per atom and step")
    for column in ("", "median, µs", "lowest, µs"):
        table.add_column(column, justify="right" if column else "left")
    for row in rows:
        table.add_row(row["name"], f"{row['microseconds_per_atom']:.1f}", f"{row['lowest']:.1f}")
    console = Console()
    console.print(table)
    for name, deviation in deviations.items():
        console.print(f"{name}: forces within {deviation:.1e} eV/Å of panna_plus in double")
    for name, reason in skipped.items():
        console.print(f"not run: {name}: {reason}")


if __name__ == "__main__":
    raise SystemExit(main())
