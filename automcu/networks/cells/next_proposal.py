"""The next network to train: first those of the plan, then what training has taught.

The plan's proposals differ in skeleton and cell, so the first few show which skeleton is worth
more. After them, cells evolve in the skeleton of the best network so far.
"""

from collections.abc import Callable, Sequence

from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.evolution import FIRST_BY_PROMISE, next_cell
from automcu.networks.cells.prior import RankedCells
from automcu.networks.records import Observation, Plan, Proposal, propose


def next_proposal(
    plan: Plan,
    ranked: Callable[[Skeleton], RankedCells],
    observations: Sequence[Observation],
    *,
    rank: int,
) -> Proposal | None:
    """Return the next network to train; None where all that fits was tried.

    Args:
        plan: the run's plan.
        ranked: finds the cells that fit in a skeleton of the plan.
        observations: every network chosen so far, by this run or by others of the same study.
        rank: the proposal's number in its run.
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
    evolved = _evolved(ranked(best.skeleton), observations, plan.seed, rank)
    if evolved is None and fresh:
        return fresh[0].model_copy(update={"rank": rank})
    return evolved


def _evolved(
    ranked: RankedCells, observations: Sequence[Observation], seed: int, rank: int
) -> Proposal | None:
    here = [one for one in observations if one.skeleton == ranked.skeleton]
    index = next_cell(
        ranked.pool,
        {one.cell_index: one.accuracy_percent for one in here if one.accuracy_percent is not None},
        seed,
        [one.cell_index for one in here if one.accuracy_percent is None],
    )
    if index is None:
        return None
    return propose(ranked.skeleton, ranked.cells[index], rank, ranked.merits[index])


def _network(index: int) -> Cell:
    return Cell.from_index(index).without_dead_edges()
