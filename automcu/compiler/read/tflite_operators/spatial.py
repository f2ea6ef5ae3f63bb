"""Convolutions, fully connected layers, pools, means and softmax. All are channels-last."""

from dataclasses import replace

import numpy as np
import tflite
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops import AveragePool, MaxPool
from automcu.compiler.ops.clamp import NO_CLAMP
from automcu.compiler.ops.windows import Window
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.elementwise import apply_clamp
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
from automcu.compiler.read.padding import same_padding
from automcu.compiler.read.tflite_operators.layer import (
    Reading,
    fused_clamp,
    operator,
    positive_axis,
    setting,
)
from automcu.compiler.read.tflite_operators.records import LayerRecord
from automcu.errors import UnsupportedModelError

_AXES = SpatialAxes(1, 2, 3)
_BIAS_TOLERANCE = 0.02  # steps of the result
_LARGEST = 1 << 12  # of a kernel, stride or dilation


@operator("CONV_2D")
def _convolution(layer: LayerRecord, reading: Reading) -> None:
    weights = _weights(layer, reading, 0)
    source = _image(layer, reading)
    _, height, width, per_group = weights.integers.shape
    groups, rest = divmod(source.view.shape[3], per_group)
    if rest:
        raise ValueError(f"{per_group} weights on {source.view.shape[3]} channels")
    _add_convolution(layer, reading, source, weights, (height, width), groups)


@operator("DEPTHWISE_CONV_2D")
def _depthwise(layer: LayerRecord, reading: Reading) -> None:
    weights = _weights(layer, reading, 3)
    source = _image(layer, reading)
    _, one, height, width = weights.integers.shape
    if one != 1:
        raise ValueError(f"weights of shape {weights.integers.shape}")
    weights = replace(weights, integers=weights.integers.transpose(0, 2, 3, 1))
    _add_convolution(layer, reading, source, weights, (height, width), source.view.shape[3])


@operator("FULLY_CONNECTED")
def _fully_connected(layer: LayerRecord, reading: Reading) -> None:
    if setting(layer, "WeightsFormat"):
        raise UnsupportedModelError(
            f"layer {layer.name} has shuffled weights. Convert the model again without them."
        )
    weights = _weights(layer, reading, 0)
    if weights.integers.ndim != 2:
        raise ValueError(f"weights of {weights.integers.ndim} axes")
    source = reading.activation(layer)
    features = weights.integers.shape[1]
    if source.view.shape[-1:] != (features,) or not setting(layer, "KeepNumDims"):
        source = reshape(reading.builder, layer.name, source, (-1, features))
    quantisation = reading.result_quantisation(layer)
    result = matrix_product(
        reading.builder,
        layer.name,
        source,
        weights,
        _bias(layer, reading, weights, reading.builder.quantisation(source, layer.name)),
        fused_clamp(layer),
        quantisation,
    )
    reading.bind(layer, result)


@operator("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(layer: LayerRecord, reading: Reading) -> None:
    source = _image(layer, reading)
    size = setting(layer, "FilterHeight", 1), setting(layer, "FilterWidth", 1)
    window = _window(layer, source, size, (1, 1))
    clamp = fused_clamp(layer)
    if layer.kind == "AVERAGE_POOL_2D":
        average = AveragePool(window, clamp=clamp, raw_halves=True)
        quantisation = reading.result_quantisation(layer)
        result = pool(reading.builder, layer.name, source, _AXES, average, quantisation)
    else:
        result = pool(reading.builder, layer.name, source, _AXES, MaxPool(window))
        if clamp != NO_CLAMP:
            result = apply_clamp(reading.builder, layer.name, result, clamp, "clip")
    reading.bind(layer, result)


@operator("MEAN", "REDUCE_MAX")
def _reduce(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    rank = len(source.view.shape)
    axes = sorted({positive_axis(axis, rank) for axis in reading.integers(layer, 1)})
    if layer.kind == "MEAN":
        quantisation = reading.result_quantisation(layer)
        result = reduce(reading.builder, layer.name, source, axes, AveragePool, quantisation)
    else:
        result = reduce(reading.builder, layer.name, source, axes, MaxPool)
    if not setting(layer, "KeepDims"):
        kept = tuple(n for axis, n in enumerate(source.view.shape) if axis not in axes)
        result = reshape(reading.builder, layer.name, result, kept)
    reading.bind(layer, result)


@operator("SOFTMAX")
def _softmax(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    axis, beta = len(source.view.shape) - 1, float(setting(layer, "Beta", 1.0))
    if not 0 < beta < float("inf"):
        raise ValueError(f"a beta of {beta}")
    quantisation = reading.result_quantisation(layer)
    result = softmax(reading.builder, layer.name, source, axis, beta, quantisation)
    reading.bind(layer, result)


def _image(layer: LayerRecord, reading: Reading) -> Activation:
    source = reading.activation(layer)
    if len(source.view.shape) != 4:
        raise ValueError(f"an input of shape {source.view.shape}")
    return source


def _weights(layer: LayerRecord, reading: Reading, out_axis: int) -> Weights:
    constant = reading.constant(layer, 1)
    if constant.scales is None:
        raise UnsupportedModelError(
            f"layer {layer.name} has float weights. Convert the model with full integer "
            "quantisation (TFLITE_BUILTINS_INT8, a representative dataset)."
        )
    if constant.scales.size > 1 and constant.axis != out_axis:
        raise UnsupportedModelError(
            f"layer {layer.name} has scales along axis {constant.axis}; weights need one scale "
            "per output channel. Convert the model again."
        )
    integers = np.moveaxis(constant.values.astype(np.int64), out_axis, 0)
    scales = np.broadcast_to(constant.scales, (integers.shape[0],)).astype(np.float64)
    return Weights(integers, scales)


def _bias(
    layer: LayerRecord, reading: Reading, weights: Weights, source: Quantisation
) -> NDArray[np.float64]:
    """The real bias; its integers are steps of input scale x weight scale whatever it says."""
    if not layer.has_input(2):
        return np.zeros(len(weights.scales))
    record = reading.record(layer, 2)
    if record.data is None or record.data.dtype.kind != "i":
        raise UnsupportedModelError(
            f"layer {layer.name} has a bias that is not int32. Convert the model again."
        )
    steps = record.data.astype(np.float64).reshape(-1)
    _check_bias_scale(layer, reading, weights, source)
    return np.asarray(steps * source.scale * weights.scales)


def _check_bias_scale(
    layer: LayerRecord, reading: Reading, weights: Weights, source: Quantisation
) -> None:
    """See that a single scale of a bias is what it has to be, as closely as LiteRT asks."""
    record = reading.record(layer, 2)
    product = source.scale * weights.scales
    if record.scales.size != 1 or np.ptp(weights.scales) or not np.any(record.data):
        return
    stated = float(record.scales[0])
    off = abs(product[0] - stated) / reading.result_quantisation(layer).scale
    if not off <= _BIAS_TOLERANCE:
        raise UnsupportedModelError(
            f"layer {layer.name} has a bias {record.name!r} of the scale {stated:.6g}, where those "
            f"of its input and weights ask for {product[0]:.6g}. Convert the model again."
        )


def _add_convolution(
    layer: LayerRecord,
    reading: Reading,
    source: Activation,
    weights: Weights,
    size: tuple[int, int],
    groups: int,
) -> None:
    dilation = setting(layer, "DilationHFactor", 1), setting(layer, "DilationWFactor", 1)
    result = convolution(
        reading.builder,
        layer.name,
        source,
        _AXES,
        weights,
        _bias(layer, reading, weights, reading.builder.quantisation(source, layer.name)),
        _window(layer, source, size, dilation),
        groups,
        fused_clamp(layer),
        reading.result_quantisation(layer),
    )
    reading.bind(layer, result)


def _window(
    layer: LayerRecord, source: Activation, size: tuple[int, int], dilation: tuple[int, int]
) -> Window:
    stride = setting(layer, "StrideH", 1), setting(layer, "StrideW", 1)
    if not all(1 <= number <= _LARGEST for number in (*size, *stride, *dilation)):
        raise ValueError(f"a window of {size} with stride {stride} and dilation {dilation}")
    pads = [0, 0, 0, 0]
    if setting(layer, "Padding") == tflite.Padding.SAME:
        lengths = list(source.view.shape[1:3])
        pads = same_padding(lengths, list(size), list(stride), list(dilation), upper=True)
    return Window(size[0], size[1], stride, (pads[0], pads[1], pads[2], pads[3]), dilation)
