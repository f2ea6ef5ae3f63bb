"""The plan of a run's cells: what fits, ranked by what is known, the same for the same seed.

A survey takes seconds, probing one network milliseconds, so skeletons are scouted first. Cost grows
with width: in every series of skeletons that differ in width only, two bisections tell all: up to
which width anything fits, and up to which width the cell with the best prior fits. The survey
belongs there: narrower skeletons waste the board, wider ones hold weak cells. Of the thousands of
cells in the surveys a few are chosen: good ones, and not the same one three times. The surveys
stay as files, which later choices read.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np

from automcu.cost.records import Verdict
from automcu.cost.verdict import miss
from automcu.errors import DoesNotFitError, WrongInputError
from automcu.networks.cells.accuracies import AccuracyTable
from automcu.networks.cells.cell import Cell, canonical_form
from automcu.networks.cells.prior import ZERO_COST, RankedCells, rank_cells
from automcu.networks.cells.skeleton import CellPlan, FeasibleCell, Skeleton, SkeletonSurvey, Survey
from automcu.networks.family import Proposal
from automcu.records import write_atomically

SURVEYS = 3
# Spare proposals beside the budget, should a check or a training fail.
SPARES = 2
_SHORTLIST = 150
_RESIDUAL_CELL = Cell.from_index(11472)
# Estimates are good to a few per cent, so what is proposed keeps this share of the limit free.
_LATENCY_RESERVE = 0.05
# Far below what a doubling of capacity is worth: a seed only reorders near equals.
_SEED_JITTER = 0.01


Probe = Callable[[Cell, Skeleton], Verdict]
"""Judges one cell in one skeleton; in a series of widths, what follows a misfit does not fit."""

LIGHTEST_CELL = Cell(("none", "none", "none", "skip_connect", "none", "none"))


@dataclass(frozen=True)
class Scouting:
    """`promising` skeletons, best first; those in which nothing fits; and the rest."""

    promising: tuple[Skeleton, ...]
    ruled_out: tuple[Skeleton, ...]
    unexplored: tuple[Skeleton, ...]


def scout(grid: Sequence[Skeleton], reference: Cell, probe: Probe, surveys: int) -> Scouting:
    """Choose the skeletons to survey.

    First come those that just hold the reference cell, the one that uses most of the board
    first; then those one step wider, of which the lighter cells fit.

    Args:
        grid: skeletons; those of one depth and resolution side by side, by ascending width.
        reference: the cell with the best prior.
        probe: judges one cell in one skeleton.
        surveys: how many surveys there is time for.
    """
    anchors: dict[Skeleton, float] = {}
    neighbours: list[Skeleton] = []
    ruled_out: list[Skeleton] = []
    for _, series in groupby(grid, key=lambda s: (s.resolution, s.cells_per_stage)):
        widths = tuple(series)
        reach = _count_fitting(widths, LIGHTEST_CELL, probe)
        comfortable = _count_fitting(widths[:reach], reference, probe)
        ruled_out += widths[reach:]
        if comfortable:
            anchor = widths[comfortable - 1]
            anchors[anchor] = probe(reference, anchor).estimate.latency_ms
        if comfortable < reach:
            neighbours.append(widths[comfortable])
    by_work = sorted(anchors, key=lambda skeleton: -anchors[skeleton])
    promising = (*by_work, *neighbours)[:surveys]
    skipped = {*ruled_out, *promising}
    return Scouting(
        promising=promising,
        ruled_out=tuple(ruled_out),
        unexplored=tuple(skeleton for skeleton in grid if skeleton not in skipped),
    )


def _count_fitting(widths: Sequence[Skeleton], cell: Cell, probe: Probe) -> int:
    """Bisect for how many of the first skeletons hold the cell."""
    fitting, failing = 0, len(widths) + 1
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        if probe(cell, widths[middle - 1]).fits:
            fitting = middle
        else:
            failing = middle
    return fitting


# A twin of a network that is already chosen must promise an error lower by a quarter to be
# chosen too: -log(0.75) is about 0.3.
_PRICE_OF_LIKENESS = 0.3
# Two equal cells in different skeletons still teach something about width and depth.
_LIKENESS_ACROSS_SKELETONS = 0.5


@dataclass(frozen=True)
class Candidate:
    """A feasible network and its score."""

    skeleton: Skeleton
    cell: FeasibleCell
    score: float


def choose_diverse(candidates: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """Choose by score less likeness to those chosen before (maximal marginal relevance).

    Carbonell and Goldstein, "The use of MMR", SIGIR 1998. Ties go to the earlier candidate.
    """
    left = list(candidates)
    operations = {
        candidate.cell.index: Cell.parse(candidate.cell.architecture).without_dead_edges()
        for candidate in left
    }
    names = {index: canonical_form(cell) for index, cell in operations.items()}
    chosen: list[Candidate] = []
    likeness = [0.0] * len(left)
    while left and len(chosen) < count:
        best = max(
            range(len(left)), key=lambda at: left[at].score - _PRICE_OF_LIKENESS * likeness[at]
        )
        picked = left[best]
        chosen.append(picked)
        name = names[picked.cell.index]
        keep = [
            at
            for at, other in enumerate(left)
            if other.skeleton != picked.skeleton or names[other.cell.index] != name
        ]
        likeness = [max(likeness[at], _likeness(left[at], picked, operations)) for at in keep]
        left = [left[at] for at in keep]
    return tuple(chosen)


def _likeness(one: Candidate, other: Candidate, operations: dict[int, Cell]) -> float:
    """Return the share of edges with the same operation, less where the skeletons differ."""
    first, second = operations[one.cell.index].edges, operations[other.cell.index].edges
    share = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    return share if one.skeleton == other.skeleton else share * _LIKENESS_ACROSS_SKELETONS


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


def save_surveys(folder: Path, surveys: Iterable[Survey]) -> None:
    """Write the surveys in the plan's order."""
    for number, one in enumerate(surveys, start=1):
        # On one line each file is a third smaller.
        write_atomically(_path(folder, number), one.model_dump_json().encode())


def load_surveys(folder: Path, surveyed: Sequence[SkeletonSurvey]) -> tuple[Survey, ...]:
    """Read the surveys that a plan counts.

    Raises:
        WrongInputError: one is missing or damaged.
    """
    return tuple(Survey.load(_path(folder, number)) for number, _ in enumerate(surveyed, start=1))


def ranked_survey(
    folder: Path, plan: CellPlan, skeleton: Skeleton, latency_limit_ms: float | None
) -> RankedCells:
    """Rank the cells of the plan's survey of a skeleton.

    Raises:
        WrongInputError: its file is missing or damaged.
    """
    for number, one in enumerate(plan.surveyed, start=1):
        path = _path(folder, number)
        if one.skeleton == skeleton and path.is_file():
            try:
                return _rank_file(path, path.stat().st_mtime_ns, latency_limit_ms)
            except WrongInputError:
                break
    raise WrongInputError(
        f"{folder.parent} has lost the survey of a skeleton that its study has trained. "
        "Delete plan.json there and resume the run."
    )


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


@lru_cache(maxsize=4)
def _rank_file(path: Path, written: int, latency_limit_ms: float | None) -> RankedCells:
    """Read and rank a survey once as long as its file stays as it is."""
    del written
    return rank_cells(Survey.load(path), latency_limit_ms)
