"""Models that the benchmark times: one trained on silicon, the others of stated sizes with random weights.

Files are written by the tests' own writer, which needs numpy alone.
"""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent


def loaded(path: Path) -> ModuleType:
    """Return a module by its path: some environments have packages `tests` of their own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


by_hand = loaded(HERE.parents[2] / "tests/native/model_files.py")
# Holds models that know nothing of silicon at its lattice sites, eV/Å².
SPRING = 6.0
# Of atoms of silicon per Å³.
DENSITY = 8 / 5.43**3


@dataclass(frozen=True)
class Size:
    """Equispaced functions and a perceptron; random weights give forces of a few tenths of an eV/Å.

    Attributes
    ----------
    radial, angular : (Å, int)
        Cutoff and number of functions; `n_theta` angular windows for each of the angular ones.
    hidden : tuple of int
    """

    radial: tuple[float, int]
    angular: tuple[float, int]
    n_theta: int
    hidden: tuple[int, ...]

    @property
    def n_features(self) -> int:
        return self.radial[1] + self.angular[1] * self.n_theta


# Case A: 50 and 25 neighbors inside the two cutoffs at 1000 K, as in benchmarks/speed/contestants.py. The two of mlearn
# silicon: the architectures of benchmarks/accuracy/sets.py and of the smaller one in README.md.
SIZES = {
    "case A": Size((6.48, 24), (4.63, 8), 8, (128, 64)),
    "mlearn": Size((6.0, 18), (5.0, 8), 8, (64, 64)),
    "mlearn small": Size((5.0, 12), (3.8, 4), 8, (64, 64)),
}
# 6 to 60 neighbors inside.
ANGULAR_CUTOFFS = (3.1, 3.8, 4.63, 5.5, 6.4)


@dataclass(frozen=True)
class TimedModel:
    """A file and how to run it.

    Attributes
    ----------
    spring : float, eV/Å²
        0 for a model that holds the crystal together.
    cutoff : float, Å
    n_features : int
    note : str
        What a table says of it.
    """

    name: str
    path: Path
    spring: float
    cutoff: float
    n_features: int
    note: str


def timed_models(folder: Path) -> list[TimedModel]:
    """Write the files of random weights into a folder; the trained model comes with the benchmark."""
    trained = TimedModel("silicon", HERE / "silicon.pt", 0.0, 5.2, 64, "trained (examples/silicon), 16 + 6x8, 64-64-1")
    return [*(random_one(name, size, folder) for name, size in SIZES.items()), trained]


def random_one(name: str, size: Size, folder: Path) -> TimedModel:
    (many, n_radial), (few, n_angular) = size.radial, size.angular
    functions = by_hand.mbp_arrays((many, 1.0, n_radial, 8.0), (few, 1.4, n_angular, 4.0), size.n_theta, 16.0)
    card, arrays = by_hand.random_model(["Si"], functions, size.hidden, dtype="float32")
    path = by_hand.write_model(folder / f"{name.replace(' ', '_')}.pt", card, arrays)
    grid = f"{n_radial} radial to {many} Å, {n_angular}x{size.n_theta} angular to {few} Å"
    network = "-".join(str(width) for width in (size.n_features, *size.hidden, 1))
    return TimedModel(name, path, SPRING, many, size.n_features, f"random weights; {grid}, {network}")


def of_angular_cutoffs(folder: Path) -> list[tuple[float, TimedModel]]:
    """Write case A with other angular cutoffs, Å."""
    case_a = SIZES["case A"]
    sizes = [replace(case_a, angular=(cutoff, case_a.angular[1])) for cutoff in ANGULAR_CUTOFFS]
    return [(size.angular[0], random_one(f"angular {size.angular[0]} Å", size, folder)) for size in sizes]


def models_of_device_tests(folder: Path) -> list[Path]:
    """Write the models of the tests of devices, the one with all the corners first."""
    return [by_hand.write_model(folder / f"test_{name}.pt", *make()) for name, make in by_hand.DEVICE_MODELS.items()]
