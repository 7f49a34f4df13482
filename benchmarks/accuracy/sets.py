"""The public data sets, how we train on them, and what others published for them."""

import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("PANNA_PLUS_DATA", ROOT.parent / "shared" / "data"))

Errors = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class AccuracySet:
    """One training and one test file.

    Attributes
    ----------
    train : list of Path
    test : Path
    overrides : list of str
        Options that differ from what `panna-plus init` writes, as `--set` takes them.
    family : str
    published : dict
        Method -> (energy MAE in meV/atom, force MAE in meV/Å), as published, not measured here.
    snap : dict
        Method -> stem of LAMMPS coefficient files that are evaluated on the test file in the same run.
    further_tests : dict
        Name -> file that the trained model is evaluated on beside `test`.
    """

    train: list[Path]
    test: Path
    overrides: list[str] = field(default_factory=list)
    family: str = "panna"
    published: Errors = field(default_factory=dict)
    snap: dict[str, Path] = field(default_factory=dict)
    further_tests: dict[str, Path] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """All files that the set needs."""
        return [*self.train, self.test, *self.further_tests.values()]


SNAP = DATA.parent / "reference" / "zuo_snap"
MLEARN_SI = {
    "train": [DATA / "mlearn/Si_train.xyz.xz"],
    "test": DATA / "mlearn/Si_test.xyz.xz",
    # Zuo et al., J. Phys. Chem. A 124, 731 (2020); GAP and MTP as quoted by ACEpotentials.jl.
    "published": {"GAP": (2.91, 70.0), "MTP": (2.21, 60.0)},
    "snap": {"SNAP": SNAP / "Si.snap", "qSNAP": SNAP / "Si.qsnap"},
}
# Batatia et al., NeurIPS 2022, table 2: energies in meV of whole molecules, forces in meV/Å.
RMD17_PUBLISHED: dict[str, Errors] = {
    "aspirin": {"GAP": (17.7, 44.9), "ANI": (16.6, 40.6), "FCHL": (6.2, 20.9), "ACE": (6.1, 17.9), "PaiNN": (6.9, 16.1),
                "NequIP": (2.3, 8.2), "MACE": (2.2, 6.6)},
    "ethanol": {"GAP": (3.5, 18.1), "ANI": (2.5, 13.4), "FCHL": (0.9, 6.2), "ACE": (1.2, 7.3), "PaiNN": (2.7, 10.0),
                "NequIP": (0.4, 2.8), "MACE": (0.4, 2.1)},
    "toluene": {"GAP": (4.0, 17.8), "ANI": (7.7, 24.3), "FCHL": (1.7, 8.8), "ACE": (1.1, 6.5), "PaiNN": (4.2, 4.4),
                "NequIP": (0.3, 1.6), "MACE": (0.5, 1.5)},
}  # fmt: skip
ATOMS_IN_MOLECULE = {"aspirin": 21, "ethanol": 9, "toluene": 15}
# 950 of the 1,000 training frames of a molecule train, 50 validate.
SO3KRATES = ["data.validation=0.05", "training.ema_decay=0.999"]
# For a GPU. Three layers of 128 features diverge at the start with the learning rate that suits the default size.
WIDE_SO3KRATES = [
    *SO3KRATES,
    "model.n_layers=3",
    "model.n_features=128",
    "training.batch_size=10",
    "training.learning_rate=0.002",
]


def rmd17(molecule: str, overrides: list[str], family: str) -> AccuracySet:
    """Return the set of a molecule of revised MD17, split 01."""
    n_atoms = ATOMS_IN_MOLECULE[molecule]
    published = {method: (energy / n_atoms, forces) for method, (energy, forces) in RMD17_PUBLISHED[molecule].items()}
    return AccuracySet(
        train=[DATA / f"rmd17/{molecule}_train_01.xyz.xz"],
        test=DATA / f"rmd17/{molecule}_test_01.xyz.xz",
        overrides=overrides,
        family=family,
        published=published,
    )


SETS = {
    "silicon_pbe": AccuracySet(
        train=[ROOT / "examples/silicon/data/train.xyz"],
        test=ROOT / "examples/silicon/data/test.xyz",
    ),
    "mlearn_si": AccuracySet(
        **MLEARN_SI,
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
    ),
    "mlearn_si_so3krates": AccuracySet(
        **MLEARN_SI,
        family="so3krates",
        overrides=[
            *WIDE_SO3KRATES,
            "training.batch_size=2",
            "training.late_energy_factor=100",
            "training.epochs=500",
        ],
    ),
    "ethanol": rmd17("ethanol", ["training.epochs=200", "training.max_minutes=10"], "panna"),
    # The default size: after the same processor time its forces are better than those of the wide one.
    "ethanol_so3krates": rmd17("ethanol", [*SO3KRATES, "training.epochs=2000", "training.max_minutes=60"], "so3krates"),
    "aspirin_so3krates": rmd17("aspirin", [*WIDE_SO3KRATES, "training.epochs=1000"], "so3krates"),
    "toluene_so3krates": rmd17("toluene", [*WIDE_SO3KRATES, "training.epochs=1000"], "so3krates"),
    # Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021): trained at 300 K, tested there and at 600 K.
    "3bpa_so3krates": AccuracySet(
        train=[DATA / "3bpa/train_300K.xyz.xz", DATA / "3bpa/iso_atoms.xyz"],
        test=DATA / "3bpa/test_300K.xyz.xz",
        family="so3krates",
        overrides=[*WIDE_SO3KRATES, "data.validation=0.1", "training.batch_size=5", "training.epochs=2000"],
        further_tests={"600 K": DATA / "3bpa/test_600K.xyz.xz"},
    ),
}
