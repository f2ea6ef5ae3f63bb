"""The searches that `benchmarks.nas` compares: our planner, without its parts, and controls.

Each one asks an `Oracle` to train cells until there are no queries left, and sees nothing else of
the accuracies. The planner's go through `plan` and `next_proposal`, as `automcu design` does: same
prior, same choices, same use of the seed. Controls choose among feasible cells only, so they too
waste no query.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from automcu.networks.cells.cell import OPERATIONS, Cell, all_cells
from automcu.networks.cells.plan import plan
from automcu.networks.cells.prior import CellPool, RankedCells, expected_synflow, rank_cells
from automcu.networks.cells.search import next_cell, next_proposal
from automcu.networks.cells.skeleton import Survey
from automcu.networks.family import Observation

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


@dataclass(frozen=True, eq=False)
class Task:
    """What a search may know of the cells: the same as a run of `automcu design`.

    The surveys hold the cells that fit: `with_table` with the accuracies of the embedded table,
    None where that table is of the data set in question, `without_table` with none. `whole_space`
    has every connected cell.
    """

    with_table: Survey | None
    without_table: Survey
    whole_space: Survey
    latency_limit_ms: float | None

    @cached_property
    def feasible(self) -> Sequence[int]:
        """The cells that fit, ascending."""
        return sorted(cell.index for cell in self.without_table.feasible_cells)

    @cached_property
    def ranked_with_table(self) -> RankedCells:
        """The cells that fit by the prior of a run with the embedded table."""
        assert self.with_table, "no search with a table is run on the table's own data set"
        return rank_cells(self.with_table, self.latency_limit_ms)

    @cached_property
    def ranked_without_table(self) -> RankedCells:
        """The same by the prior of a run without any table."""
        return rank_cells(self.without_table, self.latency_limit_ms)

    @cached_property
    def ranked_whole_space(self) -> RankedCells:
        """Every connected cell, by the prior of a run without any table."""
        return rank_cells(self.whole_space, None)


Search = Callable[[Oracle, Task, int], None]
"""Takes the oracle, what may be known and a seed."""


def planner_with_table(oracle: Oracle, task: Task, seed: int) -> None:
    _design(oracle, task.ranked_with_table, seed)


def planner_without_table(oracle: Oracle, task: Task, seed: int) -> None:
    _design(oracle, task.ranked_without_table, seed)


def without_feasibility(oracle: Oracle, task: Task, seed: int) -> None:
    _design(oracle, task.ranked_whole_space, seed)


def _design(oracle: Oracle, ranked: RankedCells, seed: int) -> None:
    """Plan and propose with the functions that `automcu design` calls, in one skeleton."""
    proposals = plan([ranked], budget=oracle.left, seed=seed)
    seen: list[Observation] = []
    while proposal := next_proposal(
        proposals, lambda _: ranked, seen, seed=seed, rank=len(seen) + 1
    ):
        accuracy = oracle.train(proposal.architecture.index)
        seen.append(Observation(architecture=proposal.architecture, accuracy_percent=accuracy))


def without_prior(oracle: Oracle, task: Task, seed: int) -> None:
    pool, trained = CellPool.rated(task.feasible, None), dict[int, float]()
    while (index := next_cell(pool, trained, seed)) is not None:
        trained[index] = oracle.train(index) or 0.0


def first_by_table(oracle: Oracle, task: Task, seed: int) -> None:
    del seed
    _in_order(oracle, task.ranked_with_table.scores)


def first_by_flow_and_work(oracle: Oracle, task: Task, seed: int) -> None:
    del seed
    _in_order(oracle, task.ranked_without_table.scores)


def first_by_synflow(oracle: Oracle, task: Task, seed: int) -> None:
    del seed
    flow = expected_synflow(task.without_table.skeleton)
    _in_order(oracle, {index: float(flow[index]) for index in task.feasible})


def _in_order(oracle: Oracle, ratings: Mapping[int, float]) -> None:
    """Train the best rated cells first, and no network twice."""
    networks = set[Cell]()
    for index in sorted(ratings, key=lambda index: (-ratings[index], index)):
        network = all_cells()[index].without_dead_edges()
        if network not in networks:
            networks.add(network)
            oracle.train(index)


def random(oracle: Oracle, task: Task, seed: int) -> None:
    for index in np.random.default_rng(seed).permutation(task.feasible):
        oracle.train(int(index))


def regularised_evolution(oracle: Oracle, task: Task, seed: int) -> None:
    """Real et al., "Regularized Evolution for Image Classifier Architecture Search"."""
    generator, allowed = np.random.default_rng(seed), frozenset(task.feasible)
    population: deque[tuple[float, int]] = deque(maxlen=_POPULATION)
    for index in generator.choice(task.feasible, _POPULATION, replace=False):
        population.append((oracle.train(int(index)) or 0.0, int(index)))
    while True:
        drawn = generator.choice(len(population), _SAMPLE, replace=False)
        parent = max(population[at] for at in drawn)[1]
        child = _mutated(parent, allowed, generator)
        population.append((oracle.train(child) or 0.0, child))


def hill_climbing(oracle: Oracle, task: Task, seed: int) -> None:
    """From 3x3 convolutions everywhere (or a random cell, where that does not fit) to the first
    better neighbour, in random order; at a summit anew from a random cell."""
    generator, allowed = np.random.default_rng(seed), frozenset(task.feasible)
    seen: dict[int, float] = {}
    here = _ALL_3X3.index if _ALL_3X3.index in allowed else int(generator.choice(task.feasible))
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
    "offline planner, CIFAR-10 table": planner_with_table,
    "offline planner, no table": planner_without_table,
    "offline planner without prior": without_prior,
    "offline planner without feasibility": without_feasibility,
    "first by CIFAR-10 table": first_by_table,
    "first by flow and work": first_by_flow_and_work,
    "first by synflow": first_by_synflow,
    "hill climbing": hill_climbing,
    "regularised evolution": regularised_evolution,
    "random": random,
}

NEED_A_TABLE = frozenset(("offline planner, CIFAR-10 table", "first by CIFAR-10 table"))

ABLATIONS = frozenset(("offline planner without prior", "offline planner without feasibility"))
WITHOUT_CHANCE = frozenset(
    ("first by CIFAR-10 table", "first by flow and work", "first by synflow")
)
