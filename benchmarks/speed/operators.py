"""Time of the compiled operators per atom: descriptor, gradient, tangent; and of steps of training made of them.

    python benchmarks/speed/operators.py [--device cuda] [--libraries FOLDER]

Silicon at 1000 K, case A: 24 radial and 8x8 angular functions, 50 and 25 neighbors inside the two cutoffs. The PyTorch
reference beside them where the package's dependencies are installed; without them torch and numpy are enough. On the
CPU one core, processor time. `--libraries` names a folder with libpanna_plus.so and libpanna_plus_ops.so; default:
those of the installed package. A step of training is what a loss of energies and forces needs with cached descriptor
values: perceptron 88-128-64-1 in float32, forces by `descriptor_backward`, the gradient of the loss by
`descriptor_tangent`.
"""

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

# Not this folder: it would hide packages behind its files.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from hardware import RESULTS, write_result
from speed.gpu.models import by_hand
from torch import Tensor

LATTICE = 5.43  # Å
AMPLITUDE = 0.12  # Å, of an atom in one direction at 1000 K
CUTOFFS = (6.48, 4.63)
SECONDS = 1.0
# In the order that the operators take them.
NAMES = ["radial/cutoff", "radial/eta", "radial/centers", "angular/cutoff", "angular/eta", "angular/centers"]
NAMES += ["angular/theta", "angular/zeta", "angular/epsilon"]
FRAME_CELLS, BATCH = 2, 16


@dataclass
class Pairs:
    """Directed pairs sorted by center, on a device."""

    displacements: Tensor
    row_start: Tensor
    centers: Tensor
    neighbors: Tensor

    @property
    def n_atoms(self) -> int:
        return len(self.row_start) - 1

    def repeated(self, n: int, device: str) -> "Pairs":
        """Return the pairs of n copies of the atoms, which do not see each other."""
        n_pairs, atoms = len(self.displacements), self.n_atoms
        first = torch.arange(n).repeat_interleave(n_pairs) * atoms
        starts = torch.arange(n).repeat_interleave(atoms) * n_pairs + self.row_start[:-1].repeat(n)
        return Pairs(
            self.displacements.repeat(n, 1).to(device),
            torch.cat([starts, torch.tensor([n * n_pairs])]).to(device),
            (self.centers.repeat(n) + first).to(device),
            (self.neighbors.repeat(n) + first).to(device),
        )


def silicon(cells: int) -> Pairs:
    """Return all pairs inside the longer cutoff in `cells`^3 cubic cells of diamond silicon at 1000 K."""
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions = LATTICE * (corners + basis).reshape(-1, 3)
    positions = positions + np.random.default_rng(0).normal(scale=AMPLITUDE, size=positions.shape)
    furthest = int(np.ceil(CUTOFFS[0] / (cells * LATTICE)))
    steps = range(-furthest, furthest + 1)
    found = []
    for shift in np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3):
        r = positions[None] - positions[:, None] + shift * cells * LATTICE
        i, j = np.nonzero(np.linalg.norm(r, axis=-1) < CUTOFFS[0])
        others = (i != j) | bool(shift.any())
        found.append((i[others], j[others], r[i[others], j[others]]))
    i, j, r = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(i, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=len(positions)))])
    return Pairs(*(torch.from_numpy(array) for array in (r[order], starts, i[order], j[order])))


class Operators:
    """The three operators bound to pairs and to the functions of case A."""

    def __init__(self, pairs: Pairs, precision: str):
        arrays = by_hand.mbp_arrays((CUTOFFS[0], 1.0, 24, 8.0), (CUTOFFS[1], 1.4, 8, 4.0), 8, 16.0)
        device = pairs.displacements.device
        # On the CPU, since every call would fetch them from a device.
        self.parameters = [torch.from_numpy(arrays[f"descriptor/{name}"]) for name in NAMES]
        species = torch.zeros(len(pairs.displacements), dtype=torch.int64, device=device)
        self._pairs = (pairs.displacements, pairs.row_start, species)
        self._definition = (self.parameters, "mbp", 1, precision)

    def descriptor(self) -> Tensor:
        return torch.ops.panna_plus.descriptor(*self._pairs, *self._definition)

    def backward(self, g: Tensor) -> Tensor:
        return torch.ops.panna_plus.descriptor_backward(g, *self._pairs, *self._definition)

    def tangent(self, v: Tensor) -> Tensor:
        return torch.ops.panna_plus.descriptor_tangent(v, *self._pairs, *self._definition)


class Reference:
    """The same by PyTorch's own operators; needs the package's dependencies."""

    def __init__(self, pairs: Pairs, parameters: list[Tensor]):
        from panna_plus.families.panna.descriptors import MbpDescriptor

        names = [name.replace("/", "_") for name in NAMES]
        self._function = MbpDescriptor(1, dict(zip(names, parameters, strict=True))).to(pairs.displacements.device)
        self._pairs = pairs
        self._species = torch.zeros(pairs.n_atoms, dtype=torch.int64, device=pairs.displacements.device)

    def __call__(self, displacements: Tensor) -> Tensor:
        return self._function(displacements, self._pairs.centers, self._pairs.neighbors, self._species)

    def descriptor(self) -> Tensor:
        return self(self._pairs.displacements)

    def backward(self, g: Tensor) -> Tensor:
        r = self._pairs.displacements.clone().requires_grad_()
        return torch.autograd.grad(self(r), r, g)[0]

    def tangent(self, v: Tensor) -> Tensor:
        # The gradient of the gradient by g: linear in g.
        r = self._pairs.displacements.clone().requires_grad_()
        features = self(r)
        g = torch.zeros_like(features).requires_grad_()
        (slope,) = torch.autograd.grad(features, r, g, create_graph=True)
        return torch.autograd.grad(slope, g, v)[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--libraries", type=Path, metavar="FOLDER")
    parser.add_argument("--copies", type=int, help="of 512 atoms; default: 1 on the CPU, 128 on CUDA")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER", help="default: %(default)s")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load_operators(arguments.libraries)
    copies = arguments.copies or (1 if arguments.device == "cpu" else 128)
    result = measured(arguments.device, copies)
    print_result(result)
    name = "speed_operators" if arguments.device == "cpu" else "speed_operators_cuda"
    print(f"written: {write_result(name, result, arguments.output)}")
    return 0


def load_operators(folder: Path | None) -> None:
    if folder is None:
        from panna_plus.native.torch_libraries import load_ops

        load_ops()
        return
    # The operators find the engine in the process.
    ctypes.CDLL(str(folder / "libpanna_plus.so"), ctypes.RTLD_GLOBAL)
    torch.ops.load_library(folder / "libpanna_plus_ops.so")


def measured(device: str, copies: int) -> dict[str, Any]:
    pairs = silicon(4).repeated(copies, device)
    result: dict[str, Any] = {"device": device, "atoms": pairs.n_atoms, "pairs": len(pairs.displacements), "rows": []}
    exact = Operators(pairs, "double")
    for precision in ("double", "mixed"):
        result["rows"].append({"name": precision, **times(Operators(pairs, precision), exact)})
    result["reference"] = beside_reference(device)
    result["training"] = [training(device, precision) for precision in ("double", "mixed")]
    return result


def times(found: Operators | Reference, exact: Operators) -> dict[str, float]:
    """Return microseconds per atom of each operator, and how much it differs from the exact one."""
    torch.manual_seed(0)
    values = exact.descriptor()
    g = torch.randn_like(values)
    v = torch.randn_like(exact.backward(g))
    calls: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], list[Tensor]]] = {
        "descriptor": (found.descriptor, exact.descriptor, []),
        "backward": (found.backward, exact.backward, [g]),
        "tangent": (found.tangent, exact.tangent, [v]),
    }
    row = {}
    for name, (call, expected, inputs) in calls.items():
        row[f"{name}_us"] = 1e6 * time_of(lambda call=call, inputs=inputs: call(*inputs), values.device) / len(values)
        wanted = expected(*inputs)
        row[f"{name}_difference"] = float((call(*inputs) - wanted).norm() / wanted.norm())
    return row


def beside_reference(device: str) -> dict[str, Any]:
    """Time the PyTorch reference on 64 atoms, where it can be imported."""
    pairs = silicon(2).repeated(1, device)
    exact = Operators(pairs, "double")
    try:
        reference = Reference(pairs, exact.parameters)
    except ImportError as error:
        return {"skipped": f"the package's dependencies are not installed: {error}"}
    return {"atoms": pairs.n_atoms, "compiled": times(exact, exact), "pytorch": times(reference, exact)}


def time_of(call: Callable[[], object], device: torch.device) -> float:
    """Return the median time of a call, seconds: processor time, on a GPU wall time."""
    call()
    found: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(found) < 3 or time.perf_counter() < end:
        start = now(device)
        call()
        found.append(now(device) - start)
    return median(found)


def now(device: torch.device) -> float:
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def training(device: str, precision: str) -> dict[str, Any]:
    """Take steps on frames of 64 atoms with cached values."""
    batch = BATCH if device == "cpu" else 8 * BATCH
    pairs = silicon(FRAME_CELLS).repeated(batch, device)
    operators = Operators(pairs, precision)
    features = operators.descriptor().requires_grad_()
    mean, scale = features.detach().mean(dim=0), features.detach().std(dim=0) + 1e-3
    torch.manual_seed(0)
    widths = [features.shape[1], 128, 64]
    layers = [part for a, b in pairwise(widths) for part in (torch.nn.Linear(a, b), torch.nn.SiLU())]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1)).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    wanted = torch.randn(pairs.n_atoms, 3, dtype=torch.float64, device=device)

    def step() -> None:
        optimizer.zero_grad()
        energies = network(((features - mean) / scale).float()).double()
        (g,) = torch.autograd.grad(energies.sum(), features, create_graph=True)
        slope = operators.backward(g)
        forces = torch.zeros_like(wanted).index_add(0, pairs.centers, slope).index_add(0, pairs.neighbors, -slope)
        loss = (forces - wanted).square().mean() + energies.view(batch, -1).sum(dim=1).square().mean()
        loss.backward(inputs=list(network.parameters()))
        optimizer.step()

    seconds = time_of(step, features.device)
    return {"precision": precision, "frames": batch, "atoms": pairs.n_atoms, "frames_per_second": batch / seconds}


def print_result(result: dict[str, Any]) -> None:
    n_atoms, n_pairs = result["atoms"], result["pairs"]
    print(f"{n_atoms} atoms, {n_pairs / n_atoms:.1f} pairs each, {result['device']}; µs per atom:")
    rows = [(row["name"], row) for row in result["rows"]]
    if "pytorch" in result["reference"]:
        rows += [(f"{name}, 64 atoms", result["reference"][name]) for name in ("compiled", "pytorch")]
    else:
        print(f"no PyTorch reference: {result['reference']['skipped']}")
    for name, row in rows:
        parts = [f"{what} {row[f'{what}_us']:.3g}" for what in ("descriptor", "backward", "tangent")]
        worst = max(row[f"{what}_difference"] for what in ("descriptor", "backward", "tangent"))
        print(f"  {name:20s} {', '.join(parts)}; differs by {worst:.0e}")
    for row in result["training"]:
        print(f"  training, {row['precision']}: {row['frames_per_second']:.1f} frames of 64 atoms per second")


if __name__ == "__main__":
    raise SystemExit(main())
