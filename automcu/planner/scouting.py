"""Which skeletons deserve a survey: a survey takes seconds, probing one network milliseconds.

Cost grows with width, so in every series of skeletons that differ in width only, two bisections
tell all: up to which width anything fits, and up to which width the cell with the best prior
fits. The survey belongs there: narrower skeletons waste the board, wider ones hold weak cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from automcu.space import Cell, Skeleton

Fits = Callable[[Cell, Skeleton], bool]

LIGHTEST_CELL = Cell(("none", "none", "none", "skip_connect", "none", "none"))


@dataclass(frozen=True)
class Scouting:
    """`promising` skeletons, best first; those that `nothing fits`; and the rest."""

    promising: tuple[Skeleton, ...]
    ruled_out: tuple[Skeleton, ...]
    unexplored: tuple[Skeleton, ...]


def scout(grid: Sequence[Skeleton], reference: Cell, fits: Fits, surveys: int) -> Scouting:
    """Choose the skeletons to survey.

    Args:
        grid: skeletons; those of one depth and resolution side by side, by ascending width.
        reference: the cell with the best prior.
        fits: whether a cell in a skeleton keeps to all limits; monotone in the width.
        surveys: how many surveys there is time for.
    """
    anchors: list[Skeleton] = []
    neighbours: list[Skeleton] = []
    ruled_out: list[Skeleton] = []
    for _, series in groupby(grid, key=lambda s: (s.resolution, s.cells_per_stage)):
        widths = tuple(series)
        reach = _count_fitting(widths, lambda skeleton: fits(LIGHTEST_CELL, skeleton))
        comfortable = _count_fitting(widths[:reach], lambda skeleton: fits(reference, skeleton))
        ruled_out += widths[reach:]
        if comfortable:
            anchors.append(widths[comfortable - 1])
        if comfortable < reach:
            neighbours.append(widths[comfortable])
    promising = (*anchors, *neighbours)[:surveys]
    skipped = {*ruled_out, *promising}
    return Scouting(
        promising=promising,
        ruled_out=tuple(ruled_out),
        unexplored=tuple(skeleton for skeleton in grid if skeleton not in skipped),
    )


def _count_fitting(widths: Sequence[Skeleton], fits: Callable[[Skeleton], bool]) -> int:
    """Bisect for how many of the first skeletons fit."""
    fitting, failing = 0, len(widths) + 1
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        if fits(widths[middle - 1]):
            fitting = middle
        else:
            failing = middle
    return fitting
