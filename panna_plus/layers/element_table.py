"""Learned numbers that belong to elements."""

from collections.abc import Sequence

import torch
from torch import Tensor


class ElementTable(torch.nn.Module):
    """One row of learned numbers per element.

    Parameters
    ----------
    weight : (n_elements, n) float
        Rows in species order.
    """

    rows: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)
        self.register_buffer("rows", torch.arange(weight.shape[0]), persistent=False)

    def index_by(self, rows: Sequence[int], n_rows: int) -> None:
        """Give the table `n_rows` rows, of which species s has `rows[s]`: tables of other programs hold all elements.

        Raises
        ------
        ValueError
            If an element lies outside.
        """
        if max(rows) >= n_rows:
            raise ValueError(f"a table of {n_rows} rows has none for atomic number {max(rows)}")
        self.weight = torch.nn.Parameter(self.weight.new_zeros(n_rows, self.weight.shape[1]))
        self.rows = torch.tensor(rows, device=self.rows.device)

    def forward(self, species: Tensor) -> Tensor:
        """Return the rows of atoms, (n_atoms, n)."""
        return self.weight.index_select(0, self.rows[species])
