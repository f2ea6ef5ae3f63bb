"""The calls that carry out a plan of stripes, and the loops that equal stripes fold into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from automcu.compiler.tensor import Shape
from automcu.compiler.tiling.rows import Rows, StageRows, Stripe


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
