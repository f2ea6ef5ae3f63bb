"""The next network to train: first those of the plan, then what training has taught.

The plan's proposals differ in skeleton and cell, so the first few show which skeleton is worth
more. After them, cells evolve in the skeleton of the best network so far: children of the best ones
(one operation changed, and some with two) and what else promises much are rated by a predictor, and
the one with the highest upper confidence bound is trained (Srinivas et al., "Gaussian Process
Optimization in the Bandit Setting", ICML 2010; White et al., "BANANAS", AAAI 2021, which mutates
the best cells and lets a predictor choose among the children).

The predictor is a Gaussian process over cells (Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2006, algorithm 2.1). Two cells are alike as far as they share operations edge by
edge, and as far as depth, paths and operation counts agree: half of the variance each. Constants
are rough and fixed, so that ten observations are enough.

Nothing is kept between calls: the answer follows from the pool, what was trained and the seed. So
a search resumes from its records, and several workers can ask.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from automcu.networks.cells.cell import Cell
from automcu.networks.cells.prior import EDGE_COUNT, CellPool, Column, RankedCells
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.family import FIRST_PROPOSALS, Network, Observation, Proposal

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


_PARENTS = 5
_GRANDCHILDREN_PER_PARENT = 12
_PROMISING = 40
_WEIGHT_OF_DOUBT = 1.0
_WEIGHT_OF_PROMISE = 0.1
# Small beside what tells cells apart: the seed decides between near equals.
_SEED_JITTER = 0.02


def next_cell(
    pool: CellPool,
    trained: Mapping[int, float],
    seed: int,
    pending: Collection[int] = (),
) -> int | None:
    """Return the index of the cell to train next; None where every network was tried.

    Args:
        pool: the cells that fit.
        trained: validation accuracy in percent by cell index, of cells in the pool.
        seed: decides between near equals.
        pending: cells that were chosen and have no accuracy yet, or failed.
    """
    known = [index for index in trained if index in pool.position]
    generator = np.random.default_rng([seed, len(known) + len(pending)])
    chosen = [pool.position[index] for index in {*known, *pending} if index in pool.position]
    open_to_choice = ~np.isin(pool.names, pool.names[chosen])
    jitter = generator.normal(0.0, _SEED_JITTER, len(pool))
    if not pool.promise.any():
        jitter = generator.random(len(pool))
    promise = np.where(open_to_choice, pool.promise + jitter, -np.inf)
    if not open_to_choice.any():
        return None
    if len(chosen) < FIRST_PROPOSALS or not known:
        return int(pool.indices[np.argmax(promise)])
    accuracies = {index: trained[index] for index in known}
    return _best_child(pool, accuracies, promise, generator, jitter)


def _best_child(
    pool: CellPool,
    trained: Mapping[int, float],
    promise: Column,
    generator: np.random.Generator,
    jitter: Column,
) -> int:
    observed = np.array([pool.position[index] for index in trained])
    accuracies = np.array(list(trained.values()))
    smoothed = predict(pool, observed, accuracies, observed).mean
    parents = [*observed[np.argsort(-smoothed, kind="stable")[:_PARENTS]]]
    parents.append(observed[np.argmax(accuracies)])
    kept = min(_PROMISING, len(pool))
    promising = np.argpartition(-promise, kept - 1)[:kept]
    wanted = np.union1d(promising, _children(pool, parents, generator))
    wanted = wanted[np.isfinite(promise[wanted])]
    prediction = predict(pool, observed, accuracies, wanted)
    bound = prediction.mean + _WEIGHT_OF_DOUBT * prediction.deviation
    bound += _WEIGHT_OF_PROMISE * pool.promise[wanted] + np.clip(jitter[wanted], -0.1, 0.1)
    return int(pool.indices[wanted[np.argmax(bound)]])


def _children(
    pool: CellPool, parents: list[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return positions of the parents' neighbours, and of some of their neighbours'."""
    found: set[int] = set()
    for parent in parents:
        near = pool.neighbours(int(pool.indices[parent]))
        found.update(pool.position[index] for index in near)
        for _ in range(_GRANDCHILDREN_PER_PARENT if near else 0):
            further = pool.neighbours(near[generator.integers(len(near))])
            found.add(pool.position[further[generator.integers(len(further))]])
    return np.array(sorted(found), dtype=np.int64)


@dataclass(frozen=True)
class _Seen:
    """A network that was chosen before: the cell's number, and what is known of it now."""

    architecture: Architecture
    index: int
    percent: float | None

    @property
    def network(self) -> tuple[Skeleton, Cell]:
        """Equal where the trained network is the same."""
        return _network(self.architecture)


def next_proposal(
    planned: Sequence[Proposal],
    ranked: Callable[[Skeleton], RankedCells],
    observations: Sequence[Observation],
    *,
    seed: int,
    rank: int,
) -> Proposal | None:
    """Return the next network to train; None where all that fits was tried.

    Args:
        planned: the plan's own, the most promising first.
        ranked: finds the cells that fit in a skeleton of the plan.
        observations: every cell chosen so far, by this run or by others of the same study.
        seed: decides between near equals.
        rank: the proposal's number in its run.
    """
    seen = [
        _Seen(one.architecture, one.architecture.index, one.accuracy_percent)
        for one in observations
        if isinstance(one.architecture, Architecture)
    ]
    tried = {one.network for one in seen}
    fresh = [one for one in planned if _network(one.architecture) not in tried]
    trained = [one for one in seen if one.percent is not None]
    if fresh and (len(seen) < FIRST_PROPOSALS or not trained):
        return fresh[0].model_copy(update={"rank": rank})
    if not trained:
        return None
    best = max(trained, key=lambda one: (one.percent or 0.0, -one.index))
    evolved = _evolved(ranked(best.architecture.skeleton), seen, seed, rank)
    if evolved is None and fresh:
        return fresh[0].model_copy(update={"rank": rank})
    return evolved


def _evolved(ranked: RankedCells, seen: Sequence[_Seen], seed: int, rank: int) -> Proposal | None:
    here = [one for one in seen if one.architecture.skeleton == ranked.skeleton]
    index = next_cell(
        ranked.pool,
        {one.index: one.percent for one in here if one.percent is not None},
        seed,
        [one.index for one in here if one.percent is None],
    )
    return None if index is None else ranked.proposal(index, rank)


def _network(network: Network) -> tuple[Skeleton, Cell]:
    assert isinstance(network, Architecture), "plans of cells hold nothing else"
    return network.skeleton, Cell.parse(network.cell).without_dead_edges()
