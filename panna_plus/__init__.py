"""Neural interatomic potentials for ASE and LAMMPS: train, export to one file, simulate."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panna_plus.calculator import PannaPlusCalculator

__all__ = ["PannaPlusCalculator", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str):
    # Lazy: LAMMPS imports this package on every MPI rank to find the pair style, and must not pay for torch.
    if name == "PannaPlusCalculator":
        from panna_plus.calculator import PannaPlusCalculator

        return PannaPlusCalculator
    raise AttributeError(f"module 'panna_plus' has no attribute '{name}'")
