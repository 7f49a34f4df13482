"""How far an atom's descriptor values lie from those of the training atoms of its element.

The measure is a Mahalanobis distance with a regularized covariance, the square root of what statistics calls leverage.
With x = (G - mean) / deviation, C the covariance of x over the training atoms, and c the trace of C (C + ridge)^-1,

    extrapolation^2 = x^T (C + ridge)^-1 x / c,

so that the root mean square over the training atoms is 1. Stored are the directions in which C is not small beside the
ridge; in all others (C + ridge) is taken for the ridge alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Variance of standardized features below which a direction counts as never seen. From 1e-2 to 1e-8 the measure follows
# the errors of forces equally well (benchmarks/accuracy/uncertainty.py).
RIDGE = 1e-3
# Directions with less variance than this fraction of the ridge are not stored.
NEGLIGIBLE = 0.1
NAMES = ("n_atoms", "mean", "deviation", "components", "variances", "ridge", "largest")


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and covariance of the F descriptor values of one element's training atoms.

    Attributes
    ----------
    n_atoms : (1,) float64
        Number of training atoms.
    mean, deviation : (F,) float64
    components : (K, F) float32
        Orthonormal directions in the space of x = (G - mean) / deviation.
    variances : (K + 1,) float64
        Of x along the components; the last entry is the sum over all other directions.
    ridge : (1,) float64
    largest : (1,) float64
        Extrapolation of the training atom that lies furthest out.
    """

    n_atoms: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    ridge: np.ndarray
    largest: np.ndarray

    def extrapolation(self, features: np.ndarray) -> np.ndarray:
        """Return the measure, (n_atoms,), of descriptor values (n_atoms, F)."""
        x = (features - self.mean) / self.deviation
        along = np.square(x @ self.components.T.astype(np.float64))
        ridge, variances = self.ridge[0], self.variances
        beside = np.maximum(np.square(x).sum(axis=1) - along.sum(axis=1), 0.0)
        normal = (variances[:-1] / (variances[:-1] + ridge)).sum() + variances[-1] / ridge
        return np.sqrt((along @ (1.0 / (variances[:-1] + ridge)) + beside / ridge) / max(normal, 1.0))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what a model file stores, by name."""
        return {name: getattr(self, name) for name in NAMES}


def statistics_of(features: np.ndarray) -> FeatureStatistics:
    """Gather the statistics of training atoms from their descriptor values, (n_atoms, F)."""
    if len(features) == 0:
        features = np.zeros((1, features.shape[1]))
    mean, variance = features.mean(axis=0), features.var(axis=0)
    centered = features - mean
    found = from_covariance(len(features), mean, centered.T @ centered / len(features), variance)
    return with_largest(found, float(found.extrapolation(features).max()))


def from_covariance(
    n_atoms: float, mean: np.ndarray, covariance: np.ndarray, variance: np.ndarray
) -> FeatureStatistics:
    """Decompose a covariance (F, F); `variance` is its diagonal."""
    deviation = np.sqrt(variance)
    # A feature that never varies would make every rounding error look like news.
    deviation = np.maximum(deviation, max(1e-3 * deviation.max(), 1e-6))
    values, vectors = np.linalg.eigh(covariance / np.outer(deviation, deviation))
    kept = values > NEGLIGIBLE * RIDGE
    kept[-1] = True
    variances = np.append(values[kept], np.maximum(values[~kept], 0.0).sum())
    components = np.ascontiguousarray(vectors[:, kept].T, dtype=np.float32)
    one = np.ones(1)
    return FeatureStatistics(n_atoms * one, mean, deviation, components, variances, RIDGE * one, one)


def with_largest(statistics: FeatureStatistics, largest: float) -> FeatureStatistics:
    """Return the statistics with what the furthest training atom has."""
    return FeatureStatistics(**{**statistics.arrays(), "largest": np.array([largest])})


def pooled(parts: Sequence[FeatureStatistics]) -> FeatureStatistics:
    """Return the statistics of all training atoms of several models together; of one, unchanged."""
    if all(same(part, parts[0]) for part in parts):
        return parts[0]
    n_atoms = sum(float(p.n_atoms[0]) for p in parts)
    shares = [float(p.n_atoms[0]) / n_atoms for p in parts]
    mean = np.sum([share * p.mean for share, p in zip(shares, parts, strict=True)], axis=0)
    covariance = np.zeros((len(mean), len(mean)))
    for share, part in zip(shares, parts, strict=True):
        scaled = part.components * part.deviation
        away = part.mean - mean
        covariance += share * (scaled.T @ (scaled * part.variances[:-1, None]) + np.outer(away, away))
    found = from_covariance(n_atoms, mean, covariance, np.diagonal(covariance))
    return with_largest(found, max(float(p.largest[0]) for p in parts))


def same(a: FeatureStatistics, b: FeatureStatistics) -> bool:
    """Tell whether two statistics are equal."""
    return all(np.array_equal(x, y) for x, y in zip(a.arrays().values(), b.arrays().values(), strict=True))
