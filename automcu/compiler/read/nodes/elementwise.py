"""Sums, products and quotients, element by element, of activations and constants."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from automcu.compiler.ops import Add, Convolution, Multiply
from automcu.compiler.ops.arithmetic import AddConstant
from automcu.compiler.read.arrange import (
    Weights,
    compact,
    copied,
    filled_convolution,
    in_file_order,
    parts_like,
)
from automcu.compiler.read.builder import Activation, Constant, GraphBuilder
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.compiler.read.nodes.functions import (
    Reals,
    apply_clamp,
    apply_function,
    real_values,
    table_title,
)
from automcu.compiler.tensor import NO_CLAMP, Window
from automcu.errors import UnsupportedModelError

_LARGEST_WEIGHT = 127
_MATRIX_AXES = 3  # batch, rows, columns
_BIAS_BITS = 20  # of a per-channel offset: fine against the output's steps, far from overflow
_ONE = np.ones(1)
_ZERO = np.zeros(1)


@dataclass(frozen=True, eq=False)
class _Affine:
    """gain * x + offset; both broadcast to the shape of x."""

    gain: Reals
    offset: Reals


@reader("BatchNormalization")
def _batch_normalisation(node: Node, context: ImportContext) -> None:
    scale, offset, mean, variance = (context.constant(node, i).real() for i in range(1, 5))
    gain = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    source = context.activation(node)
    shape = (-1, *([1] * (len(source.view.shape) - 2)))
    affine = _Affine(gain.reshape(shape), (offset - mean * gain).reshape(shape))
    context.set_output(node, _with_affine(node, context.builder, source, affine, "normalise"))


@reader("Add", "Sub", "Mul", "Div")
def _arithmetic(node: Node, context: ImportContext) -> None:
    first, second = (context.is_constant(node, position) for position in (0, 1))
    if first and second:
        _fold(node, context)
    elif second:
        constant, source = context.constant(node, 1).real(), context.activation(node)
        affine = _with_second(node.kind, constant)
        result = _with_affine(node, context.builder, source, affine, table_title(node))
        context.set_output(node, result)
    elif first:
        context.set_output(node, _with_first(node, context))
    else:
        context.set_output(node, _of_two(node, context))


def _fold(node: Node, context: ImportContext) -> None:
    """Arithmetic on constants: sizes for a reshape or resize, mostly."""
    first, second = (context.constant(node, position) for position in (0, 1))
    a, b = first.real(), second.real()
    with np.errstate(all="ignore"):
        result = {"Add": a + b, "Sub": a - b, "Mul": a * b, "Div": a / b}[node.kind]
    if first.scales is None and first.values.dtype.kind in "iu":
        result = np.trunc(np.nan_to_num(result)).astype(np.int64)
    context.set_constant(node, Constant(result))


def _with_second(kind: str, constant: Reals) -> _Affine:
    """x + c, x - c, x * c, x / c."""
    if kind in ("Add", "Sub"):
        return _Affine(_ONE, constant if kind == "Add" else -constant)
    if kind == "Div" and np.any(constant == 0):
        raise ValueError("a division by zero")
    return _Affine(constant if kind == "Mul" else 1 / constant, _ZERO)


def _with_first(node: Node, context: ImportContext) -> Activation:
    """c + x, c - x, c * x, c / x."""
    builder, constant = context.builder, context.constant(node, 0).real()
    source = context.activation(node, 1)
    if node.kind == "Div":
        if constant.size != 1:
            raise UnsupportedModelError(
                f"layer {node.layer} divides several constants by a tensor. Use a single one."
            )
        number = float(constant.reshape(()))
        result = apply_function(builder, node.layer, source, "reciprocal", lambda x: number / x)
        return _clamped(node, builder, result, "clip")
    gain = {"Add": _ONE, "Sub": -_ONE, "Mul": constant}[node.kind]
    affine = _Affine(gain, _ZERO if node.kind == "Mul" else constant)
    return _with_affine(node, builder, source, affine, table_title(node))


def _with_affine(
    node: Node, builder: GraphBuilder, source: Activation, affine: _Affine, name: str
) -> Activation:
    """gain * x + offset with constants: a table, part of a convolution, or one of its own."""
    layer = node.layer
    shape = np.broadcast_shapes(source.view.shape, affine.gain.shape, affine.offset.shape)
    if shape != source.view.shape:
        source = compact(builder, replace(source, view=source.view.broadcast(shape)), layer)
    is_scalar = all(np.all(array == array.flat[0]) for array in (affine.gain, affine.offset))
    is_quantised = builder.tensors[source.tensor].quantisation is not None
    if is_scalar and (is_quantised or source.function is not None):
        gain, offset = float(affine.gain.flat[0]), float(affine.offset.flat[0])
        result = apply_function(builder, layer, source, name, lambda x: gain * x + offset)
        return _as_stated(node, builder, result, name)
    source = compact(builder, builder.computed(source, layer), layer)
    gains, offsets = (
        _in_memory_order(builder, source, array) for array in (affine.gain, affine.offset)
    )
    if not is_quantised:
        return _folded(builder, layer, source, gains, offsets)
    return _channelwise(node, builder, source, gains, offsets)


def _of_two(node: Node, context: ImportContext) -> Activation:
    """The sum, difference, product or quotient of two activations."""
    builder = context.builder
    first, second = context.activation(node), context.activation(node, 1)
    name, combine = _COMBINATIONS[node.kind]
    combined = _same_root(builder, node.layer, first, second, combine, name)
    if combined is not None:
        return _as_stated(node, builder, combined, name)
    if node.kind == "Div":  # only of two functions of one tensor, as in x / (1 + exp(-x))
        raise UnsupportedModelError(
            f"layer {node.layer} divides one computed tensor by another, which cannot be compiled. "
            "Divide by a constant, or multiply."
        )
    if node.kind == "Mul":
        return _multiplied(node, builder, first, second)
    return _added(node, builder, first, second, 1 if node.kind == "Add" else -1)


_COMBINATIONS: dict[str, tuple[str, Callable[[Reals, Reals], Reals]]] = {
    "Add": ("add", lambda a, b: a + b),
    "Sub": ("add", lambda a, b: a - b),
    "Mul": ("multiply", lambda a, b: a * b),
    "Div": ("divide", lambda a, b: a / b),
}


def _added(
    node: Node, builder: GraphBuilder, first: Activation, second: Activation, sign: int
) -> Activation:
    """The sum of two activations, or with `sign` -1 their difference."""
    if first.view.size >= second.view.size:
        whole, name = _operands(builder, node.layer, first, second, may_repeat=False)
        names = (whole.tensor, name)
    else:
        whole, name = _operands(builder, node.layer, second, first, may_repeat=False)
        names = (name, whole.tensor)
    tensor = builder.add(node.layer, names, Add(node.clamp, sign), node.quantisation)
    return replace(whole, tensor=tensor)


def _multiplied(
    node: Node, builder: GraphBuilder, first: Activation, second: Activation
) -> Activation:
    """The product of two activations; one may be broadcast along the other."""
    if second.view.size > first.view.size:
        first, second = second, first
    first, name = _operands(builder, node.layer, first, second, may_repeat=True)
    names = (first.tensor, name)
    return replace(
        first, tensor=builder.add(node.layer, names, Multiply(node.clamp), node.quantisation)
    )


def _as_stated(node: Node, builder: GraphBuilder, result: Activation, name: str) -> Activation:
    """The result clamped and quantised, where the node states how."""
    result = _clamped(node, builder, result, name)
    return (
        result
        if node.quantisation is None
        else builder.quantised(result, node.quantisation, node.layer)
    )


def _clamped(node: Node, builder: GraphBuilder, result: Activation, name: str) -> Activation:
    if node.clamp == NO_CLAMP:
        return result
    return apply_clamp(builder, node.layer, result, node.clamp, name)


def _same_root(
    builder: GraphBuilder,
    layer: str,
    first: Activation,
    second: Activation,
    combine: Callable[[Reals, Reals], Reals],
    name: str,
) -> Activation | None:
    """The combination of two functions of one tensor, which is again a function of it."""
    if (first.tensor, first.view) != (second.tensor, second.view):
        return None
    if first.function is None and second.function is None:
        return None  # a sum or product of a tensor with itself needs no table
    if builder.tensors[first.tensor].quantisation is None:
        return None
    titles = [f.name for f in (first.function, second.function) if f is not None and not f.clamp]
    other = real_values(builder, second, layer)
    title = titles[-1] if titles else name
    return apply_function(builder, layer, first, title, lambda values: combine(values, other))


def _operands(
    builder: GraphBuilder, layer: str, first: Activation, second: Activation, may_repeat: bool
) -> tuple[Activation, str]:
    """The first operand as all of a tensor, and the tensor of the second in the same order.

    With `may_repeat` that is a pixel or a channel where the second operand is just repeated.
    """
    shape = np.broadcast_shapes(first.view.shape, second.view.shape)
    first, second = (builder.computed(operand, layer) for operand in (first, second))
    if first.view.shape != shape:
        first = first.viewed(first.view.broadcast(shape), f"{layer}_first", "broadcast")
    first = compact(builder, first, layer)
    if second.view.shape != shape:
        second = second.viewed(second.view.broadcast(shape), f"{layer}_second", "broadcast")
    parts = parts_like(second.view, first.view)
    if parts is None:
        first, second = (in_file_order(builder, operand, layer) for operand in (first, second))
        parts = second.view.parts
    height, width, channels = builder.tensors[first.tensor].shape
    sizes = (height, width, channels)
    if may_repeat and parts and height * width > 1 and parts[0] == (height * width, 0):
        parts, sizes = parts[1:], (1, 1, channels)
    elif may_repeat and parts and parts == ((height * width * channels, 0),):
        parts, sizes = (), (1, 1, 1)
    elif may_repeat and parts and channels > 1 and parts[-1] == (channels, 0):
        parts, sizes = parts[:-1], (height, width, 1)
    return first, copied(builder, second, layer, parts, sizes)


def _in_memory_order(builder: GraphBuilder, source: Activation, array: Reals) -> Reals:
    """A constant that broadcasts to the activation, as one value for each of its tensor's."""
    values = np.empty(builder.tensors[source.tensor].size)
    values[source.view.addresses()] = np.broadcast_to(array, source.view.shape)
    return values.reshape(builder.tensors[source.tensor].shape)


def _folded(
    builder: GraphBuilder, layer: str, source: Activation, gains: Reals, offsets: Reals
) -> Activation:
    """The convolution that computed `source`, with the gains in its weights.

    It is a second one beside the first, which is dropped if nothing else reads its result.
    """
    producer = next((op for op in builder.operators if op.output == source.tensor), None)
    attributes = producer.attributes if producer is not None else None
    gain, offset = (array[:1, :1] for array in (gains, offsets))
    if (
        producer is None
        or not isinstance(attributes, Convolution)
        or attributes.clamp != NO_CLAMP
        or not (np.all(gains == gain) and np.all(offsets == offset))
    ):
        raise UnsupportedModelError(
            f"the input of layer {layer} is not quantised. Quantise the whole model to int8, "
            "the layer before it too."
        )
    scale = builder.tensors[producer.inputs[0]].quantisation
    assert scale is not None, "a convolution is only added to a quantised input"
    folded = _scaled(layer, attributes, scale.scale, gain.reshape(-1), offset.reshape(-1))
    return replace(source, tensor=builder.add(layer, producer.inputs, folded))


def _scaled(
    layer: str, attributes: Convolution, source_scale: float, gain: Reals, offset: Reals
) -> Convolution:
    assert attributes.weights is not None and attributes.bias is not None
    assert attributes.weight_scales is not None
    integers = attributes.weights.astype(np.int64)
    if attributes.weight_offsets is not None:
        integers = integers + attributes.weight_offsets[:, None, None, None]
    sign = np.where(gain < 0, -1, 1)[:, None, None, None]
    bias = attributes.bias * source_scale * attributes.weight_scales * gain + offset
    weights = Weights(integers * sign, attributes.weight_scales * np.abs(gain))
    return filled_convolution(
        layer, weights, bias, source_scale, attributes.window, attributes.groups
    )


def _channelwise(
    node: Node, builder: GraphBuilder, source: Activation, gains: Reals, offsets: Reals
) -> Activation:
    """A depthwise 1x1 convolution; of a single pixel where the constants differ in each pixel."""
    layer, scale = node.layer, builder.quantisation(source, node.layer).scale
    name = source.tensor
    if np.all(gains == 1) and not np.all(offsets == offsets[:1, :1]):
        return _plus_constants(node, builder, source, AddConstant(offsets, node.clamp))
    if np.all(gains == gains[:1, :1]) and np.all(offsets == offsets[:1, :1]):
        gains, offsets = gains[0, 0], offsets[0, 0]
    else:
        gains, offsets = gains.reshape(-1), offsets.reshape(-1)
        name = copied(builder, source, layer, ((gains.size, 1),), (1, 1, gains.size))
    # The one weight of a channel may be any integer: large, so that the bias has fine steps.
    steps = np.maximum(np.abs(gains) / _LARGEST_WEIGHT, np.abs(offsets) / scale * 2.0**-_BIAS_BITS)
    integers = np.rint(np.divide(gains, steps, out=np.zeros_like(gains), where=steps > 0))
    weights = Weights(integers.astype(np.int64)[:, None, None, None], steps)
    attributes = filled_convolution(
        layer, weights, offsets, scale, Window(1, 1), gains.size, node.clamp
    )
    return replace(source, tensor=builder.add(layer, (name,), attributes, node.quantisation))


def _plus_constants(
    node: Node, builder: GraphBuilder, source: Activation, attributes: AddConstant
) -> Activation:
    """A sum with a constant for each value; a matrix becomes a row of pixels, as products need it.

    All that follows in a transformer then has that shape, and nothing need be copied.
    """
    name, shape, offsets = source.tensor, source.view.shape, attributes.values
    assert offsets is not None
    in_file_order = np.array_equal(source.view.addresses().reshape(-1), np.arange(offsets.size))
    if in_file_order and len(shape) == _MATRIX_AXES:
        rows = (shape[0], shape[1], shape[2])
        name = copied(builder, source, node.layer, ((offsets.size, 1),), rows)
        attributes = replace(attributes, values=offsets.reshape(shape))
    result = builder.add(node.layer, (name,), attributes, node.quantisation)
    return replace(source, tensor=result)
