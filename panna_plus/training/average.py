"""The exponential moving average of a potential's weights, which is what is validated and exported."""

import copy
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from panna_plus.potential import Potential


class WeightAverage:
    """A copy of a potential whose weights follow the original's.

    torch's `AveragedModel` does the same, but walks through all modules at every step, which takes longer than the
    rest of the optimizer for networks of this size.

    Parameters
    ----------
    potential : Potential
        The first update takes over its weights as they are then.
    decay : float
        Weight of the average so far at every further update.
    """

    def __init__(self, potential: Potential, decay: float):
        self.potential = copy.deepcopy(potential).requires_grad_(False)
        self.n_updates = 0
        self._live = list(potential.parameters())
        self._average = list(self.potential.parameters())
        self._move: Any = get_ema_multi_avg_fn(decay)

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights as they are now into the average."""
        if self.n_updates == 0:
            for average, live in zip(self._average, self._live, strict=True):
                average.copy_(live)
        else:
            self._move(self._average, self._live, self.n_updates)
        self.n_updates += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights and the number of updates."""
        return {"n_averaged": torch.tensor(self.n_updates), **self.potential.state_dict(prefix="module.")}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` returned."""
        self.n_updates = int(state["n_averaged"])
        prefix = "module."
        self.potential.load_state_dict({n[len(prefix) :]: t for n, t in state.items() if n.startswith(prefix)})
