"""Convolutions, matrix products, pools, means and softmax."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops import AveragePool, MaxPool
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.constant import Constant
from automcu.compiler.read.layers import (
    SpatialAxes,
    Weights,
    convolution,
    matrix_product,
    pool,
    reduce,
    softmax,
)
from automcu.compiler.read.movement import reshape
from automcu.compiler.read.onnx_operators.node import Node, Reading, operator, positive_axis
from automcu.compiler.read.onnx_operators.window import spatial_window
from automcu.errors import UnsupportedModelError

_SOFTMAX_OF_ONE_AXIS = 13  # the ONNX version since which a softmax is along a single axis


def quantised_weights(constant: Constant, out_axis: int, layer: str) -> Weights:
    """Weights with the output channel first."""
    if constant.scales is None:
        raise UnsupportedModelError(
            f"layer {layer} has float weights. Quantise the model to int8 (QDQ), weights too."
        )
    if constant.scales.size > 1 and constant.axis != out_axis:
        raise UnsupportedModelError(
            f"layer {layer} has scales along axis {constant.axis}; weights need one scale per "
            "output channel. Quantise the model again."
        )
    integers = np.moveaxis(constant.values.astype(np.int64), out_axis, 0)
    scales = np.broadcast_to(constant.scales, (integers.shape[0],)).astype(np.float64)
    return Weights(integers, scales)


def axes_of(activation: Activation) -> SpatialAxes:
    """The meaning of the axes of a channels-first activation: images, or sequences."""
    rank = len(activation.view.shape)
    if rank == 4:
        return SpatialAxes(2, 3, 1)
    if rank == 3:
        return SpatialAxes(None, 2, 1)
    raise UnsupportedModelError(
        f"its input has {rank} axes; only images and sequences are supported. "
        "Use 2-D or 1-D layers."
    )


@operator("Conv")
def _convolution(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    axes = axes_of(source)
    weights = quantised_weights(reading.constant(node, 1), 0, node.layer)
    if weights.integers.ndim != len(source.view.shape):
        raise ValueError(f"weights of {weights.integers.ndim} axes")
    kernel = list(weights.integers.shape[2:])
    if axes.height is None:
        weights = replace(weights, integers=weights.integers[:, :, None, :])
    result = convolution(
        reading.builder,
        node.layer,
        source,
        axes,
        replace(weights, integers=weights.integers.transpose(0, 2, 3, 1)),
        _bias(node, reading, len(weights.scales)),
        spatial_window(node, source, axes, kernel),
        int(node.settings.get("group", 1)),
    )
    reading.bind(node, result)


@operator("Gemm")
def _gemm(node: Node, reading: Reading) -> None:
    if node.settings.get("transA", 0):
        raise UnsupportedModelError(
            f"layer {node.layer} transposes its input. Export it without transA."
        )
    weights = _matrix(node, reading, 0 if node.settings.get("transB", 0) else 1)
    weights = replace(weights, scales=weights.scales * float(node.settings.get("alpha", 1.0)))
    bias = _bias(node, reading, len(weights.scales)) * float(node.settings.get("beta", 1.0))
    source = reading.activation(node)
    reading.bind(node, matrix_product(reading.builder, node.layer, source, weights, bias))


@operator("MatMul")
def _matrix_product(node: Node, reading: Reading) -> None:
    if reading.is_constant(node, 0):
        raise UnsupportedModelError(
            f"layer {node.layer} multiplies a stored matrix by its input. "
            "Write it as input x stored matrix, with a Transpose before and behind it."
        )
    if not reading.is_constant(node, 1):
        raise UnsupportedModelError(
            f"layer {node.layer} multiplies two computed matrices, which cannot be compiled yet. "
            "Use a layer with fixed weights."
        )
    weights = _matrix(node, reading, 1)
    bias = np.zeros(len(weights.scales))
    source = reading.activation(node)
    reading.bind(node, matrix_product(reading.builder, node.layer, source, weights, bias))


@operator("AveragePool")
def _average_pool(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    axes = axes_of(source)
    window = spatial_window(node, source, axes, list(node.settings["kernel_shape"]))
    counts_padding = bool(node.settings.get("count_include_pad", 0))
    if counts_padding and node.settings.get("ceil_mode", 0):
        raise UnsupportedModelError(
            f"layer {node.layer} both rounds its size up and counts padding. Use one of them."
        )
    attributes = AveragePool(window, padding_counts=counts_padding)
    reading.bind(node, pool(reading.builder, node.layer, source, axes, attributes))


@operator("MaxPool")
def _max_pool(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    axes = axes_of(source)
    window = spatial_window(node, source, axes, list(node.settings["kernel_shape"]))
    reading.bind(node, pool(reading.builder, node.layer, source, axes, MaxPool(window)))


@operator("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    axes = range(2, len(source.view.shape))
    kind = AveragePool if node.kind == "GlobalAveragePool" else MaxPool
    reading.bind(node, reduce(reading.builder, node.layer, source, axes, kind))


@operator("ReduceMean", "ReduceMax")
def _reduce(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    shape = source.view.shape
    given = reading.integers(node, 1, "axes")
    if not given and node.settings.get("noop_with_empty_axes", 0):
        reading.bind(node, source)
        return
    axes = sorted({positive_axis(axis, len(shape)) for axis in given or range(len(shape))})
    kind = AveragePool if node.kind == "ReduceMean" else MaxPool
    result = reduce(reading.builder, node.layer, source, axes, kind)
    if not node.settings.get("keepdims", 1):
        kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
        result = reshape(reading.builder, node.layer, result, kept)
    reading.bind(node, result)


@operator("Softmax")
def _softmax(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    rank = len(source.view.shape)
    older = reading.opset < _SOFTMAX_OF_ONE_AXIS
    axis = positive_axis(int(node.settings.get("axis", 1 if older else -1)), rank)
    if older and any(size > 1 for size in source.view.shape[axis + 1 :]):
        raise UnsupportedModelError(
            f"layer {node.layer} is a softmax over several axes. Export with opset 13 or later."
        )
    reading.bind(node, softmax(reading.builder, node.layer, source, axis, 1.0))


def _matrix(node: Node, reading: Reading, out_axis: int) -> Weights:
    constant = reading.constant(node, 1)
    if constant.values.ndim > 2:
        constant = constant.reshaped(constant.values.shape[-2:])
    if constant.values.ndim != 2:
        raise ValueError(f"weights of {constant.values.ndim} axes")
    return quantised_weights(constant, out_axis, node.layer)


def _bias(node: Node, reading: Reading, channels: int) -> NDArray[np.float64]:
    if not node.has_input(2):
        return np.zeros(channels)
    return np.broadcast_to(reading.constant(node, 2).real().reshape(-1), (channels,)).copy()
