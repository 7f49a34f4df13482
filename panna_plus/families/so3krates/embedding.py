"""First features of atoms: of the element, the total charge and the unpaired electrons. No geometry enters."""

import math

import torch
from torch import Tensor

from panna_plus.families.so3krates.config import So3kratesConfig
from panna_plus.graph import FrameStates, sum_by_index
from panna_plus.layers.element_table import ElementTable
from panna_plus.layers.initialization import linear, normal_rows


class Embedding(torch.nn.Module):
    """``x_i = (W_Z + e_charge + e_spin) / sqrt(number of embeddings)``.

    References
    ----------
    Frank, Unke, Müller and Chmiela, Nat. Commun. 15, 6539 (2024), eq. 10.
    """

    def __init__(self, config: So3kratesConfig, n_elements: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        n = config.n_features
        self.elements = ElementTable(normal_rows(n_elements, n, generator, dtype))
        self.charge = StateEmbedding(n, n_elements, generator, dtype) if config.charge_embedding else None
        self.spin = StateEmbedding(n, n_elements, generator, dtype) if config.spin_embedding else None
        self.scale = 1.0 / math.sqrt(1 + config.charge_embedding + config.spin_embedding)

    def forward(self, species: Tensor, states: FrameStates) -> Tensor:
        """Return features (n_atoms, F)."""
        x = self.elements(species)
        if self.charge is not None:
            x = x + self.charge(species, states.charges, states)
        if self.spin is not None:
            x = x + self.spin(species, states.spins, states)
        return x * self.scale


class StateEmbedding(torch.nn.Module):
    """Shares a number of each frame, its charge or its unpaired electrons, out among the atoms:

    ``y_i = softplus(q_Z . k_s / sqrt(F))``, ``a_i = psi y_i / sum_j y_j``, ``e = a_i v_s``, and the result is
    ``e + D2(silu(D1(silu(e))))``; s is the sign of psi. A frame with psi = 0 gives exactly 0.

    References
    ----------
    Unke, Chmiela, Gastegger, Schütt, Sauceda and Müller, Nat. Commun. 12, 7273 (2021).
    """

    def __init__(self, n_features: int, n_elements: int, generator: torch.Generator, dtype: torch.dtype):
        super().__init__()
        self.query = ElementTable(normal_rows(n_elements, n_features, generator, dtype))
        self.keys = torch.nn.Parameter(normal_rows(2, n_features, generator, dtype))
        self.values = torch.nn.Parameter(normal_rows(2, n_features, generator, dtype))
        self.inner = linear(n_features, n_features, generator, dtype, bias=False)
        self.outer = linear(n_features, n_features, generator, dtype, bias=False)

    def forward(self, species: Tensor, psi: Tensor, states: FrameStates) -> Tensor:
        """Return what is added to the features, (n_atoms, F), for psi (n_frames,) float64."""
        of_atoms = psi[states.of_atoms]
        sign = (of_atoms < 0.0).to(torch.int64)
        query, keys = self.query(species), self.keys[sign]
        weights = torch.nn.functional.softplus((query * keys).sum(dim=1) / math.sqrt(keys.shape[1]))
        owned = torch.where(states.is_owned, weights, torch.zeros_like(weights))
        shares = weights / sum_by_index(owned, states.of_atoms, psi.shape[0])[states.of_atoms]
        e = (of_atoms.to(shares.dtype) * shares).unsqueeze(1) * self.values[sign]
        silu = torch.nn.functional.silu
        return e + self.outer(silu(self.inner(silu(e))))
