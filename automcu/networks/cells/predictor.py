"""What a few trained cells say about the others: a Gaussian process over cells.

Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 2.1. Two cells
are alike as far as they share operations edge by edge, and as far as depth, paths and operation
counts agree: half of the variance each. Constants are rough and fixed, so that ten
observations are enough.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from automcu.networks.cells.pool import EDGE_COUNT, CellPool, Column

_EDITS_OF_LIKENESS = 2.0
_FEATURE_DISTANCE = 0.5
# Accuracies of one cell trained from other seeds differ by about a third of what good cells do.
_NOISE = 0.1
# Percent; a few cells that happen to be equal must not make a small difference look large.
_LEAST_SPREAD = 0.3


@dataclass(frozen=True, eq=False)
class Prediction:
    """Mean and standard deviation of cells' accuracies, in spreads of what was observed."""

    mean: Column
    deviation: Column


def predict(
    pool: CellPool, observed: NDArray[np.int64], accuracies: Column, wanted: NDArray[np.int64]
) -> Prediction:
    """Predict cells from observed ones.

    Args:
        pool: the cells.
        observed: positions in the pool that were trained; at least one.
        accuracies: their accuracies in percent.
        wanted: positions to predict.
    """
    spread = max(float(accuracies.std()), _LEAST_SPREAD)
    targets = (accuracies - np.median(accuracies)) / spread
    covariance = _likeness(pool, observed, observed) + _NOISE * np.eye(len(observed))
    root = cho_factor(covariance, lower=True)
    weights = cho_solve(root, targets)
    shared = _likeness(pool, wanted, observed)
    explained = np.square(solve_triangular(root[0], shared.T, lower=True)).sum(axis=0)
    return Prediction(shared @ weights, np.sqrt(np.maximum(1.0 - explained, 1e-9)))


def _likeness(pool: CellPool, one: NDArray[np.int64], other: NDArray[np.int64]) -> Column:
    """Return covariances [len(one), len(other)], one for a cell and itself."""
    operations, features = pool.operations, pool.features
    edits = EDGE_COUNT - operations[one] @ operations[other].T
    first, second = features[one], features[other]
    lengths, others = np.square(first).sum(axis=1), np.square(second).sum(axis=1)
    squared = lengths[:, None] + others[None, :] - 2 * first @ second.T
    by_edge = np.exp(-edits / _EDITS_OF_LIKENESS)
    by_feature = np.exp(-squared / (2 * _FEATURE_DISTANCE**2))
    return np.asarray((by_edge + by_feature) / 2, dtype=np.float64)
