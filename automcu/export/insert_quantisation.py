"""Put QuantizeLinear and DequantizeLinear into a float graph that somebody else made.

onnxruntime's own quantiser knows some kinds of layers and leaves others in floating point. Here
every value that a layer takes is quantised, whatever made it, so that the compiler alone decides
what it can read. Three things stay in floating point, because the compiler computes them at once:
a clamp on the result of the layer before it, a constant factor or offset for each channel of a
matrix product, and whatever is a function of one value (`x * sigmoid(x)` is one table).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from automcu.compiler.read.nodes.functions import FUNCTION_KINDS
from automcu.export.quantise import DEQUANTISE, QUANTISE

Range = tuple[float, float]

SMALLEST_RANGE = 1e-4
"""Of a value that is always zero: its scale must not be."""

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")
_CLAMPS = ("Relu", "Clip", "Min", "Max")
_CLAMPED = (*_PRODUCTS, "Add", "Sub", "Mul", "BatchNormalization")
_ONE_NUMBER = (*_ARITHMETIC, "Pow", "PRelu", "Min", "Max")
"""Functions of one value where all but one operand are a constant number."""

_SAME_VALUES = (
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "Pad",
    "ReduceMax",
    "Reshape",
    "Resize",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Upsample",
)
"""Layers that hand on values of their first input, and keep its scale."""

_STEPS = 255
_LARGEST_WEIGHT = 127
_LARGEST_BIAS = 1 << 30
"""Of a bias in steps: half of what an int32 holds, so that sums beside it fit too."""


@dataclass(frozen=True)
class Scale:
    """Scale and zero point of an int8 activation."""

    scale: float
    zero_point: int


PIXELS = Scale(1 / 255, -128)
BYTES = Scale(1.0, -128)
"""With these the int8 input is the 8-bit pixel minus 128, in [0, 1] or in 0 to 255."""


@dataclass
class _Float:
    """The float graph: its constants, and for each value that depends on the input who reads it.

    `root` is the value that another is a function of, itself where it is none's.
    """

    graph: GraphProto
    ranges: Mapping[str, Range]
    constants: dict[str, NDArray[np.generic]]
    producers: dict[str, NodeProto] = field(default_factory=dict)
    readers: dict[str, list[NodeProto]] = field(default_factory=dict)
    root: dict[str, str] = field(default_factory=dict)

    def activations(self, node: NodeProto) -> list[str]:
        """The node's inputs that depend on the network's, in floating point."""
        return [name for name in node.input if name in self.ranges]

    def is_read_once(self, name: str) -> bool:
        """Whether one layer reads it, and it is not what the network returns."""
        returned = any(output.name == name for output in self.graph.output)
        return len(self.readers.get(name, ())) == 1 and not returned

    def operand(self, node: NodeProto) -> NDArray[np.generic] | None:
        """The constant of a layer that has one activation and one constant."""
        stored = [self.constants[name] for name in node.input if name in self.constants]
        one_each = len(stored) == 1 and len(self.activations(node)) == 1
        return stored[0] if one_each else None


def insert_quantisation(
    graph: GraphProto, ranges: Mapping[str, Range], input_scale: Scale | None
) -> None:
    """Quantise `graph` in place: int8 activations per tensor, int8 weights per output channel.

    `ranges` are the least and the largest of each float value that depends on the input;
    `input_scale` is that of the input, None for that of its range.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    known = _Float(graph, ranges, constants)
    for node in graph.node:
        known.producers.update(dict.fromkeys(node.output, node))
        for name in node.input:
            known.readers.setdefault(name, []).append(node)
    quantised = _quantised_values(known)
    scales = _scales(known, quantised, input_scale)
    nodes: list[NodeProto] = []
    for tensor in graph.input:
        if tensor.name in scales:
            nodes.extend(_activation(tensor.name, tensor.name, scales[tensor.name], graph))
    for node in graph.node:
        nodes.extend(_quantised_node(node, known, scales))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _quantised_values(known: _Float) -> set[str]:
    """The values that have to be quantised: those that a layer, or the user, takes as they are."""
    wanted = {output.name for output in known.graph.output} & set(known.ranges)
    for tensor in known.graph.input:
        known.root[tensor.name] = tensor.name
    for node in known.graph.node:
        sources = known.activations(node)
        function_of = _function_root(node, known)
        for name in node.output:
            known.root[name] = function_of or name
        if _joins_producer(node, known):
            known.root[node.output[0]] = node.output[0]
        elif function_of is not None:
            wanted.add(function_of)
        else:
            wanted.update(sources)
    return wanted


def _function_root(node: NodeProto, known: _Float) -> str | None:
    """The value that the node's result is a function of, None where it is more than a function."""
    roots = {known.root[name] for name in known.activations(node)}
    if len(roots) != 1:
        return None
    root = roots.pop()
    if node.op_type in FUNCTION_KINDS or node.op_type in ("Relu", "Clip"):
        return root
    if node.op_type in _ONE_NUMBER and _all_alike(known.operand(node)):
        return root
    combines_functions = node.op_type in _ARITHMETIC and len(known.activations(node)) > 1
    return root if combines_functions and {*node.input} != {root} else None


def _joins_producer(node: NodeProto, known: _Float) -> bool:
    """Whether the compiler computes the node together with the layer in front of it."""
    sources = known.activations(node)
    if len(sources) != 1 or sources[0] not in known.producers:
        return False
    producer = known.producers[sources[0]]
    if not known.is_read_once(sources[0]) or _function_root(producer, known) is not None:
        return False
    if node.op_type in _CLAMPS and producer.op_type in _CLAMPED:
        if producer.op_type in _ARITHMETIC and not _is_per_channel(known.operand(producer)):
            return False
        return node.op_type in ("Relu", "Clip") or _all_alike(known.operand(node))
    constant = known.operand(node) if node.op_type in _ARITHMETIC else None
    return producer.op_type in ("Gemm", "MatMul") and _is_per_column(constant)


def _is_per_channel(operand: NDArray[np.generic] | None) -> bool:
    """Whether a sum or product, if one operand is constant, has a number for each channel there."""
    if operand is None:
        return True
    return operand.ndim > 0 and operand.size in (*operand.shape[-3:-2], operand.shape[-1])


def _is_per_column(constant: NDArray[np.generic] | None) -> bool:
    """Whether an operand of a matrix product's result is a number for each of its columns."""
    return constant is not None and constant.ndim > 0 and constant.size == constant.shape[-1]


def _all_alike(constant: NDArray[np.generic] | None) -> bool:
    return constant is not None and bool(np.all(constant == constant.reshape(-1)[0]))


def _scales(known: _Float, quantised: set[str], input_scale: Scale | None) -> dict[str, Scale]:
    """The scale of each quantised value: that of its range, or of the value that it passes on."""
    ranges = dict(known.ranges)
    for node in reversed(known.graph.node):
        if node.op_type == "Pad" and node.output[0] in ranges:  # its border needs the scale too
            inner, outer = ranges[node.input[0]], ranges[node.output[0]]
            ranges[node.input[0]] = min(inner[0], outer[0]), max(inner[1], outer[1])
    scales: dict[str, Scale] = {}
    for tensor in known.graph.input:
        if tensor.name in quantised:
            scales[tensor.name] = input_scale or _scale_of(ranges[tensor.name])
    for node in known.graph.node:
        passes_on = node.op_type in _SAME_VALUES and node.input[0] in scales
        for name in node.output:
            if name in quantised:
                scales[name] = scales[node.input[0]] if passes_on else _scale_of(ranges[name])
    return scales


def _scale_of(limits: Range) -> Scale:
    """The scale that just covers a range and zero, which must have an integer of its own."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = float(np.float32(max(high - low, SMALLEST_RANGE) / _STEPS))
    return Scale(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def _quantised_node(
    node: NodeProto, known: _Float, scales: Mapping[str, Scale]
) -> Iterator[NodeProto]:
    """The node between what dequantises its weights and what quantises its results."""
    returned = {output.name for output in known.graph.output}
    replaced = NodeProto()
    replaced.CopyFrom(node)
    if node.op_type in _PRODUCTS and node.input[0] in scales:
        yield from _weights(replaced, known, scales[node.input[0]].scale)
    for position, name in enumerate(replaced.input):
        if name in scales and not (name in known.producers and name in returned):
            replaced.input[position] = f"{name}_dequantised"
    after: list[NodeProto] = []
    for position, name in enumerate(replaced.output):
        if name in scales:
            source = f"{name}_float" if name in returned else name
            replaced.output[position] = source
            after += _activation(source, name, scales[name], known.graph, name in returned)
    yield replaced
    yield from after


def _activation(
    source: str, name: str, scale: Scale, graph: GraphProto, is_returned: bool = False
) -> list[NodeProto]:
    """Quantise `source` and dequantise it again; a result of the network keeps its `name`."""
    parameters = [
        _stored(np.float32(scale.scale), f"{name}_scale", graph),
        _stored(np.int8(scale.zero_point), f"{name}_zero_point", graph),
    ]
    integers, back = f"{name}_quantised", name if is_returned else f"{name}_dequantised"
    return [
        helper.make_node(QUANTISE, [source, *parameters], [integers], f"{name}_{QUANTISE}"),
        helper.make_node(DEQUANTISE, [integers, *parameters], [back], f"{name}_{DEQUANTISE}"),
    ]


def _weights(node: NodeProto, known: _Float, source_scale: float) -> Iterator[NodeProto]:
    """Store a layer's weights as int8 per output channel, and its bias as int32 in their steps."""
    if len(node.input) < 2 or node.input[1] not in known.constants:
        return
    weights = np.asarray(known.constants[node.input[1]], np.float64)
    axis = _output_axis(node, weights.ndim)
    others = tuple(other for other in range(weights.ndim) if other != axis)
    bias = None
    if len(node.input) > 2 and node.input[2] in known.constants:
        bias = np.asarray(known.constants[node.input[2]], np.float64)
    scales = np.abs(weights).max(axis=others) / _LARGEST_WEIGHT
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias) / (source_scale * _LARGEST_BIAS))
    scales = np.where(scales > 0, scales, 1.0).astype(np.float32)
    wide = scales.astype(np.float64).reshape([-1 if a == axis else 1 for a in range(weights.ndim)])
    integers = np.clip(np.rint(weights / wide), -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
    name = f"{node.output[0]}_weight"
    yield _dequantised(node, 1, name, integers.astype(np.int8), scales, axis, known.graph)
    if bias is not None:
        steps = (np.float32(source_scale) * scales).astype(np.float32)
        whole = np.rint(bias / steps.astype(np.float64)).astype(np.int32)
        yield _dequantised(node, 2, f"{node.output[0]}_bias", whole, steps, 0, known.graph)


def _output_axis(node: NodeProto, rank: int) -> int:
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return 0 if node.op_type == "Conv" else rank - 1


def _dequantised(
    node: NodeProto,
    position: int,
    name: str,
    integers: NDArray[np.generic],
    scales: NDArray[np.float32],
    axis: int,
    graph: GraphProto,
) -> NodeProto:
    """Replace an input of the node by dequantised integers."""
    zero_points = np.zeros(scales.shape, integers.dtype)
    stored = [
        _stored(integers, f"{name}_quantised", graph),
        _stored(scales, f"{name}_scale", graph),
        _stored(zero_points, f"{name}_zero_point", graph),
    ]
    node.input[position] = f"{name}_dequantised"
    return helper.make_node(
        DEQUANTISE, stored, [node.input[position]], f"{name}_{DEQUANTISE}", axis=axis
    )


def _stored(values: NDArray[np.generic] | np.generic, name: str, graph: GraphProto) -> str:
    tensor: TensorProto = numpy_helper.from_array(np.asarray(values), name)
    graph.initializer.append(tensor)
    return name
