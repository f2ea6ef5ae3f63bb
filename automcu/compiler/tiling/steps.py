"""How a chain is carried out some rows at a time: which rows when, the calls, the loops.

The result is made some rows at a time, and no row is computed twice. Of each tensor in between only
the rows that are still needed are kept: a stripe begins by moving those that the last one left to
the front. Equal stripes fold into loops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from automcu.compiler.tensor import Shape, Window


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


@dataclass(frozen=True)
class Place:
    """Bytes into a buffer; each time round a loop they advance by `advance`."""

    buffer: str
    offset: int
    advance: int = 0

    def expression(self) -> str:
        """The address in C; the loop counts in `stripe`."""
        if not self.offset and not self.advance:
            return self.buffer
        terms = [str(self.offset)] if self.offset else []
        terms += [f"stripe * {self.advance}"] if self.advance else []
        return f"&{self.buffer}[{' + '.join(terms)}]"


@dataclass(frozen=True)
class Call:
    """A kernel's function for some rows of a stage: source, other operand if any, result."""

    stage: int
    function: str
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Move:
    """`size` bytes of a buffer go from `offset` to its front."""

    buffer: str
    offset: int
    size: int


@dataclass(frozen=True)
class Step:
    """One stripe: what is moved first, then what is called."""

    moves: tuple[Move, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Loop:
    """A step that is taken `count` times, each time with places further on."""

    count: int
    step: Step


def buffer_name(index: int) -> str:
    """The C name of the memory for rows of the tensor behind stage `index` (counted from 1)."""
    return f"rows_{index}"


def stripe_steps(
    stripes: Sequence[Stripe],
    shapes: Sequence[Shape],
    functions: Mapping[tuple[int, StageRows], str],
    residual: str | None,
) -> tuple[Step, ...]:
    """What each stripe does; `functions` are the kernels by stage and rows.

    `residual` is the buffer that the last stage adds.
    """
    before = [Rows(0, 0)] * (len(shapes) - 2)
    steps = []
    for stripe in stripes:
        moves = _moves(stripe, before, shapes)
        calls = tuple(
            Call(index, functions[index, rows], _places(stripe, index, rows, shapes, residual))
            for index, rows in enumerate(stripe.stages)
            if rows is not None
        )
        steps.append(Step(moves, calls))
        before = list(stripe.held)
    return tuple(steps)


def loops_of(steps: Sequence[Step]) -> tuple[Loop, ...]:
    """Fold steps that differ only in how far they are into the whole tensors."""
    loops: list[Loop] = []
    for step in steps:
        joined = _joined(loops[-1], step) if loops else None
        if joined is None:
            loops.append(Loop(1, step))
        else:
            loops[-1] = joined
    return tuple(loops)


def _joined(loop: Loop, step: Step) -> Loop | None:
    """The loop with one more round, if `step` is that."""
    following = [place for call in step.calls for place in call.places]
    now = [place for call in loop.step.calls for place in call.places]
    if len(now) != len(following):
        return None
    if loop.count == 1:  # the second round says how far places advance
        advances = [b.offset - a.offset for a, b in zip(now, following, strict=True)]
        loop = Loop(1, _advancing(loop.step, advances))
    return replace(loop, count=loop.count + 1) if _round(loop, loop.count) == step else None


def _advancing(step: Step, advances: Sequence[int]) -> Step:
    remaining = iter(advances)
    calls = tuple(
        replace(call, places=tuple(replace(p, advance=next(remaining)) for p in call.places))
        for call in step.calls
    )
    return replace(step, calls=calls)


def _round(loop: Loop, number: int) -> Step:
    """The step of one round, its places where they are by then."""
    calls = tuple(
        replace(
            call,
            places=tuple(
                Place(place.buffer, place.offset + number * place.advance) for place in call.places
            ),
        )
        for call in loop.step.calls
    )
    return replace(loop.step, calls=calls)


def _moves(stripe: Stripe, before: Sequence[Rows], shapes: Sequence[Shape]) -> tuple[Move, ...]:
    moves = []
    for index, (kept, held) in enumerate(zip(stripe.kept, before, strict=True), start=1):
        row_bytes = shapes[index][1] * shapes[index][2]
        if len(kept) and kept.first > held.first:
            offset = (kept.first - held.first) * row_bytes
            moves.append(Move(buffer_name(index), offset, len(kept) * row_bytes))
    return tuple(moves)


def _places(
    stripe: Stripe, index: int, rows: StageRows, shapes: Sequence[Shape], residual: str | None
) -> tuple[Place, ...]:
    source = Place("input", _bytes(rows.read.first, shapes[0]))
    if index:
        row = rows.read.first - stripe.held[index - 1].first
        source = Place(buffer_name(index), _bytes(row, shapes[index]))
    if index < len(shapes) - 2:
        row = rows.made.first - stripe.held[index].first
        return source, Place(buffer_name(index + 1), _bytes(row, shapes[index + 1]))
    offset = _bytes(rows.made.first, shapes[-1])
    operand = (Place(residual, offset),) if residual else ()
    return source, *operand, Place("output", offset)


def _bytes(row: int, shape: Shape) -> int:
    return row * shape[1] * shape[2]
