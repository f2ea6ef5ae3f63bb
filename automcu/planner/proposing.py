"""The next network to train: first those of the plan, then what training has taught.

The plan's proposals differ in skeleton and cell, so the first few show which skeleton is worth
more. After them, cells evolve in the skeleton of the best network so far.
"""

from collections.abc import Callable, Sequence

import numpy as np

from automcu.cost.records import FeasibleCell, Survey
from automcu.planner.cell_pool import CellPool
from automcu.planner.evolution import FIRST_BY_PROMISE, next_cell
from automcu.planner.merit import merit
from automcu.planner.records import Observation, Plan, Proposal
from automcu.space import Architecture, Cell, Skeleton
from automcu.space.benchmark_order import CELL_COUNT


def next_proposal(
    plan: Plan,
    survey: Callable[[Skeleton], Survey],
    observations: Sequence[Observation],
    *,
    rank: int,
    latency_limit_ms: float | None,
) -> Proposal | None:
    """Return the next network to train; None where all that fits was tried.

    Args:
        plan: the run's plan.
        survey: finds the survey of a skeleton of the plan.
        observations: every network chosen so far, by this run or by others of the same study.
        rank: the proposal's number in its run.
        latency_limit_ms: the brief's limit, if it has one.
    """
    tried = {(one.skeleton, _network(one.cell_index)) for one in observations}
    fresh = [
        proposal
        for proposal in plan.proposals
        if (proposal.architecture.skeleton, _network(proposal.cell_index)) not in tried
    ]
    trained = [one for one in observations if one.accuracy_percent is not None]
    if fresh and (len(observations) < FIRST_BY_PROMISE or not trained):
        return fresh[0].model_copy(update={"rank": rank})
    if not trained:
        return None
    best = max(trained, key=lambda one: (one.accuracy_percent or 0.0, -one.cell_index))
    evolved = _evolved(survey(best.skeleton), observations, plan.seed, rank, latency_limit_ms)
    if evolved is None and fresh:
        return fresh[0].model_copy(update={"rank": rank})
    return evolved


def _evolved(
    survey: Survey,
    observations: Sequence[Observation],
    seed: int,
    rank: int,
    latency_limit_ms: float | None,
) -> Proposal | None:
    cells = {cell.index: cell for cell in survey.feasible_cells}
    rating = np.zeros(CELL_COUNT)
    for cell in cells.values():
        rating[cell.index] = merit(cell, latency_limit_ms)
    here = [one for one in observations if one.skeleton == survey.skeleton]
    index = next_cell(
        CellPool.rated(list(cells), rating),
        {one.cell_index: one.accuracy_percent for one in here if one.accuracy_percent is not None},
        seed,
        [one.cell_index for one in here if one.accuracy_percent is None],
    )
    if index is None:
        return None
    return _proposal(survey.skeleton, cells[index], rank, float(rating[index]))


def _proposal(skeleton: Skeleton, cell: FeasibleCell, rank: int, rating: float) -> Proposal:
    return Proposal(
        rank=rank,
        architecture=Architecture(cell=cell.architecture, skeleton=skeleton),
        cell_index=cell.index,
        prior=cell.prior,
        merit=rating,
        latency_ms=cell.latency_ms,
        flash_bytes=cell.flash_bytes,
        ram_bytes=cell.ram_bytes,
    )


def _network(index: int) -> Cell:
    return Cell.from_index(index).without_dead_edges()
