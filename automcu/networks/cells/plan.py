"""The offline planner: what fits exactly, ranked by what is known, the same for the same seed."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from automcu.cost.verdict import miss
from automcu.errors import DoesNotFitError
from automcu.networks.cells.accuracies import AccuracyTable
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.prior import ZERO_COST, RankedCells, rank_cells
from automcu.networks.cells.records import CellPlan, SkeletonSurvey, Survey
from automcu.networks.cells.scout import Probe, scout
from automcu.networks.cells.selection import Candidate, choose_diverse
from automcu.networks.family import Proposal

SURVEYS = 3
# Spare proposals beside the budget, should a check or a training fail.
SPARES = 2
_SHORTLIST = 150
_RESIDUAL_CELL = Cell.from_index(11472)
# Estimates are good to a few per cent, so what is proposed keeps this share of the limit free.
_LATENCY_RESERVE = 0.05
# Far below what a doubling of capacity is worth: a seed only reorders near equals.
_SEED_JITTER = 0.01


def search(
    grid: Sequence[Skeleton],
    table: AccuracyTable,
    *,
    probe: Probe,
    survey: Callable[[Skeleton], Survey],
    latency_limit_ms: float | None,
    budget: int,
    seed: int,
) -> tuple[CellPlan, Mapping[Skeleton, Survey]]:
    """Scout the grid, survey the promising skeletons and plan.

    Args:
        grid: see `skeleton_grid`.
        table: known accuracies of cells; it may be empty.
        probe: judges one cell in one skeleton.
        survey: judges every cell of a skeleton, with the accuracies of the same table.
        latency_limit_ms: the brief's limit, if it has one.
        budget: how many networks may be trained.
        seed: decides between near equals.

    Returns:
        The plan and the surveys that it rests on.

    Raises:
        DoesNotFitError: no network of the grid fits; says what the smallest one needs.
    """
    started = time.monotonic()
    scouting = scout(grid, _reference(table), probe, SURVEYS)
    if not scouting.promising:
        raise DoesNotFitError(_smallest_miss(survey(_lightest(grid))))
    surveys = {skeleton: survey(skeleton) for skeleton in scouting.promising}
    best_known = float(np.nanmax(table.accuracies)) if len(table) else None
    ranked = [rank_cells(found, latency_limit_ms, best_known) for found in surveys.values()]
    proposals = plan(ranked, budget=budget, seed=seed)
    judged = sum(found.cells for found in surveys.values())
    cells_per_skeleton = judged // len(surveys)
    return CellPlan(
        prior=table.source if len(table) else ZERO_COST,
        surveyed=tuple(_summary(found) for found in surveys.values()),
        ruled_out=scouting.ruled_out,
        unexplored=scouting.unexplored,
        space=judged + cells_per_skeleton * len(scouting.ruled_out),
        feasible=sum(found.feasible for found in surveys.values()),
        proposals=proposals,
        seconds=time.monotonic() - started,
    ), surveys


def plan(skeletons: Sequence[RankedCells], *, budget: int, seed: int) -> tuple[Proposal, ...]:
    """Choose the networks to train, the most promising first; the same for the same seed."""
    generator = np.random.default_rng(seed)
    shortlist: list[Candidate] = []
    for ranked in skeletons:
        best = _shortlist(ranked)
        shifts = generator.normal(0.0, _SEED_JITTER, len(best))
        shortlist += [_shifted(*pair) for pair in zip(best, shifts, strict=True)]
    by_skeleton = {ranked.skeleton: ranked for ranked in skeletons}
    chosen = choose_diverse(shortlist, budget + SPARES)
    return tuple(
        by_skeleton[one.skeleton].proposal(one.cell.index, rank, one.score)
        for rank, one in enumerate(chosen, start=1)
    )


def _reference(table: AccuracyTable) -> Cell:
    return Cell.from_index(int(np.nanargmax(table.accuracies))) if len(table) else _RESIDUAL_CELL


def _shortlist(ranked: RankedCells) -> list[Candidate]:
    """Return the best cells of a skeleton; those close to the latency limit only if there are none
    with some reserve."""
    safe_ms = (1.0 - _LATENCY_RESERVE) * (ranked.latency_limit_ms or math.inf)
    safe = [cell for cell in ranked.by_score if cell.latency_ms <= safe_ms]
    return [
        Candidate(ranked.skeleton, cell, ranked.scores[cell.index])
        for cell in (safe or ranked.by_score)[:_SHORTLIST]
    ]


def _shifted(candidate: Candidate, shift: float) -> Candidate:
    return replace(candidate, score=candidate.score + float(shift))


def _summary(survey: Survey) -> SkeletonSurvey:
    return SkeletonSurvey.model_validate(
        survey.model_dump(include=set(SkeletonSurvey.model_fields))
    )


def _lightest(grid: Sequence[Skeleton]) -> Skeleton:
    return min(grid, key=lambda s: (s.stem_channels * s.resolution, s.cells_per_stage))


def _smallest_miss(survey: Survey) -> str:
    """Say which limits even the smallest network breaks, and by how much."""
    misses = " and ".join(miss(limit) for limit in survey.smallest.limits)
    return (
        f"No network fits {survey.device}: the smallest one misses {misses}. "
        "Raise that limit or choose a larger board."
    )
