"""Small frames of silicon and oxygen (and inert helium), in the lower triangular cells that LAMMPS takes."""

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk

SHORTEST = 1.5  # Å; no two atoms of any frame below come closer


def scattered(n: int, cell: np.ndarray, pbc: tuple[bool, ...], seed: int, region: np.ndarray | None = None) -> Atoms:
    """Place atoms at random, alternately Si and O, no two closer than SHORTEST.

    `region` (3,) is the part of each cell vector that atoms are put into; the whole cell by default.
    """
    random = np.random.default_rng(seed)
    atoms = Atoms(cell=cell, pbc=pbc)
    part = np.ones(3) if region is None else region
    while len(atoms) < n:
        trial = atoms + Atoms("SiO"[:2] if len(atoms) % 2 == 0 else "O", positions=[random.random(3) * part @ cell])
        distances = trial.get_distances(-1, range(len(atoms)), mic=True) if len(atoms) else np.array([9.0])
        own_images = np.linalg.norm(cell, axis=1)[list(pbc)]
        if min(distances.min(), own_images.min(initial=9.0)) > SHORTEST:
            atoms = trial
    return atoms


def crystal(n: int = 2) -> Atoms:
    """64 atoms of rattled diamond with every fourth silicon replaced: larger than twice the cutoff."""
    atoms = bulk("Si", "diamond", 5.43, cubic=True) * (2, 2, n)
    atoms.symbols[::4] = "O"
    atoms.positions += np.random.default_rng(1).normal(scale=0.1, size=atoms.positions.shape)
    atoms.wrap()
    return atoms


def long_crystal() -> Atoms:
    """The same with 384 atoms."""
    return crystal(12)


def sheared() -> Atoms:
    """Triclinic, every height shorter than the cutoff: an atom sees several images of another and of itself."""
    cell = np.array([[3.9, 0, 0], [1.6, 4.3, 0], [-1.3, 1.9, 4.1]])
    return scattered(5, cell, (True, True, True), seed=2)


def triclinic() -> Atoms:
    """A medium sheared box."""
    cell = np.array([[8.2, 0, 0], [2.9, 7.7, 0], [-3.1, 2.4, 9.0]])
    return scattered(36, cell, (True, True, True), seed=3)


def slab() -> Atoms:
    """Periodic in the plane, vacuum above: with ranks stacked along z some own no atom."""
    cell = np.diag([7.5, 8.0, 40.0])
    return scattered(24, cell, (True, True, True), seed=4, region=np.array([1.0, 1.0, 0.18]))


def cluster() -> Atoms:
    """A free cluster in one corner of a large box."""
    cell = np.diag([30.0, 31.0, 32.0])
    atoms = scattered(17, cell, (False, False, False), seed=5, region=np.array([0.2, 0.2, 0.2]))
    atoms.positions += 1.0
    return atoms


def with_helium() -> Atoms:
    """The medium box with helium that the model does not know, close to other atoms."""
    atoms = triclinic()
    atoms.symbols[::5] = "He"
    return atoms


def one_atom() -> Atoms:
    """One atom without neighbors."""
    return Atoms("O", positions=[[3.0, 4.0, 5.0]], cell=np.diag([30.0, 30.0, 30.0]), pbc=True)


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    f.__name__: f for f in (crystal, long_crystal, sheared, triclinic, slab, cluster, with_helium, one_atom)
}
