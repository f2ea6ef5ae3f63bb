"""Constants that a file spells out as nodes, and what quantises, dequantises or keeps values.

Such constants are values, shapes, arrays of one value; sizes, pads, scales of a resize.
"""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from automcu.compiler.graph import Quantisation
from automcu.compiler.read.arrange import on_scale
from automcu.compiler.read.builder import Constant, dequantised
from automcu.compiler.read.file_tensor import checked_quantisation, positive_axis
from automcu.compiler.read.node import UINT8_OFFSET, ImportContext, Node, reader
from automcu.errors import UnsupportedModelError

LONGEST_CONSTANT = 1 << 16  # of those that a file computes: sizes, pads and the like
_MOST_VALUES = 4096
# Operators whose result is no larger than their largest operand.
FOLDED_KINDS = frozenset(
    [
        "Abs",
        "And",
        "Ceil",
        "Equal",
        "Exp",
        "Floor",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Neg",
        "Not",
        "Or",
        "Pow",
        "Reciprocal",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Round",
        "Sign",
        "Size",
        "Sqrt",
        "Where",
        "Xor",
    ]
)


@reader("Shape")
def _shape_of(node: Node, context: ImportContext) -> None:
    shape = np.array(context.shape(node), np.int64)
    start, end = (node.settings.get(name) for name in ("start", "end"))
    context.set_constant(node, Constant(shape[slice(start, end)]))


@reader("ConstantOfShape")
def _constant_of_shape(node: Node, context: ImportContext) -> None:
    shape = context.integers(node, 0, "shape") or ()
    if min(shape, default=1) < 0 or prod(shape) > LONGEST_CONSTANT:
        raise ValueError(f"a constant of shape {shape}")
    value = np.zeros(1, np.float32)
    if "value" in node.settings:
        value = np.asarray(numpy_helper.to_array(node.settings["value"]))
    context.set_constant(node, Constant(np.full(shape, value.reshape(-1)[0])))


@reader("Constant")
def _constant_node(node: Node, context: ImportContext) -> None:
    settings = node.settings
    if "value" in settings:
        values = np.asarray(numpy_helper.to_array(settings["value"]))
    else:
        kinds = ("value_float", "value_floats", "value_int", "value_ints")
        given = [settings[kind] for kind in kinds if kind in settings]
        if not given:
            raise ValueError("it has no value")
        values = np.asarray(given[0])
    context.set_constant(node, Constant(values))


def fold(node: Node, context: ImportContext) -> bool:
    """Compute the node by ONNX's own reference if it is such arithmetic; return whether it was."""
    if node.proto is None or node.kind not in FOLDED_KINDS:
        return False
    names = [name for name in node.inputs if name]
    values = {}
    for name in names:
        constant = context.builder.constants.get(name)
        if constant is None or constant.scales is not None or constant.values.size > _MOST_VALUES:
            return False
        values[name] = np.asarray(constant.values)
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
            )
            for name, value in values.items()
        ],
        [helper.make_tensor_value_info(node.outputs[0], TensorProto.UNDEFINED, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", context.opset)])
    try:
        (result,) = ReferenceEvaluator(model).run(None, values)
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"its constants cannot be computed: {error}") from error
    context.set_constant(node, Constant(np.asarray(result)))
    return True


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
