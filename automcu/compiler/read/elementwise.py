"""Sums, products and functions, element by element, of activations and constants."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops import Add, Convolution, Multiply, Rescale
from automcu.compiler.ops.add_constant import AddConstant
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp
from automcu.compiler.ops.lookup import real_inputs
from automcu.compiler.ops.windows import Window
from automcu.compiler.read.activation import Activation, RealFunction
from automcu.compiler.read.arrange import compact, copied, in_file_order, parts_like
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.layers import Weights, filled_convolution
from automcu.errors import UnsupportedModelError

Reals = NDArray[np.float64]
_LARGEST_WEIGHT = 127
_MATRIX_AXES = 3  # batch, rows, columns
_BIAS_BITS = 20  # of a per-channel offset: fine against the output's steps, far from overflow


@dataclass(frozen=True, eq=False)
class Affine:
    """gain * x + offset; both broadcast to the shape of x."""

    gain: Reals
    offset: Reals


def apply_function(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    name: str,
    function: Callable[[Reals], Reals],
) -> Activation:
    """A real function of every value; it becomes a table once its result is quantised."""
    before = _real_values(builder, source, layer)
    with np.errstate(all="ignore"):
        values = np.asarray(function(before), np.float64)
    return replace(source, function=RealFunction(name, values))


def apply_clamp(
    builder: GraphBuilder, layer: str, source: Activation, clamp: Clamp, name: str
) -> Activation:
    """A clamp of every value; it goes into the operator before it where that is possible."""
    if not clamp[0] <= clamp[1]:
        raise ValueError(f"clamps to {clamp[0]} .. {clamp[1]}")
    if source.function is None and builder.tensors[source.tensor].quantisation is None:
        return replace(source, tensor=builder.add(layer, (source.tensor,), Rescale(clamp)))
    before = source.function or RealFunction(name, _real_values(builder, source, layer), NO_CLAMP)
    return replace(source, function=before.clamped(clamp, name))


def apply_affine(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    affine: Affine,
    name: str,
    quantisation: Quantisation | None = None,
    clamp: Clamp = NO_CLAMP,
) -> Activation:
    """gain * x + offset with constants: a table, part of a convolution, or one of its own."""
    shape = np.broadcast_shapes(source.view.shape, affine.gain.shape, affine.offset.shape)
    if shape != source.view.shape:
        source = compact(builder, replace(source, view=source.view.broadcast(shape)), layer)
    is_scalar = all(np.all(array == array.flat[0]) for array in (affine.gain, affine.offset))
    is_quantised = builder.tensors[source.tensor].quantisation is not None
    if is_scalar and (is_quantised or source.function is not None):
        gain, offset = float(affine.gain.flat[0]), float(affine.offset.flat[0])
        result = apply_function(builder, layer, source, name, lambda x: gain * x + offset)
        return _finished(builder, layer, result, name, quantisation, clamp)
    source = compact(builder, builder.settled(source, layer), layer)
    gains, offsets = (
        _in_memory_order(builder, source, array) for array in (affine.gain, affine.offset)
    )
    if not is_quantised:
        return _folded(builder, layer, source, gains, offsets)
    return _channelwise(builder, layer, source, gains, offsets, quantisation, clamp)


def add_activations(
    builder: GraphBuilder,
    layer: str,
    first: Activation,
    second: Activation,
    sign: int,
    quantisation: Quantisation | None = None,
    clamp: Clamp = NO_CLAMP,
) -> Activation:
    """The sum of two activations, or with `sign` -1 their difference."""
    combined = _same_root(builder, layer, first, second, lambda a, b: a + sign * b, "add")
    if combined is not None:
        return _finished(builder, layer, combined, "add", quantisation, clamp)
    attributes = Add(clamp, sign)
    if first.view.size >= second.view.size:
        whole, name = _operands(builder, layer, first, second, may_repeat=False)
        names = (whole.tensor, name)
    else:
        whole, name = _operands(builder, layer, second, first, may_repeat=False)
        names = (name, whole.tensor)
    return replace(whole, tensor=builder.add(layer, names, attributes, quantisation))


def multiply_activations(
    builder: GraphBuilder,
    layer: str,
    first: Activation,
    second: Activation,
    quantisation: Quantisation | None = None,
    clamp: Clamp = NO_CLAMP,
) -> Activation:
    """The product of two activations; one may be broadcast along the other."""
    combined = _same_root(builder, layer, first, second, lambda a, b: a * b, "multiply")
    if combined is not None:
        return _finished(builder, layer, combined, "multiply", quantisation, clamp)
    if second.view.size > first.view.size:
        first, second = second, first
    first, name = _operands(builder, layer, first, second, may_repeat=True)
    result = builder.add(layer, (first.tensor, name), Multiply(clamp), quantisation)
    return replace(first, tensor=result)


def divide_activations(
    builder: GraphBuilder, layer: str, first: Activation, second: Activation
) -> Activation:
    """The quotient of two functions of one tensor, as in x / (1 + exp(-x)).

    Raises:
        UnsupportedModelError: they are of two tensors.
    """
    combined = _same_root(builder, layer, first, second, lambda a, b: a / b, "divide")
    if combined is None:
        raise UnsupportedModelError(
            f"layer {layer} divides one computed tensor by another, which cannot be compiled. "
            "Divide by a constant, or multiply."
        )
    return combined


def _real_values(builder: GraphBuilder, source: Activation, layer: str) -> Reals:
    """What the 256 values of the tensor stand for so far."""
    if source.function is not None:
        return source.function.values
    return real_inputs(builder.quantisation(source, layer))


def _finished(
    builder: GraphBuilder,
    layer: str,
    result: Activation,
    name: str,
    quantisation: Quantisation | None,
    clamp: Clamp,
) -> Activation:
    """The result on its scale, where that is known already."""
    if quantisation is None:
        return result
    return builder.quantised(apply_clamp(builder, layer, result, clamp, name), quantisation, layer)


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
    other = _real_values(builder, second, layer)
    title = titles[-1] if titles else name
    return apply_function(builder, layer, first, title, lambda values: combine(values, other))


def _operands(
    builder: GraphBuilder, layer: str, first: Activation, second: Activation, may_repeat: bool
) -> tuple[Activation, str]:
    """The first operand as all of a tensor, and the tensor of the second in the same order.

    With `may_repeat` that is a pixel or a channel where the second operand is just repeated.
    """
    shape = np.broadcast_shapes(first.view.shape, second.view.shape)
    first, second = (builder.settled(operand, layer) for operand in (first, second))
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
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    gains: Reals,
    offsets: Reals,
    quantisation: Quantisation | None,
    clamp: Clamp,
) -> Activation:
    """A depthwise 1x1 convolution; of a single pixel where the constants differ in each pixel."""
    scale = builder.quantisation(source, layer).scale
    name = source.tensor
    if np.all(gains == 1) and not np.all(offsets == offsets[:1, :1]):
        return _plus_constants(builder, layer, source, AddConstant(offsets, clamp), quantisation)
    if np.all(gains == gains[:1, :1]) and np.all(offsets == offsets[:1, :1]):
        gains, offsets = gains[0, 0], offsets[0, 0]
    else:
        gains, offsets = gains.reshape(-1), offsets.reshape(-1)
        name = copied(builder, source, layer, ((gains.size, 1),), (1, 1, gains.size))
    # The one weight of a channel may be any integer: large, so that the bias has fine steps.
    steps = np.maximum(np.abs(gains) / _LARGEST_WEIGHT, np.abs(offsets) / scale * 2.0**-_BIAS_BITS)
    integers = np.rint(np.divide(gains, steps, out=np.zeros_like(gains), where=steps > 0))
    weights = Weights(integers.astype(np.int64)[:, None, None, None], steps)
    attributes = filled_convolution(layer, weights, offsets, scale, Window(1, 1), gains.size, clamp)
    return replace(source, tensor=builder.add(layer, (name,), attributes, quantisation))


def _plus_constants(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    attributes: AddConstant,
    quantisation: Quantisation | None,
) -> Activation:
    """A sum with a constant for each value; a matrix becomes a row of pixels, as products need it.

    All that follows in a transformer then has that shape, and nothing need be copied.
    """
    name, shape, offsets = source.tensor, source.view.shape, attributes.values
    assert offsets is not None
    in_file_order = np.array_equal(source.view.addresses().reshape(-1), np.arange(offsets.size))
    if in_file_order and len(shape) == _MATRIX_AXES:
        rows = (shape[0], shape[1], shape[2])
        name = copied(builder, source, layer, ((offsets.size, 1),), rows)
        attributes = replace(attributes, values=offsets.reshape(shape))
    result = builder.add(layer, (name,), attributes, quantisation)
    return replace(source, tensor=result)
