"""The offline planner: what fits exactly, ranked by what is known, the same for the same seed."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automcu.cost.records import Limit, Survey
from automcu.errors import DoesNotFitError
from automcu.planner.merit import merit
from automcu.planner.records import Plan, Proposal, SkeletonSurvey
from automcu.planner.scouting import Probe, scout
from automcu.planner.selection import Candidate, choose_diverse
from automcu.space import AccuracyTable, Architecture, Cell, Skeleton

SURVEYS = 3
# Spare proposals beside the budget, should a check or a training fail.
SPARES = 2
_SHORTLIST = 150
# A proxy costs a forward and a backward pass per network, so it sees fewer of them.
_RATED = 24
# Between the worst and the best cell of equal cost, errors differ by a factor of about two.
_RATING_SPREAD = 0.7
_RESIDUAL_CELL = Cell.from_index(11472)
# Estimates are good to a few per cent, so what is proposed keeps this share of the limit free.
_LATENCY_RESERVE = 0.05
# Far below what a doubling of capacity is worth: a seed only reorders near equals.
_SEED_JITTER = 0.01

Rating = Callable[[Sequence[Architecture]], NDArray[np.float64]]


def search(
    grid: Sequence[Skeleton],
    prior: AccuracyTable | Rating,
    *,
    probe: Probe,
    survey: Callable[[Skeleton], Survey],
    latency_limit_ms: float | None,
    budget: int,
    seed: int,
) -> tuple[Plan, Mapping[Skeleton, Survey]]:
    """Scout the grid, survey the promising skeletons and plan.

    Args:
        grid: see `skeleton_grid`.
        prior: known accuracies of cells, or where there are none, a zero-cost rating of
            untrained networks between 0 and 1.
        probe: judges one cell in one skeleton.
        survey: judges every cell of a skeleton.
        latency_limit_ms: the brief's limit, if it has one.
        budget: how many networks may be trained.
        seed: decides between near equals.

    Returns:
        The plan and the surveys that it rests on.

    Raises:
        DoesNotFitError: no network of the grid fits; says what the smallest one needs.
    """
    started = time.monotonic()
    table, rate = (prior, None) if isinstance(prior, AccuracyTable) else (None, prior)
    reference = Cell.from_index(int(np.nanargmax(table.accuracies))) if table else _RESIDUAL_CELL
    scouting = scout(grid, reference, probe, SURVEYS)
    if not scouting.promising:
        raise DoesNotFitError(_smallest_miss(survey(_lightest(grid))))
    surveys = {skeleton: survey(skeleton) for skeleton in scouting.promising}
    proposals = plan(
        surveys, latency_limit_ms=latency_limit_ms, budget=budget, seed=seed, rate=rate
    )
    judged = sum(found.cells for found in surveys.values())
    cells_per_skeleton = judged // len(surveys)
    return Plan(
        seed=seed,
        budget=budget,
        prior=table.source if table else "zero-cost proxies",
        surveyed=tuple(_summary(found) for found in surveys.values()),
        ruled_out=scouting.ruled_out,
        unexplored=scouting.unexplored,
        space=judged + cells_per_skeleton * len(scouting.ruled_out),
        feasible=sum(found.feasible for found in surveys.values()),
        proposals=proposals,
        seconds=time.monotonic() - started,
    ), surveys


def plan(
    surveys: Mapping[Skeleton, Survey],
    *,
    latency_limit_ms: float | None,
    budget: int,
    seed: int,
    rate: Rating | None = None,
) -> tuple[Proposal, ...]:
    """Choose the networks to train, the most promising first; the same for the same seed."""
    generator = np.random.default_rng(seed)
    shortlist: list[Candidate] = []
    for skeleton, survey in surveys.items():
        ranked = _shortlist(skeleton, survey, latency_limit_ms)
        if rate:
            ranked = _rated(ranked[:: max(1, len(ranked) // _RATED)], rate)
        shifts = generator.normal(0.0, _SEED_JITTER, len(ranked))
        shortlist += [_shifted(*pair) for pair in zip(ranked, shifts, strict=True)]
    chosen = choose_diverse(shortlist, budget + SPARES)
    return tuple(_proposal(rank, candidate) for rank, candidate in enumerate(chosen, start=1))


def _shortlist(
    skeleton: Skeleton, survey: Survey, latency_limit_ms: float | None
) -> list[Candidate]:
    """Return the best cells of a survey; those close to the latency limit only if there are none
    with some reserve."""
    safe_ms = (1.0 - _LATENCY_RESERVE) * (latency_limit_ms or math.inf)
    safe = [cell for cell in survey.feasible_cells if cell.latency_ms <= safe_ms]
    candidates = [
        Candidate(skeleton, cell, merit(cell, latency_limit_ms))
        for cell in safe or survey.feasible_cells
    ]
    return sorted(candidates, key=lambda found: (-found.merit, found.cell.index))[:_SHORTLIST]


def _rated(candidates: list[Candidate], rate: Rating) -> list[Candidate]:
    ratings = rate(
        [
            Architecture(cell=found.cell.architecture, skeleton=found.skeleton)
            for found in candidates
        ]
    )
    pairs = zip(candidates, ratings, strict=True)
    return [_shifted(found, _RATING_SPREAD * rating) for found, rating in pairs]


def _shifted(candidate: Candidate, shift: float) -> Candidate:
    return replace(candidate, merit=candidate.merit + float(shift))


def _proposal(rank: int, candidate: Candidate) -> Proposal:
    cell = candidate.cell
    return Proposal(
        rank=rank,
        architecture=Architecture(cell=cell.architecture, skeleton=candidate.skeleton),
        cell_index=cell.index,
        prior=cell.prior,
        merit=candidate.merit,
        latency_ms=cell.latency_ms,
        flash_bytes=cell.flash_bytes,
        ram_bytes=cell.ram_bytes,
    )


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


def miss(limit: Limit) -> str:
    """Say by how much a network misses a limit."""
    over = limit.needed - limit.available
    if limit.limit == "latency":
        return (
            f"the latency limit by {over:.3g} ms (it takes {limit.needed:.3g} ms, "
            f"allowed are {limit.available:.3g})"
        )
    if limit.limit == "energy":
        return (
            f"the energy limit by {over:.3g} mJ (it takes {limit.needed:.3g} mJ, modelled; "
            f"allowed are {limit.available:.3g})"
        )
    return (
        f"the {limit.limit} limit by {over:,.0f} bytes (it needs {limit.needed:,.0f}, "
        f"allowed are {limit.available:,.0f})"
    )
