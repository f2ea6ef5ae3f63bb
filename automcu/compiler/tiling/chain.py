"""A chain of operators run some rows at a time: as an operator, and by the kernels of its stages.

The chain computes what its operators compute one after the other; only the kernel differs, which
makes some rows of the result at a time from as many rows of each tensor as they need.

A stage has one kernel for the first rows, one for those in the middle and one for the last: they
differ in their padding. Weights and parameters are the stage's, and there once.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Attributes, Graph, Operator
from automcu.compiler.kernel import (
    ArrayShape,
    Kernel,
    LayerConstants,
    Parameters,
    aligned,
    cost_key,
)
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values, Window
from automcu.compiler.tiling.steps import (
    Call,
    Loop,
    StageRows,
    Stripe,
    buffer_name,
    loops_of,
    plan_rows,
    stripe_steps,
)
from automcu.errors import UnsupportedModelError


@dataclass(frozen=True, eq=False)
class Stage:
    """One operator of the chain; `result` is the quantisation of its output.

    `attributes` are those of an operator whose rows can be computed alone.
    """

    name: str
    attributes: Attributes
    result: Quantisation | None


@dataclass(frozen=True, eq=False)
class RowTiling(Attributes):
    """The chain, and how many rows of its result are computed at a time; integers are by stage.

    Only the last stage may have a second input: the operator's own second input, or, with
    `adds_input`, that of the whole chain, as in a residual block.
    """

    stages: tuple[Stage, ...]
    rows: int
    adds_input: bool = False

    @property
    def rows_title(self) -> str:
        """How the rows are written for people."""
        return f"{self.rows} row{'s' if self.rows > 1 else ''} at a time"

    def shapes(self, source: Shape) -> list[Shape]:
        """Shapes of the chain's input and of every stage's result."""
        shapes = [source]
        for stage in self.stages:
            shapes.append(stage.attributes.output_shape(shapes[-1]))
        return shapes

    def title(self, source: Shape) -> str:
        titles = [
            stage.attributes.title(shape)
            for stage, shape in zip(self.stages, self.shapes(source), strict=False)
        ]
        return f"{', '.join(titles)}, {self.rows_title}"

    def output_shape(self, *sources: Shape) -> Shape:
        return self.shapes(sources[0])[-1]

    def macs(self, source: Shape, result: Shape) -> int:
        shapes = self.shapes(source)
        return sum(
            stage.attributes.macs(before, after)
            for stage, before, after in zip(self.stages, shapes[:-1], shapes[1:], strict=True)
        )

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> tuple[Any, ...]:
        integers = []
        source, *others = sources
        others += [source] if self.adds_input else []
        for stage, target, operands in self._with_operands(result, tuple(others)):
            integers.append(stage.attributes.lower((source, *operands), target))
            source = target
        return tuple(integers)

    def _with_operands(
        self, result: Quantisation, others: tuple[Quantisation, ...]
    ) -> Iterator[tuple[Stage, Quantisation, tuple[Quantisation, ...]]]:
        """Each stage with the quantisation of its result and of its second input."""
        last = self.stages[-1]
        for stage in self.stages:
            target = result if stage is last else stage.result
            if target is None:
                raise ValueError(f"the result of {stage.name} is not quantised")
            yield stage, target, others if stage is last else ()

    def reference(self, inputs: tuple[Values, ...], integers: tuple[Any, ...]) -> Values:
        values, *others = inputs
        others += [values] if self.adds_input else []
        last = self.stages[-1]
        for stage, numbers in zip(self.stages, integers, strict=True):
            operands = (values, *others) if stage is last else (values,)
            values = stage.attributes.reference(operands, numbers)
        return values

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """The chain by portable kernels."""
        return row_tiling_kernel(self, inputs, output, Operator.kernel)

    def chosen_kernel(
        self, operator: Operator, graph: Graph, choose: Callable[[Operator, Graph], Kernel]
    ) -> Kernel:
        """The chain by the kernels that are chosen for its stages."""
        output = graph.tensors[operator.output]
        return row_tiling_kernel(self, operator.sources(graph), output, choose)


_Choose = Callable[[Operator, Graph], Kernel]


class NotTileableError(UnsupportedModelError):
    """The chain cannot be run in stripes of so many rows."""


@dataclass(frozen=True)
class _Layer:
    """The chain between the tensors of a graph."""

    attributes: "RowTiling"
    inputs: tuple[Tensor, ...]
    output: Tensor
    shapes: Sequence[Shape]

    @property
    def last(self) -> int:
        """The index of the last stage."""
        return len(self.attributes.stages) - 1

    @property
    def residual(self) -> str | None:
        """The C name of what the last stage adds."""
        if self.attributes.adds_input:
            return "input"
        return "residual" if len(self.inputs) > 1 else None


_Parts = Mapping[tuple[int, StageRows], Kernel]  # the kernels by stage and rows


def row_tiling_kernel(
    attributes: "RowTiling", inputs: tuple[Tensor, ...], output: Tensor, choose: _Choose
) -> Kernel:
    """The kernel of a chain; `choose` finds those of its stages.

    Raises:
        NotTileableError: rows do not begin at whole words, a window lies wholly in the padding, or
            the stage's kernels for different rows order their weights differently.
    """
    layer = _Layer(attributes, inputs, output, attributes.shapes(inputs[0].shape))
    _check_alignment(layer.shapes)
    heights = [shape[0] for shape in layer.shapes]
    stripes = plan_rows(heights, [_window(s) for s in attributes.stages], attributes.rows)
    parts = _parts(layer, stripes, choose)
    buffers = _buffers(layer.shapes, stripes)
    kernels = {part.function: part for part in parts.values()}
    functions = {place: part.function for place, part in parts.items()}
    steps = stripe_steps(stripes, layer.shapes, functions, layer.residual)
    calls = Counter(call.function for step in steps for call in step.calls)
    loops = loops_of(steps)
    representatives = [
        next(part for (index, _), part in parts.items() if index == stage)
        for stage in range(len(attributes.stages))
    ]
    function = _function_name(layer, representatives)
    residual = len(inputs) > 1
    return Kernel(
        variant=f"{attributes.rows_title}, {_variants(representatives)}",
        cost_key=cost_key("stripes", residual=residual),
        function=function,
        template=Path(__file__).with_name("row_tiling.c.j2"),
        settings={
            "title": attributes.title(inputs[0].shape),
            "shapes": layer.shapes,
            "rows": attributes.rows,
            "residual": residual,
            "buffers": _buffer_settings(buffers),
            "scratch_offset": sum(buffers.values()),
            "needs_scratch": any(k.scratch_bytes for k in kernels.values()),
            "stages": [kernel.parameters_type for kernel in representatives],
            "loops": [_loop_settings(loop, kernels) for loop in loops],
        },
        parameters=_parameters(function, representatives),
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
        overwrites=_overwrites(layer, stripes, parts),
        parts=tuple((kernels[name], count) for name, count in calls.items()),
    )


def _parameters(function: str, kernels: Sequence[Kernel]) -> Parameters | None:
    """The records of the stages in one; None where no stage has any."""
    records = {f"stage_{i}": k.parameters for i, k in enumerate(kernels) if k.parameters}
    return Parameters(f"{function}_parameters", records) if records else None


def _overwrites(layer: _Layer, stripes: Sequence[Stripe], parts: _Parts) -> tuple[int, ...]:
    """The inputs whose memory the result may take, as far as rows are read before they are lost."""
    sums_in_place = all(
        1 in part.overwrites for (stage, _), part in parts.items() if stage == layer.last
    )
    if len(layer.inputs) > 1:
        return (1,) if sums_in_place else ()
    if layer.attributes.adds_input and not sums_in_place:
        return ()
    return (0,) if _is_behind_reads(layer.shapes, stripes) else ()


def _is_behind_reads(shapes: Sequence[Shape], stripes: Sequence[Stripe]) -> bool:
    """Whether each stripe writes only over rows of the input that no later stripe reads."""
    in_row, out_row = (shape[1] * shape[2] for shape in (shapes[0], shapes[-1]))
    for stripe, *later in (stripes[index:] for index in range(len(stripes))):
        made = stripe.stages[-1]
        reads = [s.stages[0].read.first for s in later if s.stages[0] is not None]
        if made is not None and reads and made.made.end * out_row > min(reads) * in_row:
            return False
    return True


def _window(stage: "Stage") -> Window:
    window = stage.attributes.row_window
    assert window is not None, "only operators whose rows can be computed alone are stages"
    return window


def _check_alignment(shapes: Sequence[Shape]) -> None:
    """Kernels may load whole words, so that every row must begin at one."""
    for _, width, channels in shapes:
        if aligned(width * channels) != width * channels:
            raise NotTileableError(f"rows of {width}x{channels} values are not whole words")


def _parts(layer: _Layer, stripes: Sequence[Stripe], choose: _Choose) -> _Parts:
    needed = dict.fromkeys(
        (index, rows)
        for stripe in stripes
        for index, rows in enumerate(stripe.stages)
        if rows is not None
    )
    parts = {}
    for index, rows in needed:
        if not len(rows.read):
            name = layer.attributes.stages[index].name
            raise NotTileableError(f"a window of {name} is all padding")
        operator, graph = _part(layer, index, rows)
        parts[index, rows] = choose(operator, graph)
    for index in range(layer.last + 1):
        _check_one_order([part for (stage, _), part in parts.items() if stage == index])
    return parts


def _part(layer: _Layer, index: int, rows: StageRows) -> tuple[Operator, Graph]:
    """One stage on just these rows, with no more padding above and below than they have."""
    stages = layer.attributes.stages
    quantisations = [
        layer.inputs[0].quantisation,
        *(stage.result for stage in stages[:-1]),
        layer.output.quantisation,
    ]
    result = (len(rows.made), *layer.shapes[index + 1][1:])
    tensors = [
        Tensor("source", (len(rows.read), *layer.shapes[index][1:]), quantisations[index]),
        Tensor("result", result, quantisations[index + 1]),
    ]
    inputs: tuple[str, ...] = ("source",)
    if index == layer.last and layer.residual:
        tensors.append(Tensor("residual", result, layer.inputs[-1].quantisation))
        inputs = ("source", "residual")
    window = _window(stages[index])
    _, left, _, right = window.padding
    window = replace(window, padding=(rows.pad_top, left, rows.pad_bottom, right))
    attributes = stages[index].attributes.with_row_window(window)
    operator = Operator(stages[index].name, inputs, "result", attributes)
    return operator, Graph({t.name: t for t in tensors}, (operator,), "source", "result")


def _check_one_order(kernels: Sequence[Kernel]) -> None:
    if len({(kernel.template, kernel.arrays, kernel.weight_order) for kernel in kernels}) > 1:
        raise NotTileableError(f"{kernels[0].function} and others of its stage order weights apart")


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


def _function_name(layer: _Layer, representatives: Sequence[Kernel]) -> str:
    """Shapes and, as a checksum, all else that the code depends on."""
    windows = [_window(stage) for stage in layer.attributes.stages]
    functions = [kernel.function for kernel in representatives]
    checksum = zlib.crc32(repr((layer.shapes, windows, functions)).encode())
    source, result = ("x".join(map(str, layer.shapes[place])) for place in (0, -1))
    return f"stripes_{source}_to_{result}_by_{layer.attributes.rows}_{checksum:08x}"


def _variants(kernels: Sequence[Kernel]) -> str:
    return ", ".join(dict.fromkeys(kernel.variant for kernel in kernels))


def _pack(integers: tuple[Any, ...], parts: _Parts) -> LayerConstants:
    """The constants of every stage, which must be the same for all of its kernels."""
    arrays: dict[str, NDArray[np.generic]] = {}
    fields: dict[str, str] = {}
    for (index, _), part in parts.items():
        constants = part.pack(integers[index])
        for name, values in constants.arrays.items():
            first = arrays.setdefault(f"stage_{index}.{name}", values)
            if not np.array_equal(first, values):
                raise ValueError(f"{part.function} and others differ in {name}")
        for name, value in constants.fields.items():
            if fields.setdefault(f"stage_{index}.{name}", value) != value:
                raise ValueError(f"{part.function} and others differ in {name}")
    return LayerConstants(arrays, fields)
