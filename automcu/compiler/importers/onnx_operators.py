"""What each ONNX operator becomes. A new operator is one function here, by its ONNX name.

Layout: ONNX images are channels-first; ours are channels-last, so kernels are transposed, and the
columns of a matrix behind a Flatten are put in channels-last order.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from automcu.compiler.importers.builder import Constant, GraphBuilder, checked_quantisation
from automcu.compiler.operators import Add, AveragePool, Convolution, MaxPool, Rescale
from automcu.compiler.operators.windows import Window
from automcu.errors import UnsupportedModelError

Importer = Callable[[NodeProto, str, GraphBuilder], None]
OPERATORS: dict[str, Importer] = {}
_UINT8_OFFSET = 128  # uint8 minus this is the same value as int8


def operator(*names: str) -> Callable[[Importer], Importer]:
    """Register a function as the importer of these ONNX operators."""

    def register(function: Importer) -> Importer:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def _settings(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _to_int8(values: NDArray[np.generic], layer: str) -> NDArray[np.int64]:
    """Signed value of an int8 or uint8 array (or zero point)."""
    if values.dtype == np.uint8:
        return values.astype(np.int64) - _UINT8_OFFSET
    if values.dtype == np.int8:
        return values.astype(np.int64)
    raise UnsupportedModelError(
        f"{layer} is quantised to {values.dtype}; only int8 and uint8 activations are supported. "
        "Quantise the model again."
    )


@operator("QuantizeLinear")
def _quantize(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    scale = builder.constant(node.input[1], layer).values
    if len(node.input) < 3:
        raise UnsupportedModelError(f"{layer} has no zero point. Quantise the model to int8.")
    zero_point = builder.constant(node.input[2], layer).values
    if scale.size != 1:
        raise UnsupportedModelError(
            f"{layer} quantises an activation per channel. Quantise activations per tensor."
        )
    quantisation = checked_quantisation(
        float(scale.reshape(())), int(_to_int8(zero_point, layer).reshape(())), layer
    )
    builder.quantise(node.input[0], node.output[0], quantisation)


@operator("DequantizeLinear")
def _dequantize(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    if node.input[0] not in builder.constants:
        builder.alias(node.input[0], node.output[0])
        return
    values = builder.constants[node.input[0]].values
    scales = builder.constant(node.input[1], layer).values.astype(np.float64).reshape(-1)
    if not np.all(np.isfinite(scales) & (scales >= 0)):
        raise UnsupportedModelError(f"{layer} has scales that are not finite. Quantise again.")
    axis = int(_settings(node).get("axis", 1))
    axis = axis if values.ndim > 1 else 0
    integers = values.astype(np.int64)
    if len(node.input) > 2 and node.input[2]:
        zero_points = builder.constant(node.input[2], layer).values.astype(np.int64)
        shape = [1] * values.ndim
        if zero_points.size > 1:
            shape[axis] = -1
        integers = integers - zero_points.reshape(shape)
    builder.constants[node.output[0]] = Constant(integers, scales, axis)


def _weights(
    constant: Constant, out_axis: int, layer: str
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Integer weights with the output channel first, and a scale for each channel."""
    if constant.scales is None:
        raise UnsupportedModelError(
            f"layer {layer} has float weights. Quantise the model to int8 (QDQ) first, "
            "or give calibration data."
        )
    if constant.values.min() < -128 or constant.values.max() > 127:
        raise UnsupportedModelError(
            f"layer {layer} has weights beyond int8. Quantise weights symmetrically."
        )
    if constant.scales.size > 1 and constant.axis != out_axis:
        raise UnsupportedModelError(
            f"layer {layer} has scales along axis {constant.axis}; weights need one scale per "
            "output channel. Quantise the model again."
        )
    values = np.moveaxis(constant.values, out_axis, 0).astype(np.int8)
    return values, np.broadcast_to(constant.scales, (values.shape[0],)).astype(np.float64)


def _bias(
    name: str | None, scales: NDArray[np.float64], layer: str, builder: GraphBuilder
) -> NDArray[np.int32]:
    if not name:
        return np.zeros(len(scales), np.int32)
    real = builder.constant(name, layer).real().reshape(-1)
    integers = np.divide(real, scales, out=np.zeros_like(scales), where=scales > 0)
    limits = np.iinfo(np.int32)
    return np.clip(np.rint(integers), limits.min, limits.max).astype(np.int32)


def _window(node: NodeProto, shape: tuple[int, int, int], size: list[int]) -> Window:
    """The window of a Conv or pool with all its ONNX attributes resolved to numbers."""
    settings = _settings(node)
    strides = list(settings.get("strides", [1] * len(size)))
    dilations = list(settings.get("dilations", [1] * len(size)))
    pads = list(settings.get("pads", [0] * 2 * len(size)))
    if len(size) == 1:  # a 1-D layer is a 2-D layer of height 1
        size, strides, dilations = [1, *size], [1, *strides], [1, *dilations]
        pads = [0, pads[0], 0, pads[1]]
    if len(size) != 2 or min((*size, *strides, *dilations)) < 1 or min(pads) < 0:
        raise ValueError(f"window {size}, strides {strides}, pads {pads}")
    automatic = settings.get("auto_pad", b"NOTSET").decode()
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_padding(shape, size, strides, dilations, automatic == "SAME_UPPER")
    if settings.get("ceil_mode", 0):
        pads = _ceil_padding(shape, size, strides, dilations, pads)
    top, left, bottom, right = pads
    return Window(
        size[0],
        size[1],
        (strides[0], strides[1]),
        (top, left, bottom, right),
        (dilations[0], dilations[1]),
    )


def _same_padding(
    shape: tuple[int, int, int],
    size: list[int],
    strides: list[int],
    dilations: list[int],
    upper: bool,
) -> list[int]:
    before, after = [], []
    for length, kernel, stride, dilation in zip(shape, size, strides, dilations, strict=False):
        total = max((-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1 - length, 0)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    return [*before, *after]


def _ceil_padding(
    shape: tuple[int, int, int],
    size: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> list[int]:
    """Padding at the end that makes rounding up the output size the same as rounding down."""
    ends = []
    for axis, (length, kernel, stride, dilation) in enumerate(
        zip(shape, size, strides, dilations, strict=False)
    ):
        reach = dilation * (kernel - 1) + 1
        missing = -(length + pads[axis] + pads[axis + 2] - reach) % stride
        # A last window that would start in the padding is dropped (the rule of ONNX and torch).
        starts = (length + pads[axis] + pads[axis + 2] - reach + missing) // stride * stride
        ends.append(pads[axis + 2] + (missing if starts < length + pads[axis] else 0))
    return [pads[0], pads[1], *ends]


@operator("Conv")
def _convolution(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    source = builder.tensor(node.input[0], layer)
    weights, weight_scales = _weights(builder.constant(node.input[1], layer), 0, layer)
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    if weights.ndim != 4:
        raise ValueError(f"weights of {weights.ndim} dimensions")
    groups = int(_settings(node).get("group", 1))
    if groups < 1 or weights.shape[1] * groups != source.shape[2] or weights.shape[0] % groups:
        raise ValueError(f"{groups} groups of {weights.shape} on {source.shape[2]} channels")
    if source.quantisation is None:
        raise UnsupportedModelError(f"the input of layer {layer} is not quantised. Use QDQ.")
    size = (
        list(weights.shape[2:])
        if len(_settings(node).get("kernel_shape", [0, 0])) == 2
        else [weights.shape[3]]
    )
    scales = source.quantisation.scale * weight_scales
    bias_name = node.input[2] if len(node.input) > 2 else None
    builder.add(
        layer,
        (node.input[0],),
        node.output[0],
        Convolution(
            window=_window(node, source.shape, size),
            out_channels=weights.shape[0],
            groups=groups,
            weights=np.ascontiguousarray(weights.transpose(0, 2, 3, 1)),
            weight_scales=weight_scales,
            bias=_bias(bias_name, scales, layer, builder),
        ),
    )


@operator("Gemm", "MatMul")
def _matrix_product(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    settings = _settings(node)
    if settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0:
        raise UnsupportedModelError(
            f"layer {layer} scales its product. Fold alpha into the weights."
        )
    if settings.get("transA", 0):
        raise UnsupportedModelError(
            f"layer {layer} transposes its input. Export it without transA."
        )
    constant = builder.constant(node.input[1], layer)
    if constant.values.ndim != 2:
        raise ValueError(f"weights of {constant.values.ndim} dimensions")
    weights, weight_scales = _weights(constant, 0 if settings.get("transB", 0) else 1, layer)
    source = builder.tensor(node.input[0], layer)
    if source.quantisation is None:
        raise UnsupportedModelError(f"the input of layer {layer} is not quantised. Use QDQ.")
    height, width, channels = source.shape
    if weights.shape[1] != height * width * channels:
        raise ValueError(f"{weights.shape[1]} weights a row for {height * width * channels} inputs")
    # The row of a channels-first flattened image, in the order in which we keep the image.
    kernel = weights.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    bias_name = node.input[2] if len(node.input) > 2 else None
    builder.add(
        layer,
        (node.input[0],),
        node.output[0],
        Convolution(
            window=Window(height, width),
            out_channels=weights.shape[0],
            weights=np.ascontiguousarray(kernel),
            weight_scales=weight_scales,
            bias=_bias(bias_name, source.quantisation.scale * weight_scales, layer, builder),
        ),
    )


@operator("Relu")
def _relu(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    builder.add(layer, (node.input[0],), node.output[0], Rescale((0.0, inf)))


@operator("Clip")
def _clip(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    limits = []
    for position, default in ((1, -inf), (2, inf)):
        given = len(node.input) > position and node.input[position]
        limits.append(
            float(builder.constant(node.input[position], layer).real().reshape(()))
            if given
            else default
        )
    builder.add(layer, (node.input[0],), node.output[0], Rescale((limits[0], limits[1])))


@operator("Add", "Sub")
def _add(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    first, second = (builder.tensor(name, layer) for name in node.input)
    if first.shape != second.shape:
        raise UnsupportedModelError(
            f"layer {layer} adds {first.shape} and {second.shape}; only equal shapes work. "
            "Broadcast in the model's training code instead."
        )
    builder.add(
        layer, tuple(node.input), node.output[0], Add(sign=-1 if node.op_type == "Sub" else 1)
    )


@operator("AveragePool")
def _average_pool(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    source = builder.tensor(node.input[0], layer)
    settings = _settings(node)
    window = _window(node, source.shape, list(settings["kernel_shape"]))
    builder.add(
        layer,
        (node.input[0],),
        node.output[0],
        AveragePool(window, padding_counts=bool(settings.get("count_include_pad", 0))),
    )


@operator("MaxPool")
def _max_pool(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    source = builder.tensor(node.input[0], layer)
    window = _window(node, source.shape, list(_settings(node)["kernel_shape"]))
    builder.add(layer, (node.input[0],), node.output[0], MaxPool(window))
    if source.quantisation is not None:  # a maximum keeps its input's scale
        builder.quantise(node.output[0], node.output[0], source.quantisation)


@operator("GlobalAveragePool")
def _global_average_pool(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    height, width, _ = builder.tensor(node.input[0], layer).shape
    builder.add(layer, (node.input[0],), node.output[0], AveragePool(Window(height, width)))


@operator("ReduceMean")
def _reduce_mean(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    axes = _settings(node).get("axes")
    if axes is None and len(node.input) > 1:
        axes = builder.constant(node.input[1], layer).values.tolist()
    if sorted(axis % 4 for axis in axes or ()) != [2, 3]:
        raise UnsupportedModelError(
            f"layer {layer} averages over axes {axes}; only height and width are supported."
        )
    _global_average_pool(node, layer, builder)


@operator("Flatten", "Reshape", "Squeeze")
def _flatten(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    """Only changes the shape; a matrix product behind it puts its weights in our order."""
    if node.input[0] in builder.constants:
        raise UnsupportedModelError(f"layer {layer} reshapes a constant. Fold constants first.")
    builder.alias(node.input[0], node.output[0])


@operator("Identity", "Dropout")
def _identity(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    builder.alias(node.input[0], node.output[0])


@operator("Constant")
def _constant(node: NodeProto, layer: str, builder: GraphBuilder) -> None:
    from onnx import numpy_helper

    builder.constants[node.output[0]] = Constant(
        np.asarray(numpy_helper.to_array(_settings(node)["value"]))
    )
