"""The networks that fit, as agents can ask about them and choose from them."""

from collections.abc import Iterable, Sequence

import numpy as np

from automcu.networks.cells.cell import Cell
from automcu.networks.cells.prior import rank_cells
from automcu.networks.cells.records import FeasibleCell, Survey
from automcu.networks.records import Observation, Proposal, propose
from automcu.planner.agents.records import (
    CellEdges,
    Choice,
    Finding,
    FoundCell,
    HistorySummary,
    Question,
    SkeletonSummary,
    SpaceSummary,
    TrainedSummary,
)

_CELLS_SHOWN = 8
_TRAINED_SHOWN = 6


class FeasibleSpace:
    """Surveys by number, from 1, in the plan's order."""

    def __init__(self, surveys: Sequence[Survey], latency_limit_ms: float | None) -> None:
        self._surveys = tuple(surveys)
        self._limit = latency_limit_ms
        self._ranked = tuple(rank_cells(survey, latency_limit_ms) for survey in self._surveys)

    def summary(self) -> SpaceSummary:
        """Return what there is, without the cells."""
        return SpaceSummary(
            device=self._surveys[0].device,
            max_latency_ms=self._limit,
            skeletons=tuple(
                _skeleton_summary(number, survey)
                for number, survey in enumerate(self._surveys, start=1)
                if survey.feasible_cells
            ),
        )

    def history(self, observations: Sequence[Observation]) -> HistorySummary:
        """Return the best of what was trained; its size does not grow with the run."""
        numbers = {survey.skeleton: at for at, survey in enumerate(self._surveys, start=1)}
        trained = [
            TrainedSummary(
                skeleton=numbers[one.skeleton],
                cell=_edges(one.cell_index),
                accuracy_percent=round(one.accuracy_percent, 2),
            )
            for one in observations
            if one.accuracy_percent is not None and one.skeleton in numbers
        ]
        trained.sort(key=lambda one: -one.accuracy_percent)
        return HistorySummary(trained=len(trained), best=tuple(trained[:_TRAINED_SHOWN]))

    def answer(self, question: Question, seed: int) -> Finding:
        """Answer a question; the same for the same seed."""
        found = self._passing(question)
        if question.tool == "neighbours":
            wanted = question.cell
            found = [p for p in found if wanted and _edits(wanted, _edges(p[1].index)) == 1]
        shown = found
        if question.tool == "front":
            shown = self._front(found)
        elif question.tool == "sample" and len(found) > _CELLS_SHOWN:
            drawn = np.random.default_rng(seed).choice(len(found), _CELLS_SHOWN, replace=False)
            shown = [found[at] for at in sorted(drawn)]
        elif question.tool == "count":
            shown = []
        return Finding(
            question=question,
            count=len(found),
            cells=tuple(_found(number, cell) for number, cell in shown[:_CELLS_SHOWN]),
        )

    def proposal(self, choice: Choice, seen: Iterable[Observation], rank: int) -> Proposal | None:
        """Return the network asked for, or the nearest that fits and was not chosen before.

        Nearest means fewest edges changed, and of those the most promising; in the skeleton asked
        for, or the first one where that does not exist. None where nothing is left in it.
        """
        at = choice.skeleton - 1 if choice.skeleton <= len(self._surveys) else 0
        skeleton = self._surveys[at].skeleton
        taken = {_network(one.cell_index) for one in seen if one.skeleton == skeleton}
        cells = self._ranked[at].cells.values()
        left = [cell for cell in cells if _network(cell.index) not in taken]
        if not left:
            return None
        merits = self._ranked[at].merits
        nearest = min(
            left,
            key=lambda cell: (
                _edits(choice.cell, _edges(cell.index)),
                -merits[cell.index],
                cell.index,
            ),
        )
        return propose(skeleton, nearest, rank, merits[nearest.index])

    def is_exactly(self, proposal: Proposal, choice: Choice) -> bool:
        """Say whether a proposal is what was asked for, or only the nearest to it."""
        at = min(choice.skeleton, len(self._surveys)) - 1
        same_skeleton = proposal.architecture.skeleton == self._surveys[at].skeleton
        known = choice.skeleton <= len(self._surveys)
        return known and same_skeleton and _edges(proposal.cell_index) == choice.cell

    def _passing(self, question: Question) -> list[tuple[int, FeasibleCell]]:
        limit = question.max_latency_ms
        return [
            (number, cell)
            for number, ranked in enumerate(self._ranked, start=1)
            if question.skeleton in (None, number)
            for cell in ranked.cells.values()
            if limit is None or cell.latency_ms <= limit
        ]

    def _front(self, found: list[tuple[int, FeasibleCell]]) -> list[tuple[int, FeasibleCell]]:
        front: list[tuple[int, FeasibleCell]] = []
        merits = [ranked.merits for ranked in self._ranked]
        by_merit = sorted(
            found, key=lambda pair: (-merits[pair[0] - 1][pair[1].index], pair[1].index)
        )
        for pair in by_merit:
            if all(pair[1].latency_ms < other.latency_ms for _, other in front):
                front.append(pair)
        return front


def _skeleton_summary(number: int, survey: Survey) -> SkeletonSummary:
    latencies = [cell.latency_ms for cell in survey.feasible_cells]
    return SkeletonSummary(
        number=number,
        stem_channels=survey.skeleton.stem_channels,
        cells_per_stage=survey.skeleton.cells_per_stage,
        resolution=survey.skeleton.resolution,
        feasible=len(latencies),
        fastest_ms=round(min(latencies), 3),
        slowest_ms=round(max(latencies), 3),
    )


def _found(number: int, cell: FeasibleCell) -> FoundCell:
    return FoundCell(skeleton=number, cell=_edges(cell.index), latency_ms=round(cell.latency_ms, 3))


def _edges(index: int) -> CellEdges:
    one, two, three, four, five, six = Cell.from_index(index).edges
    return (one, two, three, four, five, six)


def _edits(one: CellEdges, other: CellEdges) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _network(index: int) -> Cell:
    return Cell.from_index(index).without_dead_edges()
