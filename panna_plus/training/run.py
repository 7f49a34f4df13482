"""A whole run: from the configuration to a trainer, and from the trainer to the files of the result."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import torch

from panna_plus.config import dump_yaml
from panna_plus.data.dataset import DataSet, check_loss_labels, load_dataset
from panna_plus.data.pairs import shortest_distances
from panna_plus.errors import ConfigError, require
from panna_plus.export import card_of, export_model
from panna_plus.families import build_potential
from panna_plus.graph import graph_from_atoms
from panna_plus.native.torch_libraries import Say, be_quiet
from panna_plus.potential import Potential
from panna_plus.training import figures, report
from panna_plus.training.backend import select_backend
from panna_plus.training.checkpoint import RunIdentity
from panna_plus.training.config import RunConfig
from panna_plus.training.evaluation import evaluate_examples, evaluate_frames
from panna_plus.training.examples import Example, Progress, no_progress, prepare_examples
from panna_plus.training.loop import Trainer
from panna_plus.training.metrics import error_table
from panna_plus.training.run_directory import RunDirectory, write_text

N_EXPORT_FRAMES = 4
SplitProgress = Callable[[str], Progress]


@dataclass(frozen=True)
class Run:
    """Configuration, data and the untrained potential."""

    config: RunConfig
    dataset: DataSet
    potential: Potential
    device: torch.device

    @property
    def identity(self) -> RunIdentity:
        """What a resumed run must share."""
        return RunIdentity(self.config.model_dump(mode="json"), self.dataset.fingerprint())


@dataclass(frozen=True)
class Prepared:
    """Prepared training and validation frames, and the trainer over them."""

    examples: dict[str, list[Example]]
    trainer: Trainer


def resolved_device(name: str) -> torch.device:
    """Return the device for auto, cpu, cuda or cuda:N.

    Raises
    ------
    ConfigError
        If a GPU is asked for that torch does not see.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if n_gpus else "cpu")
    device = torch.device(name)
    require(
        device.type == "cpu" or (device.index or 0) < n_gpus,
        ConfigError,
        f"training.device is '{name}', but torch sees {n_gpus} GPUs: use auto or cpu, or install a torch with CUDA",
    )
    return device


def build_run(config: RunConfig, dataset: DataSet, say: Say = be_quiet) -> Run:
    """Check the labels against the loss and build the potential with its reference energies.

    `say` receives a line if operators have to be compiled first, or cannot be.
    """
    check_loss_labels(dataset, config.training.loss_weights.model_dump())
    device = resolved_device(config.training.device)
    potential = build_potential(config.family, config.model, dataset.elements, config.seed)
    potential.reference_energies.copy_(torch.from_numpy(dataset.reference_energies.array(dataset.elements)))
    shortest = shortest_distances(dataset.train, dataset.elements)
    potential.shortest_distances.copy_(torch.from_numpy(shortest))
    potential.to(device)
    select_backend(potential, config.training.backend, say)
    return Run(config, dataset, potential, device)


def read_dataset(config: RunConfig, base_directory: Path) -> DataSet:
    """Read and split the data of a configuration whose file lies in `base_directory`."""
    return load_dataset(config.data, config.seed, base_directory)


def prepare(run: Run, on_progress: SplitProgress = lambda _: no_progress) -> Prepared:
    """Prepare the frames that are used again and again, and initialize the potential from the training frames."""
    use_cache = run.config.training.cache
    examples = {
        split: prepare_examples(run.potential, run.dataset.splits[split], run.device, on_progress(split), use_cache)
        for split in ("train", "validation")
    }
    run.potential.initialize([e.inputs for e in examples["train"]])
    names = [f.source for f in run.dataset.train]
    train, validation = examples["train"], examples["validation"]
    trainer = Trainer(run.potential, train, validation, names, run.config.training, run.config.seed)
    return Prepared(examples, trainer)


def write_start(run: Run, directory: RunDirectory) -> None:
    """Write what is known before training: the configuration with every option, and the splits."""
    write_text(directory.config, dump_yaml(run.config))
    write_text(directory.splits, json.dumps(run.dataset.split_record(), indent=1) + "\n")


def write_results(
    run: Run, prepared: Prepared, directory: RunDirectory, on_progress: SplitProgress = lambda _: no_progress
) -> report.Tables:
    """Write error tables, figures and the exported model of the best weights so far; return the tables."""
    potential = prepared.trainer.best_potential()
    results = {
        split: list(evaluate_examples(potential, run.dataset.splits[split], examples))
        for split, examples in prepared.examples.items()
    }
    results["test"] = evaluate_frames(potential, run.dataset.test, run.device, on_progress=on_progress("test"))
    tables = {split: error_table(r).as_dict() for split, r in results.items() if r}
    write_text(directory.errors_json, report.errors_json(tables))
    write_text(directory.errors_markdown, report.errors_markdown(tables))
    write_text(directory.metrics, report.metrics_csv(prepared.trainer.history))
    export(run, potential, prepared.trainer, directory.model, tables)
    write_figures(run, prepared.trainer, directory, {s: results[s] for s in ("validation", "test")})
    return tables


def write_figures(run: Run, trainer: Trainer, directory: RunDirectory, results: dict[str, list]) -> None:
    """Draw the learning curve and the parity plots."""
    if trainer.history:
        late = run.config.training.late_start * run.config.training.epochs
        is_seen = run.config.training.max_minutes is None and late <= trainer.position.epoch
        curve = figures.learning_curve(trainer.history, late if is_seen else None)
        figures.write_figure(curve, directory.learning_curve)
    energies = run.dataset.reference_energies.values
    figures.write_figure(figures.parity(results, energies), directory.parity)


def export(run: Run, potential: Potential, trainer: Trainer, path: Path, tables: report.Tables) -> dict[str, Any]:
    """Export with the errors and the provenance of the training; return the card."""
    provenance = {**card_of(potential)["provenance"], **provenance_of(run, trainer)}
    extras = {"errors": report.card_errors(tables), "provenance": provenance}
    frames = [*run.dataset.validation, *run.dataset.train][:N_EXPORT_FRAMES]
    graphs = [graph_from_atoms(f.atoms, potential.elements, potential.cutoff) for f in frames]
    return export_model(potential, path, graphs, extras)


def provenance_of(run: Run, trainer: Trainer) -> dict[str, Any]:
    """Return what the card records of the training."""
    splits = run.dataset.splits
    return {
        "n_training_frames": len(splits["train"]),
        "n_training_atoms": sum(len(f) for f in splits["train"]),
        "n_validation_frames": len(splits["validation"]),
        "label_counts": run.dataset.label_counts(),
        "data_sha256": run.dataset.fingerprint(),
        "config_sha256": config_hash(run.config),
        "seed": run.config.seed,
        "epochs": trainer.position.epoch,
        "best_epoch": trainer.best.epoch if trainer.best else trainer.position.epoch,
        "training_minutes": round(trainer.position.seconds / 60.0, 2),
        "is_complete": trainer.position.is_done,
        "reference_energy_sources": run.dataset.reference_energies.sources,
    }


def config_hash(config: RunConfig) -> str:
    """Return a SHA-256 over all options."""
    return hashlib.sha256(json.dumps(config.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def memory_of(examples: Sequence[Example]) -> int:
    """Return the bytes that the tensors of examples take."""
    return sum(bytes_of(value) for example in examples for value in vars(example).values())


def bytes_of(value: Any) -> int:
    """Return the bytes of a tensor, or of all tensors in a dataclass."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    return sum(map(bytes_of, vars(value).values())) if is_dataclass(value) else 0
