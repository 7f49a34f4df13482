"""Silicon at 0 bar, by `fix npt` of LAMMPS and by ASE's barostat: mean pressures, and the volume that both find.

    python benchmarks/npt.py [--model model.pt] [--cells 3] [--temperature 300] [--picoseconds 30]

Both barostats are those of Martyna, Tobias and Klein, with the same damping times, on one core in mixed precision. The
first 5 ps are not counted. Errors come from blocks. Without --model it is the potential of examples/silicon. It takes
four minutes.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.md.nose_hoover_chain import IsotropicMTKNPT
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.units import bar, fs, kB
from hardware import RESULTS, write_result

from panna_plus import PannaPlusCalculator
from panna_plus.verify.programs import INPUT, failure_of, run_lammps

MODEL = Path(__file__).parent / "speed" / "gpu" / "silicon.pt"
LATTICE = 5.478  # Å, at rest
SAMPLE = 10  # steps of 1 fs over which a sample is a mean
PICOSECOND = 1000
T_DAMP, P_DAMP = 0.1, 1.0  # ps
N_BLOCKS = 10
LIMIT = 3.0  # standard errors: beyond it something is wrong
# Of a mean whose error is larger nothing can be said.
LARGEST_ERRORS = {"pressure": 50.0, "volume": 0.01}  # bar, Å³ per atom
DECK = """
units           metal
atom_style      atomic
lattice         diamond {lattice}
region          box block 0 {cells} 0 {cells} 0 {cells}
create_box      1 box
create_atoms    1 box
mass            1 28.085
pair_style      panna_plus precision mixed
pair_coeff      * * "{model}" Si
timestep        0.001
velocity        all create {hot} {seed} mom yes rot no dist gaussian
fix             1 all npt temp {temperature} {temperature} {t_damp} iso 0 0 {p_damp}
variable        volume equal vol/atoms
fix             2 all ave/time 1 {sample} {sample} c_thermo_press v_volume file series.txt format " %.12g"
thermo          {picosecond}
run             {steps}
"""


@dataclass(frozen=True)
class Conditions:
    """What both programs simulate: K, numbers of steps of 1 fs; and in how many blocks means are taken."""

    model: Path
    cells: int
    temperature: float
    warm_steps: int
    steps: int
    seed: int = 5471
    n_blocks: int = N_BLOCKS

    @property
    def n_atoms(self) -> int:
        return 8 * self.cells**3


@dataclass(frozen=True)
class Series:
    """Means over every `SAMPLE` steps, from the start: pressures in bar, volumes in Å³ per atom."""

    pressures: np.ndarray
    volumes: np.ndarray


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error."""

    mean: float
    error: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--cells", type=int, default=3, help="cubic cells of 8 atoms along each side")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("--picoseconds", type=int, default=30, help="that count, in either program")
    arguments = parser.parse_args()
    steps = arguments.picoseconds * PICOSECOND
    conditions = Conditions(arguments.model.resolve(), arguments.cells, arguments.temperature, 5 * PICOSECOND, steps)
    print(f"{conditions.n_atoms} atoms at {conditions.temperature:g} K and 0 bar ...", flush=True)
    series = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("LAMMPS", lambda: lammps_series(conditions, Path(folder))),
                          ("ASE", lambda: ase_series(conditions))):  # fmt: skip
            series[name] = run()
            print(f"{name}: {conditions.warm_steps + steps} steps done", flush=True)
    found = compare(conditions, series)
    print(report(found))
    draw(conditions, series, RESULTS / "npt.png")
    content = {"atoms": conditions.n_atoms, "temperature": conditions.temperature,
               "picoseconds": arguments.picoseconds, **found}  # fmt: skip
    print(f"written: {write_result('npt', content)}, {RESULTS / 'npt.png'}")
    return 0 if found["agree"] else 1


def lammps_series(conditions: Conditions, folder: Path) -> Series:
    """Run LAMMPS on one rank in a folder."""
    settings = {
        **asdict(conditions),
        "lattice": LATTICE,
        # Half of the kinetic energy of a perfect crystal becomes potential energy.
        "hot": 2 * conditions.temperature,
        "t_damp": T_DAMP,
        "p_damp": P_DAMP,
        "sample": SAMPLE,
        "picosecond": PICOSECOND,
        "steps": conditions.warm_steps + conditions.steps,
    }
    (folder / INPUT).write_text(DECK.format(**settings))
    fault = failure_of(run_lammps(folder, 1, seconds=3600.0), 1)
    if fault:
        raise RuntimeError(f"LAMMPS: {fault}")
    table = np.loadtxt(folder / "series.txt")
    return Series(table[:, 1], table[:, 2])


def ase_series(conditions: Conditions) -> Series:
    """Run ASE on one thread."""
    atoms = bulk("Si", "diamond", LATTICE, cubic=True) * ((conditions.cells,) * 3)
    atoms.set_masses([28.085] * len(atoms))
    atoms.calc = PannaPlusCalculator(conditions.model, dtype="float32", n_threads=1)
    thermalize_momenta(atoms, 2 * conditions.temperature, rng=np.random.default_rng(conditions.seed))
    Stationary(atoms)
    dynamics = IsotropicMTKNPT(
        atoms, 1 * fs, temperature_K=conditions.temperature, pressure_au=0.0, tdamp=T_DAMP * 1000 * fs,
        pdamp=P_DAMP * 1000 * fs,
    )  # fmt: skip
    samples = [state_of(atoms) for _ in dynamics.irun(conditions.warm_steps + conditions.steps)]
    # The first one is the start.
    table = np.array(samples[1:]).reshape(-1, SAMPLE, 2).mean(axis=1)
    return Series(table[:, 0], table[:, 1])


def state_of(atoms: Atoms) -> tuple[float, float]:
    """Return the pressure of atoms that move (bar), and the volume of one (Å³)."""
    stress = atoms.get_stress(include_ideal_gas=True)
    return -float(stress[:3].mean()) / bar, atoms.get_volume() / len(atoms)


def compare(conditions: Conditions, series: dict[str, Series]) -> dict:
    """Return means with errors after the start, and the verdict.

    Both barostats hold at 0 bar the pressure with one atom's ideal gas more, kT/V (the second term of their force on
    the cell): the share of the center of mass, which is at rest here.
    """
    means = {}
    for name, each in series.items():
        volume = block_mean(counted(conditions, each.volumes), conditions.n_blocks)
        gas = kB * conditions.temperature / (volume.mean * conditions.n_atoms) / bar
        pressure = block_mean(counted(conditions, each.pressures) + gas, conditions.n_blocks)
        means[name] = {"pressure": pressure, "volume": volume}
    first, second = (means[name]["volume"] for name in ("LAMMPS", "ASE"))
    sigmas = {
        **{f"pressure of {name}": abs(m["pressure"].mean) / m["pressure"].error for name, m in means.items()},
        "difference of volumes": abs(first.mean - second.mean) / float(np.hypot(first.error, second.error)),
    }
    is_sharp = all(m[key].error < limit for m in means.values() for key, limit in LARGEST_ERRORS.items())
    return {
        "programs": {name: {key: asdict(mean) for key, mean in each.items()} for name, each in means.items()},
        "sigmas": sigmas,
        "agree": is_sharp and max(sigmas.values()) < LIMIT,
    }


def counted(conditions: Conditions, values: np.ndarray) -> np.ndarray:
    """Return what comes after the start."""
    return values[conditions.warm_steps // SAMPLE :]


def block_mean(values: np.ndarray, n_blocks: int) -> Mean:
    """Return the mean and its error from the scatter of the means of blocks, which must be longer than what they hold
    in memory. Values that fill no block are left out at the beginning."""
    length = len(values) // n_blocks
    blocks = values[len(values) - n_blocks * length :].reshape(n_blocks, length).mean(axis=1)
    return Mean(float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(n_blocks)))


def report(found: dict) -> str:
    """Return the table and the verdict."""
    lines = [f"{'':8}{'pressure (bar)':>20}{'volume (Å³/atom)':>24}"]
    for name, means in found["programs"].items():
        p, v = means["pressure"], means["volume"]
        lines.append(f"{name:8}{p['mean']:11.1f} ± {p['error']:<6.1f}{v['mean']:15.4f} ± {v['error']:.4f}")
    lines += [f"{name}: {value:.1f} standard errors" for name, value in found["sigmas"].items()]
    return "\n".join([*lines, "they agree" if found["agree"] else "they do NOT agree, or the errors are too large"])


def draw(conditions: Conditions, series: dict[str, Series], path: Path) -> None:
    """Draw volumes and running means of the pressure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True)
    for name, color in (("LAMMPS", "#1f6fb4"), ("ASE", "#e07a2f")):
        volumes = series[name].volumes
        times = np.arange(1, len(volumes) + 1) * SAMPLE / PICOSECOND
        mean = counted(conditions, volumes).mean()
        top.plot(times, volumes, color=color, linewidth=0.4, alpha=0.6)
        top.axhline(mean, color=color, label=f"{name}: {mean:.3f}")
        pressures = counted(conditions, series[name].pressures)
        running = np.cumsum(pressures) / np.arange(1, len(pressures) + 1)
        bottom.plot(times[-len(running) :], running, color=color, label=name)
    bottom.axhline(0.0, color="#8795a1", linewidth=0.8)
    top.set(ylabel="volume (Å³/atom)", title=f"{conditions.n_atoms} silicon atoms, {conditions.temperature:g} K, 0 bar")
    bottom.set(xlabel="time (ps)", ylabel="running mean pressure (bar)", ylim=(-200, 200))
    for axes in (top, bottom):
        axes.legend(frameon=False, loc="upper right")
        axes.axvspan(0.0, conditions.warm_steps / PICOSECOND, color="#e3e8ec", zorder=0)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
