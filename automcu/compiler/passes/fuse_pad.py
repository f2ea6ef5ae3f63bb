"""A border goes into the convolution or pool behind it, which then pads as it reads."""

from dataclasses import replace

from automcu.compiler.fixed_point import INT8_MIN
from automcu.compiler.graph import Graph, Operator
from automcu.compiler.ops import (
    AveragePool,
    Convolution,
    MaxPool,
    Pad,
    definition_of,
)
from automcu.compiler.ops.windows import Window


def fuse_pads(graph: Graph) -> Graph:
    """Let each reader of a border that can pad for itself read what is inside the border."""
    for pad in graph.operators:
        if isinstance(pad.attributes, Pad) and pad.output != graph.output:
            value = _value(pad, graph)
            graph = graph.with_operators(
                _fused(operator, pad, value, graph) or operator for operator in graph.operators
            )
            if not graph.consumers(pad.output):
                graph = graph.with_operators(op for op in graph.operators if op is not pad)
    return graph


def _value(pad: Operator, graph: Graph) -> int | None:
    """The border as an int8; None while the tensor has no scale."""
    quantisation = graph.tensors[pad.output].quantisation
    if quantisation is None:
        return None
    definition = definition_of(pad.attributes)
    return int(definition.lower(pad.attributes, (quantisation,), quantisation).value)


def _fused(reader: Operator, pad: Operator, value: int | None, graph: Graph) -> Operator | None:
    """The reader with the border in its window; None where it reads another or cannot."""
    attributes = reader.attributes
    if reader.inputs[0] != pad.output or pad.output in reader.inputs[1:]:
        return None
    if not isinstance(attributes, Convolution | AveragePool | MaxPool):
        return None
    assert isinstance(pad.attributes, Pad)
    window = _wider(attributes.window, pad.attributes)
    quantisation = graph.tensors[pad.output].quantisation
    if window is None or quantisation is None:
        return None
    is_zero = value == quantisation.zero_point
    inputs = (pad.inputs[0], *reader.inputs[1:])
    match attributes:
        case Convolution() if is_zero:
            return replace(reader, inputs=inputs, attributes=replace(attributes, window=window))
        case AveragePool() if is_zero and not any(attributes.window.padding):
            whole = replace(attributes, window=window, padding_counts=True)
            return replace(reader, inputs=inputs, attributes=whole)
        case MaxPool() if value == INT8_MIN:  # as low as what lies outside an image
            return replace(reader, inputs=inputs, attributes=replace(attributes, window=window))
        case _:
            return None


def _wider(window: Window, pad: Pad) -> Window | None:
    """The window with the border as padding; None where a window would fit into the padding."""
    if pad.before[2] or pad.after[2]:
        return None
    top, left, bottom, right = window.padding
    padding = (
        top + pad.before[0],
        left + pad.before[1],
        bottom + pad.after[0],
        right + pad.after[1],
    )
    rows, columns = window.reach
    if max(padding[0], padding[2]) >= rows or max(padding[1], padding[3]) >= columns:
        return None
    return replace(window, padding=padding)
