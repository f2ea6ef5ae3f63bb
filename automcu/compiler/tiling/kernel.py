"""A chain of operators run some rows at a time, by the ordinary kernels of its stages.

A stage has one kernel for the first rows, one for those in the middle and one for the last: they
differ in their padding. Weights and parameters are the stage's, and there once.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Graph, Operator
from automcu.compiler.kernel import ArrayShape, Kernel, LayerConstants, aligned
from automcu.compiler.lowering import Integers
from automcu.compiler.ops import (
    Attributes,
    Convolution,
    MaxPool,
    Stage,
    Stripes,
    definition_of,
)
from automcu.compiler.ops.windows import Window
from automcu.compiler.shapes import operator_title
from automcu.compiler.tensor import Shape, Tensor
from automcu.compiler.tiling.operator import by_rows, stage_shapes
from automcu.compiler.tiling.rows import StageRows, Stripe, plan_rows
from automcu.compiler.tiling.steps import (
    Call,
    Loop,
    buffer_name,
    loops_of,
    stripe_steps,
)
from automcu.errors import UnsupportedModelError

_Choose = Callable[[Operator, Graph], Kernel]
_POINTWISE = Window(1, 1)


class NoStripesError(UnsupportedModelError):
    """The chain cannot be run in stripes of so many rows."""


@dataclass(frozen=True)
class _Part:
    """One stage's kernel for rows of one shape, and the operator that it carries out."""

    operator: Operator
    graph: Graph
    kernel: Kernel


def stripes_kernel(operator: Operator, graph: Graph, choose: _Choose) -> Kernel:
    """The kernel of a chain; `choose` finds those of its stages.

    Raises:
        NoStripesError: rows do not begin at whole words, a window lies wholly in the padding, or
            the stage's kernels for different rows order their weights differently.
    """
    attributes = operator.attributes
    if not isinstance(attributes, Stripes):
        raise TypeError(f"{operator.name} is not a chain")
    shapes = stage_shapes(attributes, graph.tensors[operator.inputs[0]].shape, definition_of)
    _check_alignment(shapes)
    heights = [shape[0] for shape in shapes]
    stripes = plan_rows(heights, [_window(s) for s in attributes.stages], attributes.rows)
    parts = _parts(operator, graph, shapes, stripes, choose)
    buffers = _buffers(shapes, stripes)
    kernels = {part.kernel.function: part.kernel for part in parts.values()}
    functions = {place: part.kernel.function for place, part in parts.items()}
    steps = stripe_steps(stripes, shapes, functions, _residual(operator, attributes))
    calls = Counter(call.function for step in steps for call in step.calls)
    loops = loops_of(steps)
    representatives = [
        next(part.kernel for (index, _), part in parts.items() if index == stage)
        for stage in range(len(attributes.stages))
    ]
    function = _function_name(attributes, shapes, representatives)
    has_parameters = any(kernel.parameters_type for kernel in representatives)
    return Kernel(
        variant=f"{by_rows(attributes)}, {_variants(representatives)}",
        function=function,
        template="stripes.c.j2",
        settings={
            "title": operator_title(operator, graph),
            "shapes": shapes,
            "rows": attributes.rows,
            "residual": len(operator.inputs) > 1,
            "buffers": _buffer_settings(buffers),
            "scratch_offset": sum(buffers.values()),
            "needs_scratch": any(k.scratch_bytes for k in kernels.values()),
            "stages": [kernel.parameters_type for kernel in representatives],
            "loops": [_loop_settings(loop, kernels) for loop in loops],
        },
        parameters_type=f"{function}_parameters" if has_parameters else None,
        arrays=tuple(
            ArrayShape(f"stage_{index}.{array.name}", array.c_type, array.size)
            for index, kernel in enumerate(representatives)
            for array in kernel.arrays
        ),
        pack=partial(_pack, parts=parts),
        scratch_bytes=sum(buffers.values()) + max(k.scratch_bytes for k in kernels.values()),
        work={
            "stripes": len(stripes),
            "moved": sum(move.size for step in steps for move in step.moves),
        },
        code={"calls": sum(len(loop.step.calls) for loop in loops)},
        overwrites=_overwrites(operator, attributes, shapes, stripes, parts),
        parts=tuple((kernels[name], count) for name, count in calls.items()),
    )


def _residual(operator: Operator, attributes: Stripes) -> str | None:
    """The C name of what the last stage adds."""
    if attributes.adds_input:
        return "input"
    return "residual" if len(operator.inputs) > 1 else None


def _overwrites(
    operator: Operator,
    attributes: Stripes,
    shapes: Sequence[Shape],
    stripes: Sequence[Stripe],
    parts: dict[tuple[int, StageRows], _Part],
) -> tuple[int, ...]:
    """The inputs whose memory the result may take, as far as rows are read before they are lost."""
    last = len(attributes.stages) - 1
    sums_in_place = all(
        1 in part.kernel.overwrites for (stage, _), part in parts.items() if stage == last
    )
    if len(operator.inputs) > 1:
        return (1,) if sums_in_place else ()
    if attributes.adds_input and not sums_in_place:
        return ()
    return (0,) if _is_behind_reads(shapes, stripes) else ()


def _is_behind_reads(shapes: Sequence[Shape], stripes: Sequence[Stripe]) -> bool:
    """Whether each stripe writes only over rows of the input that no later stripe reads."""
    in_row, out_row = (shape[1] * shape[2] for shape in (shapes[0], shapes[-1]))
    for stripe, *later in (stripes[index:] for index in range(len(stripes))):
        made = stripe.stages[-1]
        reads = [s.stages[0].read.first for s in later if s.stages[0] is not None]
        if made is not None and reads and made.made.end * out_row > min(reads) * in_row:
            return False
    return True


def _window(stage: Stage) -> Window:
    """Operators without a window work pixel by pixel."""
    attributes: Attributes = stage.attributes
    return attributes.window if isinstance(attributes, Convolution | MaxPool) else _POINTWISE


def _check_alignment(shapes: Sequence[Shape]) -> None:
    """Kernels may load whole words, so that every row must begin at one."""
    for _, width, channels in shapes:
        if aligned(width * channels) != width * channels:
            raise NoStripesError(f"rows of {width}x{channels} values are not whole words")


def _parts(
    operator: Operator,
    graph: Graph,
    shapes: Sequence[Shape],
    stripes: Sequence[Stripe],
    choose: _Choose,
) -> dict[tuple[int, StageRows], _Part]:
    """By stage and rows."""
    attributes = operator.attributes
    assert isinstance(attributes, Stripes)
    needed = dict.fromkeys(
        (index, rows)
        for stripe in stripes
        for index, rows in enumerate(stripe.stages)
        if rows is not None
    )
    parts = {}
    for index, rows in needed:
        if not len(rows.read):
            raise NoStripesError(f"a window of {attributes.stages[index].name} is all padding")
        part_graph = _part_graph(operator, attributes, graph, shapes, index, rows)
        part = part_graph.operators[0]
        parts[index, rows] = _Part(part, part_graph, choose(part, part_graph))
    for index in range(len(attributes.stages)):
        _check_one_order([p.kernel for (stage, _), p in parts.items() if stage == index])
    return parts


def _part_graph(
    operator: Operator,
    attributes: Stripes,
    graph: Graph,
    shapes: Sequence[Shape],
    index: int,
    rows: StageRows,
) -> Graph:
    """A graph of one stage on just these rows."""
    stage = attributes.stages[index]
    quantisations = [
        graph.tensors[operator.inputs[0]].quantisation,
        *(stage.result for stage in attributes.stages[:-1]),
        graph.tensors[operator.output].quantisation,
    ]
    result = (len(rows.made), *shapes[index + 1][1:])
    tensors = [
        Tensor("source", (len(rows.read), *shapes[index][1:]), quantisations[index]),
        Tensor("result", result, quantisations[index + 1]),
    ]
    inputs: tuple[str, ...] = ("source",)
    if index == len(attributes.stages) - 1 and _residual(operator, attributes):
        other = graph.tensors[operator.inputs[-1]].quantisation
        tensors.append(Tensor("residual", result, other))
        inputs = ("source", "residual")
    part = Operator(stage.name, inputs, "result", _with_padding(stage, rows))
    return Graph({tensor.name: tensor for tensor in tensors}, (part,), "source", "result")


def _with_padding(stage: Stage, rows: StageRows) -> Attributes:
    """The stage's attributes, with no more padding above and below than these rows have."""
    attributes: Attributes = stage.attributes
    if not isinstance(attributes, Convolution | MaxPool):
        return attributes
    _, left, _, right = attributes.window.padding
    padding = (rows.pad_top, left, rows.pad_bottom, right)
    return replace(attributes, window=replace(attributes.window, padding=padding))


# What decides the order in which a convolution's weights lie; blocks only where they are packed.
_ORDER = ("ring_channels", "gathers", "unpack", "units")
_PACKED_ORDER = ("block_channels",)


def _check_one_order(kernels: Sequence[Kernel]) -> None:
    orders = {
        (
            kernel.template,
            kernel.arrays,
            *(kernel.settings.get(name) for name in _ORDER),
            *(kernel.settings.get(name) for name in _PACKED_ORDER if kernel.shared_function),
        )
        for kernel in kernels
    }
    if len(orders) > 1:
        raise NoStripesError(f"{kernels[0].function} and others of its stage order weights apart")


def _buffers(shapes: Sequence[Shape], stripes: Sequence[Stripe]) -> dict[str, int]:
    """Bytes for the rows of each tensor between stages."""
    return {
        buffer_name(index): shape[1] * shape[2] * max(len(s.held[index - 1]) for s in stripes)
        for index, shape in enumerate(shapes[1:-1], start=1)
    }


def _buffer_settings(buffers: dict[str, int]) -> list[dict[str, object]]:
    offsets = accumulate(buffers.values(), initial=0)
    return [
        {"name": name, "offset": offset} for name, offset in zip(buffers, offsets, strict=False)
    ]


def _loop_settings(loop: Loop, kernels: dict[str, Kernel]) -> dict[str, object]:
    return {
        "count": loop.count,
        "moves": [
            {"buffer": move.buffer, "offset": move.offset, "size": move.size}
            for move in loop.step.moves
        ],
        "calls": [
            {"function": call.function, "arguments": _arguments(call, kernels[call.function])}
            for call in loop.step.calls
        ],
    }


def _arguments(call: Call, kernel: Kernel) -> list[str]:
    arguments = [place.expression() for place in call.places]
    if kernel.scratch_bytes:
        arguments.append("kernel_scratch")
    if kernel.parameters_type:
        arguments.append(f"&parameters->stage_{call.stage}")
    return arguments


def _function_name(
    attributes: Stripes, shapes: Sequence[Shape], representatives: Sequence[Kernel]
) -> str:
    """Shapes and, as a checksum, all else that the code depends on."""
    windows = [_window(stage) for stage in attributes.stages]
    functions = [kernel.function for kernel in representatives]
    checksum = zlib.crc32(repr((shapes, windows, functions)).encode())
    source, result = ("x".join(map(str, shapes[place])) for place in (0, -1))
    return f"stripes_{source}_to_{result}_by_{attributes.rows}_{checksum:08x}"


def _variants(kernels: Sequence[Kernel]) -> str:
    return ", ".join(dict.fromkeys(kernel.variant for kernel in kernels))


def _pack(
    operator: Operator,
    graph: Graph,
    integers: Integers,
    parts: dict[tuple[int, StageRows], _Part],
) -> LayerConstants:
    """The constants of every stage, which must be the same for all of its kernels."""
    assert isinstance(integers, tuple)
    arrays: dict[str, NDArray[np.generic]] = {}
    fields: dict[str, str] = {}
    for (index, _), part in parts.items():
        constants = part.kernel.pack(part.operator, part.graph, integers[index])
        for name, values in constants.arrays.items():
            first = arrays.setdefault(f"stage_{index}.{name}", values)
            if not np.array_equal(first, values):
                raise ValueError(f"kernels of stage {index} of {operator.name} differ in {name}")
        for name, value in constants.fields.items():
            if fields.setdefault(f"stage_{index}.{name}", value) != value:
                raise ValueError(f"kernels of stage {index} of {operator.name} differ in {name}")
    return LayerConstants(arrays, fields)
