"""Which rows of each tensor of a chain are computed when, so that no row is computed twice.

The result is made some rows at a time. Of each tensor in between only the rows that are still
needed are kept: a stripe begins by moving those that the last one left to the front.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from automcu.compiler.ops.windows import Window


@dataclass(frozen=True)
class Rows:
    """Rows `first` to `end` of a tensor, `end` excluded."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first


@dataclass(frozen=True)
class StageRows:
    """One stage in one stripe: computes `made` of its result from `read` of its source.

    `pad_top` and `pad_bottom` are the rows of padding that the window reaches into.
    """

    read: Rows
    made: Rows
    pad_top: int
    pad_bottom: int


@dataclass(frozen=True)
class Stripe:
    """`stages` in order, None for one with nothing to do; `kept` of each tensor between stages.

    `kept` are the rows that lie in a tensor's memory when the stripe begins, after moving;
    `held` those that lie there when it ends.
    """

    stages: tuple[StageRows | None, ...]
    kept: tuple[Rows, ...]
    held: tuple[Rows, ...]


def plan_rows(heights: Sequence[int], windows: Sequence[Window], rows: int) -> tuple[Stripe, ...]:
    """The stripes for a chain that makes `rows` rows of its result at a time.

    `heights` are those of the chain's input and of each stage's result.
    """
    ends = [0] * len(heights)  # rows of each tensor made so far; all of the input are there
    ends[0] = heights[0]
    held = [Rows(0, 0)] * len(heights)
    stripes = []
    while ends[-1] < heights[-1]:
        stripe = _stripe(heights, windows, ends, min(ends[-1] + rows, heights[-1]), held)
        stripes.append(stripe)
        for index, stage in enumerate(stripe.stages, start=1):
            if stage is not None:
                ends[index] = stage.made.end
        held[1:-1] = stripe.held
    return tuple(stripes)


def _stripe(
    heights: Sequence[int],
    windows: Sequence[Window],
    ends: Sequence[int],
    end: int,
    held: Sequence[Rows],
) -> Stripe:
    """The stripe that brings the result to row `end`; from the last stage back to the first."""
    stages: list[StageRows | None] = []
    kept: list[Rows] = []
    now_held: list[Rows] = []
    made = Rows(ends[-1], end)
    for index in reversed(range(len(windows))):
        read, pad_top, pad_bottom = _read_rows(windows[index], made, heights[index])
        stages.append(StageRows(read, made, pad_top, pad_bottom) if len(made) else None)
        if index == 0:
            break
        # Rows that a large stride passes over are not made at all.
        first = max(ends[index], read.first)
        last = max(first, read.end) if len(made) else first
        made = Rows(first, last)
        kept.append(Rows(min(read.first, held[index].end), held[index].end))
        now_held.append(Rows(kept[-1].first if len(kept[-1]) else first, last))
    return Stripe(tuple(reversed(stages)), tuple(reversed(kept)), tuple(reversed(now_held)))


def _read_rows(window: Window, made: Rows, height: int) -> tuple[Rows, int, int]:
    """The source's rows under the windows of the rows `made`, and the padding rows around them."""
    first = made.first * window.stride[0] - window.padding[0]
    end = (made.end - 1) * window.stride[0] - window.padding[0] + window.reach[0]
    inside = Rows(min(max(first, 0), height), min(max(end, 0), height))
    return inside, max(0, -first), max(0, end - height)
