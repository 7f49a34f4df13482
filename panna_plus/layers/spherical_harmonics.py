"""Real spherical harmonics up to degree 4, as homogeneous polynomials of a unit vector."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

HIGHEST_DEGREE = 4

# Degree -> harmonics for m = -l ... l: the square of the prefactor times pi, and the polynomial it multiplies.
# Powers of x² + y² + z² = 1 complete each polynomial to its degree: 3 z² - 1 is 2 z² - x² - y².
HARMONICS: dict[int, list[tuple[float, dict[str, float]]]] = {
    0: [(1 / 4, {"": 1})],
    1: [(3 / 4, {"y": 1}), (3 / 4, {"z": 1}), (3 / 4, {"x": 1})],
    2: [
        (15 / 4, {"xy": 1}),
        (15 / 4, {"yz": 1}),
        (5 / 16, {"zz": 2, "xx": -1, "yy": -1}),
        (15 / 4, {"xz": 1}),
        (15 / 16, {"xx": 1, "yy": -1}),
    ],
    3: [
        (35 / 32, {"xxy": 3, "yyy": -1}),
        (105 / 4, {"xyz": 1}),
        (21 / 32, {"yzz": 4, "xxy": -1, "yyy": -1}),
        (7 / 16, {"zzz": 2, "xxz": -3, "yyz": -3}),
        (21 / 32, {"xzz": 4, "xxx": -1, "xyy": -1}),
        (105 / 16, {"xxz": 1, "yyz": -1}),
        (35 / 32, {"xxx": 1, "xyy": -3}),
    ],
    4: [
        (315 / 16, {"xxxy": 1, "xyyy": -1}),
        (315 / 32, {"xxyz": 3, "yyyz": -1}),
        (45 / 16, {"xyzz": 6, "xxxy": -1, "xyyy": -1}),
        (45 / 32, {"yzzz": 4, "xxyz": -3, "yyyz": -3}),
        (9 / 256, {"zzzz": 8, "xxzz": -24, "yyzz": -24, "xxxx": 3, "xxyy": 6, "yyyy": 3}),
        (45 / 32, {"xzzz": 4, "xxxz": -3, "xyyz": -3}),
        (45 / 64, {"xxzz": 6, "yyzz": -6, "xxxx": -1, "yyyy": 1}),
        (315 / 32, {"xxxz": 1, "xyyz": -3}),
        (315 / 256, {"xxxx": 1, "xxyy": -6, "yyyy": 1}),
    ],
}


class SphericalHarmonics(torch.nn.Module):
    """Real spherical harmonics of unit vectors, orthonormal on the sphere.

    A product of monomials and coefficients: one matrix instead of a hundred small operations.

    Parameters
    ----------
    degrees : sequence of int
        From 0 to 4.
    """

    matrix: Tensor
    parents: Tensor
    factors: Tensor

    def __init__(self, degrees: Sequence[int]):
        super().__init__()
        by_degree = [monomials(k) for k in range(max(degrees) + 1)]
        self.starts = [0, *itertools.accumulate(len(names) for names in by_degree)]
        names = [name for row in by_degree for name in row]
        # A monomial is another one of the degree below times its last variable.
        parents = [by_degree[len(n) - 1].index(n[:-1]) if n else 0 for n in names]
        factors = ["xyz".index(n[-1]) if n else 0 for n in names]
        self.register_buffer("parents", torch.tensor(parents), persistent=False)
        self.register_buffer("factors", torch.tensor(factors), persistent=False)
        columns = [harmonic for degree in degrees for harmonic in HARMONICS[degree]]
        matrix = torch.zeros(len(names), len(columns), dtype=torch.float64)
        for k, (square, polynomial) in enumerate(columns):
            for name, coefficient in polynomial.items():
                matrix[names.index(name), k] = math.sqrt(square / math.pi) * coefficient
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, units: Tensor) -> Tensor:
        """Return (n, sum of 2 l + 1) float64 of units (n, 3) float64.

        Degree by degree, inside each with m from -l to l; the squares of a degree add up to (2 l + 1) / (4 pi). A zero
        vector gives zeros for all degrees but 0, and finite derivatives.
        """
        powers = [torch.ones_like(units[:, :1])]
        for k in range(1, len(self.starts) - 1):
            start, end = self.starts[k], self.starts[k + 1]
            below = powers[k - 1].index_select(1, self.parents[start:end])
            powers.append(below * units.index_select(1, self.factors[start:end]))
        return torch.cat(powers, dim=1) @ self.matrix


def monomials(degree: int) -> list[str]:
    """Return the monomials of x, y and z of one degree, such as xxz, the variables in order."""
    return ["".join(letters) for letters in itertools.combinations_with_replacement("xyz", degree)]


def degree_of_components(degrees: Sequence[int]) -> Tensor:
    """Return, for each component of the listed degrees, the position of its degree in the list, int64."""
    return torch.repeat_interleave(torch.arange(len(degrees)), torch.tensor([2 * d + 1 for d in degrees]))
