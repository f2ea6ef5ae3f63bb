"""Which skeletons deserve a survey: a survey takes seconds, probing one network milliseconds.

Cost grows with width, so in every series of skeletons that differ in width only, two bisections
tell all: up to which width anything fits, and up to which width the cell with the best prior
fits. The survey belongs there: narrower skeletons waste the board, wider ones hold weak cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from automcu.cost.records import Verdict
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell

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
