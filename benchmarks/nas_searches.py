"""The searches that `benchmarks.nas` compares: our planner, without its parts, and controls.

Each one asks an `Oracle` to train cells until there are no queries left, and sees nothing else of
the accuracies. Controls choose among feasible cells only, so they too waste no query.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from automcu.planner import CellPool, next_cell, zero_cost_rating
from automcu.space import OPERATIONS, Cell, all_cells

Column = NDArray[np.float64]
Generator = np.random.Generator

# Real et al., AAAI 2019, use 100 and 25 for 20,000 models; scaled to runs of 10 to 100.
_POPULATION = 10
_SAMPLE = 3
_ALL_3X3 = Cell(("nor_conv_3x3",) * 6)


class OutOfQueriesError(Exception):
    """The oracle has answered as often as it may."""


class Oracle:
    """Answers "train this cell" with its validation accuracy, so many times."""

    def __init__(self, accuracies: Column, feasible: Sequence[int], queries: int) -> None:
        self._accuracies, self._feasible, self._left = accuracies, frozenset(feasible), queries
        self.trained: list[int | None] = []

    @property
    def left(self) -> int:
        """How many more cells it trains."""
        return self._left - len(self.trained)

    def train(self, index: int) -> float | None:
        """Return the accuracy in percent; None where the cell does not fit, which costs as much.

        Raises:
            OutOfQueriesError: there are none left.
        """
        if len(self.trained) == self._left:
            raise OutOfQueriesError
        fits = index in self._feasible
        self.trained.append(index if fits else None)
        return float(self._accuracies[index]) if fits else None


Search = Callable[[Oracle, Sequence[int], Column, int], None]
"""Takes the oracle, the feasible cells, the rating of untrained cells and a seed."""


def planner(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    _plan(oracle, CellPool.rated(feasible, zero_cost_rating(rating, feasible)), seed)


def without_prior(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    _plan(oracle, CellPool.rated(feasible, None), seed)


def without_feasibility(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    connected = np.flatnonzero(np.isfinite(rating)).tolist()
    _plan(oracle, CellPool.rated(connected, zero_cost_rating(rating, connected)), seed)


def _plan(oracle: Oracle, pool: CellPool, seed: int) -> None:
    trained: dict[int, float] = {}
    failed: list[int] = []
    while (index := next_cell(pool, trained, seed, failed)) is not None:
        accuracy = oracle.train(index)
        if accuracy is None:
            failed.append(index)
        else:
            trained[index] = accuracy


def first_by_synflow(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    del seed
    for index in sorted(feasible, key=lambda index: (-rating[index], index)):
        oracle.train(index)


def first_by_prior(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    first_by_synflow(oracle, feasible, zero_cost_rating(rating, feasible), seed)


def random(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    del rating
    for index in np.random.default_rng(seed).permutation(feasible):
        oracle.train(int(index))


def regularised_evolution(
    oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int
) -> None:
    """Real et al., "Regularized Evolution for Image Classifier Architecture Search"."""
    del rating
    generator, allowed = np.random.default_rng(seed), frozenset(feasible)
    population: deque[tuple[float, int]] = deque(maxlen=_POPULATION)
    for index in generator.choice(feasible, _POPULATION, replace=False):
        population.append((oracle.train(int(index)) or 0.0, int(index)))
    while True:
        drawn = generator.choice(len(population), _SAMPLE, replace=False)
        parent = max(population[at] for at in drawn)[1]
        child = _mutated(parent, allowed, generator)
        population.append((oracle.train(child) or 0.0, child))


def hill_climbing(oracle: Oracle, feasible: Sequence[int], rating: Column, seed: int) -> None:
    """From 3x3 convolutions everywhere (or a random cell, where that does not fit) to the first
    better neighbour, in random order; at a summit anew from a random cell."""
    del rating
    generator, allowed = np.random.default_rng(seed), frozenset(feasible)
    seen: dict[int, float] = {}
    here = _ALL_3X3.index if _ALL_3X3.index in allowed else int(generator.choice(feasible))
    while len(seen) < len(allowed):
        if here not in seen:
            seen[here] = oracle.train(here) or 0.0
        here = _climb(oracle, here, allowed, seen, generator)


def _climb(
    oracle: Oracle,
    here: int,
    allowed: frozenset[int],
    seen: dict[int, float],
    generator: Generator,
) -> int:
    near = [index for index in _neighbours(here) if index in allowed and index not in seen]
    for index in generator.permutation(np.array(near, dtype=np.int64)).tolist():
        seen[index] = oracle.train(index) or 0.0
        if seen[index] > seen[here]:
            return int(index)
    return int(generator.choice([index for index in sorted(allowed) if index not in seen]))


def _mutated(parent: int, allowed: frozenset[int], generator: Generator) -> int:
    """One operation changed, to a cell that fits; a random one where no neighbour does."""
    near = [index for index in _neighbours(parent) if index in allowed]
    return int(generator.choice(near or sorted(allowed)))


def _neighbours(index: int) -> list[int]:
    edges = all_cells()[index].edges
    return [
        Cell((*edges[:at], operation, *edges[at + 1 :])).index
        for at in range(len(edges))
        for operation in OPERATIONS
        if operation != edges[at]
    ]


SEARCHES: Mapping[str, Search] = {
    "offline planner": planner,
    "offline planner without prior": without_prior,
    "offline planner without feasibility": without_feasibility,
    "first by the planner's prior": first_by_prior,
    "first by synflow": first_by_synflow,
    "hill climbing": hill_climbing,
    "regularised evolution": regularised_evolution,
    "random": random,
}
