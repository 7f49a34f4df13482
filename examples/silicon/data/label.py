"""Label structures.xyz with Quantum ESPRESSO (PBE): energy, forces, stress.

Usage: python label.py START STEP        (frames START, START + STEP, ... of a shuffled list)
Frames that are done are skipped, so that a broken run goes on where it stopped.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from ase.io import read, write
from ase.io.espresso import write_espresso_in

MAX_ATOMS = 16
SETTINGS = {
    "calculation": "scf",
    "tprnfor": True,
    "tstress": True,
    "pseudo_dir": "/usr/share/espresso/pseudo",
    "prefix": "si",
    "ecutwfc": 24,
    "ecutrho": 96,
    "occupations": "smearing",
    "smearing": "gauss",
    "degauss": 0.01,
    "conv_thr": 1e-7,
    "mixing_beta": 0.7,
    "disk_io": "none",
    "nosym": False,
    "verbosity": "low",
}


def compute(atoms, folder):
    """Run pw.x on one frame and return its labelled copy."""
    with open(folder / "pw.in", "w") as file:
        write_espresso_in(
            file,
            atoms,
            input_data=SETTINGS | {"outdir": str(folder / "o")},
            pseudopotentials={"Si": "Si.pbe-rrkj.UPF"},
            kpts=[int(k) for k in atoms.info["kpts"]],
            koffset=(0, 0, 0),
        )
    with open(folder / "pw.out", "w") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = ["pw.x", "-in", str(folder / "pw.in")]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, env=environment, timeout=1500)
    computed = read(folder / "pw.out", format="espresso-out")
    labelled = atoms.copy()
    labelled.info["REF_energy"] = computed.get_potential_energy()
    labelled.arrays["REF_forces"] = computed.get_forces()
    labelled.info["REF_stress"] = computed.get_stress()
    return labelled


def main(start, step):
    frames = read("structures.xyz", ":")
    order = np.random.default_rng(7).permutation(len(frames))
    order = [n for n in order if frames[n].info["config_type"] != "surface" and len(frames[n]) <= MAX_ATOMS]
    for n in order[start::step]:
        folder = Path("out") / f"{n:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "done.xyz").exists():
            continue
        try:
            write(folder / "done.xyz", compute(frames[n], folder))
            print(n, frames[n].info["config_type"], len(frames[n]), flush=True)
        except Exception as error:  # a frame that does not converge must not stop the others
            print(n, "FAILED", repr(error), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
