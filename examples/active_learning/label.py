"""Energies, forces and stress of new frames, by a stand-in for the DFT of your own work.

Here the labels come from the Stillinger-Weber potential in LAMMPS: free, smooth and wrong for silicon, so that the loop
can be tried in minutes. Replace `reference_calculator` by an ASE calculator of your DFT code.
"""

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import Calculator

# Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), in eV and Å.
SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4.0 0.0 0.0\n"


def reference_calculator(folder: Path) -> Calculator:
    """Return what labels: a stand-in. Yours may be slow; it sees only the frames that the committee asked about."""
    import panna_plus.lammps

    panna_plus.lammps.load()  # makes libmpi loadable for the calculator below
    from ase.calculators.lammpslib import LAMMPSlib

    parameters = folder / "Si.sw"
    parameters.write_text(SILICON)
    commands = ["pair_style sw", f"pair_coeff * * {parameters} Si"]
    return LAMMPSlib(lmpcmds=commands, atom_types={"Si": 1}, keep_alive=True, log_file="/dev/null")


def labelled(frames: Sequence[Atoms], folder: Path) -> list[Atoms]:
    """Return copies of periodic frames with REF_energy, REF_forces and REF_stress, as `panna-plus train` reads them."""
    calculator = reference_calculator(folder)
    results = []
    for frame in frames:
        atoms = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True, calculator=calculator)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        stress = atoms.get_stress(voigt=False)
        atoms.calc = None
        atoms.info["REF_energy"], atoms.info["REF_stress"] = energy, stress
        atoms.arrays["REF_forces"] = forces
        results.append(atoms)
    return results
