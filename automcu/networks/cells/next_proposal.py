"""The next network to train: first those of the plan, then what training has taught.

The plan's proposals differ in skeleton and cell, so the first few show which skeleton is worth
more. After them, cells evolve in the skeleton of the best network so far.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.evolution import next_cell
from automcu.networks.cells.prior import RankedCells
from automcu.networks.family import FIRST_PROPOSALS, Network, Observation, Proposal


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
