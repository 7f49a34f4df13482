"""Checkpoints: tensors as safetensors beside a JSON manifest that is written last and carries their SHA-256.

A checkpoint counts only if its manifest is whole and its tensors match it; otherwise the one before is taken. Both
files are written atomically, so that neither a crash nor a full disk harms what is there.
"""

import hashlib
import json
import random
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from panna_plus.errors import ConfigError, DataError
from panna_plus.model_file import write_atomically
from panna_plus.training.loop import Best, Position, SquareSums, Trainer

CHECKPOINT_VERSION = 1
N_KEPT = 2
# What may differ between the parts of a run: it changes no number that a resumed training computes from then on.
HARMLESS = ("output", "training.device", "training.threads", "training.checkpoint_minutes")


@dataclass(frozen=True)
class RunIdentity:
    """What must be the same when a run goes on."""

    config: dict[str, Any]
    data_hash: str


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that passed its checks."""

    state: dict[str, Any]
    tensors: dict[str, Tensor]
    path: Path


def write_checkpoint(folder: Path, trainer: Trainer, identity: RunIdentity) -> Path:
    """Write a checkpoint, keep the one before it, remove older ones.

    Returns
    -------
    Path
        Of the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"step-{trainer.position.step:010d}"
    content = save_tensors({name: t.contiguous().cpu() for name, t in tensors_of(trainer).items()})
    state = {**state_of(trainer), "config": identity.config, "data_hash": identity.data_hash}
    state["tensors_sha256"] = hashlib.sha256(content).hexdigest()
    write_atomically(folder / f"{stem}.safetensors", content)
    manifest = folder / f"{stem}.json"
    write_atomically(manifest, sealed(state))
    remove_all_but(folder, [m.stem for m in manifests(folder)[:N_KEPT]])
    return manifest


def tensors_of(trainer: Trainer) -> dict[str, Tensor]:
    """Return every tensor of the state under a flat name; each is a copy of its own."""
    groups = {
        "weights": trainer.potential.state_dict(),
        "average": trainer.averaged.state_dict(),
        "best": trainer.best.state if trainer.best else {},
        "random": random_state_tensors(),
    }
    tensors = {f"{group}/{name}": t.detach().clone() for group, state in groups.items() for name, t in state.items()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value.detach().clone() for name, value in state.items()}
    return tensors


def random_state_tensors() -> dict[str, Tensor]:
    """Return the states of all generators that torch and numpy keep globally."""
    _, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - the global one may be used by a model
    states = {
        "torch": torch.get_rng_state(),
        "numpy_keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states |= {f"cuda_{n}": s for n, s in enumerate(torch.cuda.get_rng_state_all())}
    return states


def state_of(trainer: Trainer) -> dict[str, Any]:
    """Return the part of the state that is not tensors."""
    best = trainer.best
    return {
        "checkpoint_version": CHECKPOINT_VERSION,
        "position": asdict(trainer.position),
        "training_errors": asdict(trainer.training_errors),
        "best": None if best is None else {"score": best.score, "epoch": best.epoch, "is_late": best.is_late},
        "history": trainer.history,
        "python_random": random.getstate(),
    }


def sealed(state: dict[str, Any]) -> bytes:
    """Return a manifest: the state with a hash over its own text."""
    text = json.dumps(state, sort_keys=True)
    return json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest(), "state": state}).encode()


def manifests(folder: Path) -> list[Path]:
    """Return the manifests in a folder, latest first."""
    return sorted(folder.glob("step-*.json"), reverse=True)


def remove_all_but(folder: Path, stems: Iterable[str]) -> None:
    """Remove other checkpoints, and what an interrupted write left."""
    kept = set(stems)
    for path in folder.iterdir():
        is_temporary = path.name.startswith(".step-")
        if is_temporary or (path.name.startswith("step-") and path.stem not in kept):
            path.unlink(missing_ok=True)


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the latest checkpoint that is whole; warn about each that is not.

    Raises
    ------
    DataError
        If there are checkpoints and none is whole.
    """
    found = manifests(folder)
    for manifest in found:
        try:
            return read_checkpoint(manifest)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            warnings.warn(f"checkpoint '{manifest}' is damaged ({error}): trying the one before", stacklevel=2)
    if found:
        raise DataError(f"none of the {len(found)} checkpoints in '{folder}' is whole: start anew with --overwrite")
    return None


def read_checkpoint(manifest: Path) -> Checkpoint:
    """Read a checkpoint; whatever is wrong with it raises, mostly ValueError, before anything is used."""
    outer = json.loads(manifest.read_bytes())
    state = outer["state"]
    text = json.dumps(state, sort_keys=True)
    if hashlib.sha256(text.encode()).hexdigest() != outer["sha256"] or sealed(state) != manifest.read_bytes():
        raise ValueError("the manifest does not match its own hash")
    if state["checkpoint_version"] != CHECKPOINT_VERSION:
        raise ValueError(f"version {state['checkpoint_version']}, expected {CHECKPOINT_VERSION}")
    content = manifest.with_suffix(".safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != state["tensors_sha256"]:
        raise ValueError("the tensors do not match the hash of the manifest")
    return Checkpoint(state, load_tensors(content), manifest)


def check_identity(checkpoint: Checkpoint, identity: RunIdentity) -> None:
    """Raise ConfigError listing what changed since the checkpoint was written."""
    differences = differing_keys(checkpoint.state["config"], identity.config)
    lines = [f"  {key}: was {old!r}, is {new!r}" for key, old, new in differences if key not in HARMLESS]
    if checkpoint.state["data_hash"] != identity.data_hash:
        lines.append("  the structures or labels in the data files")
    if lines:
        raise ConfigError(
            f"'{checkpoint.path}' belongs to another run; changed since then:\n" + "\n".join(lines) + "\n"
            "Change it back, start anew with --overwrite or another output, or go on regardless with --force-resume"
        )


def differing_keys(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Return (a.b.c, old, new) for every value that differs between nested mappings."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(path, old, new)]
    found = []
    for key in dict.fromkeys([*old, *new]):
        below = f"{path}.{key}" if path else key
        found += differing_keys(old.get(key, "(absent)"), new.get(key, "(absent)"), below)
    return found


def restore(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Bring a new trainer into the state of a checkpoint.

    Raises
    ------
    ConfigError
        If the weights do not fit the model.
    """
    state = checkpoint.state
    try:
        trainer.potential.load_state_dict(part(checkpoint, "weights"))
        trainer.averaged.load_state_dict(part(checkpoint, "average"))
    except RuntimeError as error:
        raise ConfigError(f"the weights of '{checkpoint.path}' do not fit the model: {error}") from error
    restore_optimizer(trainer.optimizer, part(checkpoint, "optimizer"))
    trainer.position = Position(**state["position"])
    # A finished run goes on if it was given more epochs.
    trainer.position.is_done = trainer.position.is_done and trainer.has_run_out
    trainer.training_errors = SquareSums(**state["training_errors"])
    trainer.history = state["history"]
    if state["best"] is not None:
        weights = trainer.averaged.potential.state_dict()
        best = {n: t.to(weights[n].device) for n, t in part(checkpoint, "best").items()}
        trainer.best = Best(state["best"]["score"], state["best"]["epoch"], best, state["best"]["is_late"])
    restore_random_state(part(checkpoint, "random"), state["python_random"])


def part(checkpoint: Checkpoint, group: str) -> dict[str, Tensor]:
    """Return the tensors of one group, their names without it."""
    prefix = f"{group}/"
    return {n.removeprefix(prefix): t for n, t in checkpoint.tensors.items() if n.startswith(prefix)}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put moments and step counts back."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def restore_random_state(tensors: dict[str, Tensor], python_state: list[Any]) -> None:
    """Put the states of the global generators back."""
    version, internal, gauss = python_state
    random.setstate((version, tuple(internal), gauss))
    position, has_gauss, cached = tensors["numpy_rest"].tolist()
    keys = tensors["numpy_keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), cached))  # noqa: NPY002
    torch.set_rng_state(tensors["torch"])
    cuda = [t for n, t in sorted(tensors.items()) if n.startswith("cuda_")]
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
