"""Training steps per second: compiled operators beside the PyTorch reference, with and without cached descriptors.

    python benchmarks/speed/training.py [--device cuda] [SET ...]

All four train the same potential on the same frames in the same order and take turns, so that the machine's moods
reach them alike. One core, processor time, or one GPU, wall time; the first gradient of each is compared with the
reference's. The frames of `silicon_pbe` are small: there a step is mostly PyTorch's own overhead.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from accuracy.run import panna_plus
from accuracy.sets import SETS, AccuracySet
from hardware import RESULTS, write_result
from rich.console import Console
from rich.table import Table

from panna_plus.data.dataset import DataSet
from panna_plus.training.config import RunConfig, load_run_config
from panna_plus.training.examples import prepare_examples
from panna_plus.training.loop import Trainer
from panna_plus.training.run import build_run, memory_of, read_dataset
from panna_plus.training.trial import spread

DEFAULT = ["silicon_pbe", "mlearn_si"]
N_FRAMES = 40
ROUNDS = 8


@dataclass
class Contestant:
    """One way of taking steps."""

    backend: str
    cache: bool
    trainer: Trainer
    prepare_seconds: float
    megabytes: float
    seconds: list[float]

    @property
    def name(self) -> str:
        return f"{self.backend}, {'cached' if self.cache else 'no cache'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"default: {' '.join(DEFAULT)}", default=DEFAULT)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="default: %(default)s")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results, skipped = {}, {}
    for name in arguments.sets:
        missing = [str(f) for f in SETS[name].train if not f.exists()]
        if missing:
            skipped[name] = f"{', '.join(missing)} not found; set PANNA_PLUS_DATA to the folder with the data sets"
            print(f"not run: {name}: {skipped[name]}")
            continue
        results[name] = measured(name, SETS[name], arguments.device)
        print_rows(name, results[name])
    file = "speed_training" if arguments.device == "cpu" else "speed_training_cuda"
    print(f"written: {write_result(file, {'sets': results, 'skipped': skipped}, arguments.output)}")
    return 0


def measured(name: str, chosen: AccuracySet, device: str) -> dict:
    """Let all four ways train on one set, configured as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        panna_plus("init", *chosen.train, "--test", chosen.test, "-o", path)
        config = load_run_config(str(path), chosen.overrides)
        dataset = read_dataset(config, path.parent)
    contestants = [contestant(config, dataset, b, c, device) for b in ("torch", "native") for c in (False, True)]
    gradients = {c.name: first_gradient(c) for c in contestants}
    for _ in range(ROUNDS):
        for each in contestants:
            # The slow ones need fewer steps for the same precision.
            each.seconds.append(timed_steps(each, 2 if each.backend == "torch" and not each.cache else 20))
    n_atoms = sum(len(f) for f in spread(dataset.train, N_FRAMES)) / N_FRAMES
    rows = [row(each, contestants[0], gradients) for each in contestants]
    return {"atoms_per_frame": n_atoms, "batch_size": config.training.batch_size, "rows": rows}


def print_rows(name: str, result: dict) -> None:
    table = Table(title=f"{name}: {result['batch_size']} frames of {result['atoms_per_frame']:.0f} atoms per step")
    for column in ("backend", "frames/s", "ratio", "prepare, ms/frame", "MB/frame", "gradient differs by"):
        table.add_column(column, justify="left" if column == "backend" else "right")
    for r in result["rows"]:
        table.add_row(
            r["name"],
            f"{r['frames_per_second']:.1f}",
            f"{r['ratio']:.1f}",
            f"{r['prepare_ms_per_frame']:.1f}",
            f"{r['megabytes_per_frame']:.2f}",
            f"{r['gradient_difference']:.0e}",
        )
    Console().print(table)


def contestant(config: RunConfig, dataset: DataSet, backend: str, cache: bool, device: str) -> Contestant:
    """Prepare the frames for one backend, with or without a cache."""
    settings = config.training.model_copy(update={"backend": backend, "cache": cache, "device": device})
    run = build_run(config.model_copy(update={"training": settings}), dataset, print)
    train = spread(dataset.train, N_FRAMES)
    start = now(run.device)
    examples = prepare_examples(run.potential, train, run.device, use_cache=cache)
    run.potential.initialize([e.inputs for e in examples])
    prepare = now(run.device) - start
    trainer = Trainer(run.potential, examples, examples[:1], [f.source for f in train], settings, config.seed)
    return Contestant(backend, cache, trainer, prepare / len(train), memory_of(examples) / 1e6 / len(train), [])


def first_gradient(each: Contestant) -> torch.Tensor:
    """Take one step and return the gradient that it took it by, all parameters in one vector."""
    each.trainer.step(range(each.trainer.config.batch_size))
    return torch.cat([p.grad.flatten() for p in each.trainer.parameters])


def now(device: torch.device) -> float:
    """Return processor time or, when a GPU has done everything, wall time, in seconds."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def timed_steps(each: Contestant, n_steps: int) -> float:
    """Return the time per step."""
    n_frames, size = len(each.trainer.train), each.trainer.config.batch_size
    device = each.trainer.parameters[0].device
    start = now(device)
    for k in range(n_steps):
        each.trainer.step([(k * size + f) % n_frames for f in range(size)])
    return (now(device) - start) / n_steps


def row(each: Contestant, reference: Contestant, gradients: dict[str, torch.Tensor]) -> dict:
    """Return what is printed of one contestant."""
    seconds, expected = median(each.seconds), gradients[reference.name]
    difference = (gradients[each.name] - expected).norm() / expected.norm()
    return {
        "name": each.name,
        "frames_per_second": each.trainer.config.batch_size / seconds,
        "ratio": median(reference.seconds) / seconds,
        "prepare_ms_per_frame": 1e3 * each.prepare_seconds,
        "megabytes_per_frame": each.megabytes,
        "gradient_difference": float(difference),
    }


if __name__ == "__main__":
    raise SystemExit(main())
