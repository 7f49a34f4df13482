"""The public data sets, how we train on them, and what others published for them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PANNA_PLUS_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class AccuracySet:
    """One training and one test file.

    Attributes
    ----------
    train, test : Path
    overrides : list of str
        Options that differ from what `panna-plus init` writes, as `--set` takes them.
    published : dict
        Method -> (energy MAE in meV/atom, force MAE in meV/Å), as published, not measured here.
    snap : dict
        Method -> stem of LAMMPS coefficient files that are evaluated on the test file in the same run.
    """

    train: Path
    test: Path
    overrides: list[str] = field(default_factory=list)
    published: dict[str, tuple[float, float]] = field(default_factory=dict)
    snap: dict[str, Path] = field(default_factory=dict)


SNAP = DATA.parent / "reference" / "zuo_snap"

SETS = {
    "silicon_pbe": AccuracySet(
        train=ROOT / "examples/silicon/data/train.xyz",
        test=ROOT / "examples/silicon/data/test.xyz",
    ),
    # Zuo et al., J. Phys. Chem. A 124, 731 (2020); GAP and MTP as quoted by ACEpotentials.jl.
    "mlearn_si": AccuracySet(
        train=DATA / "mlearn/Si_train.xyz.xz",
        test=DATA / "mlearn/Si_test.xyz.xz",
        overrides=[
            "data.validation=0.05",
            "model.descriptor.radial_cutoff=6.0",
            "model.descriptor.n_radial=18",
            "model.descriptor.angular_cutoff=5.0",
            "model.descriptor.n_angular=8",
            # Twelve surfaces are too few to be heard beside 191 other frames: energies need more weight late.
            "training.late_energy_factor=100",
            "training.epochs=300",
            "training.max_minutes=12",
        ],
        published={"GAP": (2.91, 70.0), "MTP": (2.21, 60.0)},
        snap={"SNAP": SNAP / "Si.snap", "qSNAP": SNAP / "Si.qsnap"},
    ),
    # Batatia et al., NeurIPS 2022, table 2 (energies of whole molecules, 9 atoms): converted to meV/atom.
    "ethanol": AccuracySet(
        train=DATA / "rmd17/ethanol_train_01.xyz.xz",
        test=DATA / "rmd17/ethanol_test_01.xyz.xz",
        overrides=["training.epochs=200", "training.max_minutes=10"],
        published={"GAP": (3.5 / 9, 18.1), "ANI": (2.5 / 9, 13.4), "FCHL": (0.9 / 9, 6.2), "MACE": (0.4 / 9, 2.1)},
    ),
}
