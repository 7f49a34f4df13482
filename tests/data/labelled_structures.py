"""Small labelled structures for the tests of this folder, written as text by hand."""

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from panna_plus.data.config import LabelKeys
from panna_plus.data.reading import frame_from_atoms

WATER = """3
Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-14.5 config_type=water pbc="F F F"
O 0.00 0.00 0.00  0.10 0.20 -0.30
H 0.96 0.00 0.00 -0.05 0.00 0.10
H -0.24 0.93 0.00 -0.05 -0.20 0.20
"""
NACL = """2
Lattice="3.9 0.0 0.0 0.5 4.1 0.0 0.3 0.2 4.0" Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-6.2 \
REF_stress="1e-2 2e-3 3e-3 2e-3 -4e-2 5e-3 3e-3 5e-3 6e-2" config_type=salt pbc="T T T"
Na 0.0 0.0 0.0 0.4 -0.1 0.2
Cl 1.9 2.0 2.1 -0.4 0.1 -0.2
"""
STRESS = np.array([[1e-2, 2e-3, 3e-3], [2e-3, -4e-2, 5e-3], [3e-3, 5e-3, 6e-2]])


def isolated(symbol, energy, config_type="IsolatedAtom"):
    return (
        f'1\nProperties=species:S:1:pos:R:3 REF_energy={energy} config_type={config_type} pbc="F F F"\n{symbol} 0 0 0\n'
    )


def frame(symbols="Si2", energy=None, forces=None, stress=None, config_type="", cell=100.0, positions=None, **info):
    """Build a frame through the calculator route; one atom per 2 Å along x by default."""
    atoms = Atoms(symbols, cell=[cell] * 3, pbc=bool(cell), info={"config_type": config_type, **info})
    n = len(atoms)
    atoms.positions = np.column_stack([2.0 * np.arange(n), np.zeros((n, 2))]) if positions is None else positions
    labels = {"energy": energy, "forces": forces, "stress": stress}
    atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in labels.items() if v is not None})
    return frame_from_atoms(atoms, LabelKeys(), f"made.xyz frame {info.get('number', 0)}")
