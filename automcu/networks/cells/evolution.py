"""Which cell to train next: evolution over the feasible set, guided by what was trained.

The first cells are those that promise most untrained. After that, children of the best ones (one
operation changed, and some with two) and what else promises much are rated by the predictor, and
the one with the highest upper confidence bound is trained (Srinivas et al., "Gaussian Process
Optimization in the Bandit Setting", ICML 2010; White et al., "BANANAS", AAAI 2021, which mutates
the best cells and lets a predictor choose among the children).

Nothing is kept between calls: the answer follows from the pool, what was trained and the seed. So
a search resumes from its records, and several workers can ask.
"""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from automcu.networks.cells.pool import CellPool, Column
from automcu.networks.cells.predictor import predict
from automcu.networks.family import FIRST_PROPOSALS

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
