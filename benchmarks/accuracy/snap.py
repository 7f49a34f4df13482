"""Test errors of a SNAP potential, evaluated by LAMMPS."""

from pathlib import Path

import numpy as np
from ase import Atoms


def snap_errors(stem: Path, frames: list[Atoms]) -> dict[str, float]:
    """Return energy MAE (meV/atom) and force MAE (meV/Å) of `<stem>.snapcoeff` and `<stem>.snapparam`."""
    import panna_plus.lammps

    panna_plus.lammps.load()  # makes libmpi loadable for the calculator below
    from ase.calculators.lammpslib import LAMMPSlib

    element = frames[0].get_chemical_symbols()[0]
    commands = ["pair_style snap", f"pair_coeff * * {stem}.snapcoeff {stem}.snapparam {element}"]
    calculator = LAMMPSlib(lmpcmds=commands, atom_types={element: 1}, keep_alive=True, log_file="/dev/null")
    energy_errors, force_errors = [], []
    for frame in frames:
        atoms = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=calculator)
        energy_errors.append((atoms.get_potential_energy() - frame.info["REF_energy"]) / len(atoms))
        force_errors.append((atoms.get_forces() - frame.arrays["REF_forces"]).ravel())
    return {
        "energy": 1000.0 * float(np.abs(energy_errors).mean()),
        "forces": 1000.0 * float(np.abs(np.concatenate(force_errors)).mean()),
    }
