"""QuantizeLinear, DequantizeLinear, and what passes through them unchanged."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.arrange import on_scale
from automcu.compiler.read.builder import Constant, dequantised
from automcu.compiler.read.content import checked_quantisation
from automcu.compiler.read.node import UINT8_OFFSET, ImportContext, Node, reader
from automcu.compiler.read.view import positive_axis
from automcu.errors import UnsupportedModelError

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def quantisation_of(node: Node, context: ImportContext) -> Quantisation:
    """The scale and zero point of a QuantizeLinear or DequantizeLinear of an activation."""
    scale = context.constant(node, 1).values
    if scale.size != 1:
        raise UnsupportedModelError(
            f"layer {node.layer} quantises an activation per channel. "
            "Quantise activations per tensor."
        )
    zero_point = np.zeros(1, _type_read(node, context))
    if node.has_input(2):
        zero_point = np.asarray(context.constant(node, 2).values)
    signed = _signed(zero_point, node.layer)
    return checked_quantisation(
        float(scale.reshape(())),
        int(signed.reshape(())),
        f"layer {node.layer} ({node.inputs[1]!r})",
    )


def _type_read(node: Node, context: ImportContext) -> np.dtype[np.generic]:
    """The integers of a node without a zero point, which stands for 0 of their type.

    Raises:
        UnsupportedModelError: they are read, and it is not known what wrote them.
    """
    if node.kind == "QuantizeLinear" or node.has_input(2):
        return _type_without_zero_point(node)
    if node.inputs[0] not in context.integer_types:
        raise UnsupportedModelError(
            f"layer {node.layer} reads {node.inputs[0]!r} without a zero point, and whether that "
            "is int8 or uint8 is not known. Give it one."
        )
    return context.integer_types[node.inputs[0]]


@reader("QuantizeLinear")
def _quantize(node: Node, context: ImportContext) -> None:
    if context.is_constant(node, 0):
        context.set_constant(node, _quantised_constant(node, context))
        return
    quantisation = quantisation_of(node, context)
    context.set_output(
        node, on_scale(context.builder, context.activation(node), quantisation, node.layer)
    )
    kind = _type_without_zero_point(node)
    if node.has_input(2):
        kind = np.asarray(context.constant(node, 2).values).dtype
    context.integer_types[node.outputs[0]] = kind


@reader("DequantizeLinear")
def _dequantize(node: Node, context: ImportContext) -> None:
    if node.settings.get("block_size", 0):
        raise UnsupportedModelError(
            f"layer {node.layer} has a scale for each block of weights. "
            "Quantise weights per output channel."
        )
    if context.is_constant(node, 0):
        context.set_constant(node, _dequantised_constant(node, context))
        return
    activation = context.activation(node)
    quantisation = quantisation_of(node, context)
    known = context.builder.tensors[activation.tensor].quantisation
    if known is not None and known != quantisation:
        raise UnsupportedModelError(
            f"layer {node.layer} reads {node.inputs[0]!r} with another scale or zero point "
            f"({_described(quantisation)}) than it was quantised with ({_described(known)}). "
            "Quantise the model again."
        )
    context.set_output(node, context.builder.quantised(activation, quantisation, node.layer))


@reader("Cast")
def _cast(node: Node, context: ImportContext) -> None:
    if context.is_constant(node, 0):
        constant = context.constant(node, 0)
        kind = node.settings["to"]
        values = constant.values.astype(np.float64 if kind in _FLOATS else np.int64)
        context.set_constant(node, replace(constant, values=values))
        return
    activation = context.activation(node)
    if node.inputs[0] in context.integer_inputs:
        # An integer image that is cast to float: its values are what they say.
        offset = context.integer_inputs[node.inputs[0]]
        activation = context.builder.quantised(activation, Quantisation(1.0, -offset), node.layer)
    elif node.settings["to"] not in _FLOATS:
        raise UnsupportedModelError(
            f"layer {node.layer} casts an activation to integers. Use QuantizeLinear instead."
        )
    context.set_output(node, activation)


@reader("Identity", "Dropout")
def _identity(node: Node, context: ImportContext) -> None:
    if context.is_constant(node, 0):
        context.set_constant(node, context.constant(node, 0))
    else:
        context.set_output(node, context.activation(node))


def _described(quantisation: Quantisation) -> str:
    return f"{quantisation.scale:.6g} and {quantisation.zero_point} as int8"


def _type_without_zero_point(node: Node) -> np.dtype[np.generic]:
    is_signed = node.settings.get("output_dtype", TensorProto.UINT8) == TensorProto.INT8
    return np.dtype(np.int8 if is_signed else np.uint8)


def _signed(values: NDArray[np.generic], layer: str) -> NDArray[np.int64]:
    """Signed value of an int8 or uint8 array (or zero point)."""
    if values.dtype == np.uint8:
        return values.astype(np.int64) - UINT8_OFFSET
    if values.dtype == np.int8:
        return values.astype(np.int64)
    raise UnsupportedModelError(
        f"layer {layer} quantises to {values.dtype}; activations have to be int8 or uint8. "
        "Quantise the model again."
    )


def _quantised_constant(node: Node, context: ImportContext) -> Constant:
    """Weights that the file stores as floats and quantises as it runs."""
    values = context.constant(node, 0).real()
    scales = _along_axis(context.constant(node, 1).real(), node, values.ndim)
    zero_points = np.zeros(1, _type_without_zero_point(node))
    if node.has_input(2):
        zero_points = np.asarray(context.constant(node, 2).values)
    limits = np.iinfo(zero_points.dtype)
    shifted = np.rint(values / scales) + _along_axis(zero_points, node, values.ndim)
    return Constant(np.clip(shifted, limits.min, limits.max).astype(zero_points.dtype))


def _dequantised_constant(node: Node, context: ImportContext) -> Constant:
    values = np.asarray(context.constant(node, 0).values)
    if values.dtype.kind == "f":
        raise UnsupportedModelError(
            f"layer {node.layer} has weights of type {values.dtype}. Quantise the model to int8."
        )
    scales = context.constant(node, 1).real().reshape(-1)
    zero_points = np.zeros(1, values.dtype)
    if node.has_input(2):
        zero_points = np.asarray(context.constant(node, 2).values)
    if zero_points.dtype != values.dtype:
        raise ValueError(f"a zero point of type {zero_points.dtype} for {values.dtype}")
    axis, name = int(node.settings.get("axis", 1)), f"layer {node.layer} ({node.inputs[1]!r})"
    return dequantised(values, scales, zero_points, axis, name)


def _along_axis(values: NDArray[np.generic], node: Node, rank: int) -> NDArray[np.float64]:
    """Scales or zero points, one or one for each channel, in a shape that broadcasts."""
    wide = values.astype(np.float64)
    if values.size == 1:
        return wide.reshape(())
    shape = [1] * rank
    shape[positive_axis(int(node.settings.get("axis", 1)), rank)] = -1
    return wide.reshape(shape)
