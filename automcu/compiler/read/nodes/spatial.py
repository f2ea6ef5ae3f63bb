"""Convolutions, matrix products, pools, means, softmax and resizing.

Activations keep the axes that the file gives them. A node's setting `channels_last` says that its
image, and the weights that it is convolved with, are not channels-first as they are in ONNX.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops import AveragePool, Convolution, MaxPool, Softmax
from automcu.compiler.read.arrange import (
    Weights,
    as_one_image,
    as_phases,
    axis_roles,
    compact,
    dilated,
    filled_convolution,
    image,
    in_file_order,
)
from automcu.compiler.read.builder import Activation, Constant, GraphBuilder
from automcu.compiler.read.file_tensor import MOST_ELEMENTS, in_order, positive_axis
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.compiler.read.nodes.movement import repeat, reshape, slice_axis
from automcu.compiler.tensor import Window
from automcu.errors import UnsupportedModelError

SOFTMAX_OF_ONE_AXIS = 13  # the ONNX version since which a softmax is along a single axis
_LARGEST = 1 << 12  # of a kernel, stride, dilation or padding


@dataclass(frozen=True)
class SpatialAxes:
    """Which axes of the file's tensor are height, width and channels; None where there is none."""

    height: int | None
    width: int | None
    channels: int

    @property
    def groups(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """The axes as `image` takes them."""
        return (
            () if self.height is None else (self.height,),
            () if self.width is None else (self.width,),
            (self.channels,),
        )

    @property
    def order(self) -> tuple[int, ...]:
        """The axes as they lie in memory."""
        return tuple(axis for group in self.groups for axis in group)


@reader("Conv")
def _convolution(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    axes = _axes_of(node, source)
    weights = _quantised_weights(context.constant(node, 1), 0, node.layer)
    if weights.integers.ndim != len(source.view.shape):
        raise ValueError(f"weights of {weights.integers.ndim} axes")
    if not node.settings.get("channels_last", False):
        weights = replace(weights, integers=np.moveaxis(weights.integers, 1, -1))
    kernel = list(weights.integers.shape[1:-1])
    if axes.height is None:
        weights = replace(weights, integers=weights.integers[:, None])
    bias = _bias(node, context, len(weights.scales))
    window = _window(node, source, axes, kernel)
    context.set_output(node, _convolved(node, context.builder, source, axes, weights, bias, window))


def _convolved(
    node: Node,
    builder: GraphBuilder,
    source: Activation,
    axes: SpatialAxes,
    weights: Weights,
    bias: NDArray[np.float64],
    window: Window,
) -> Activation:
    """Weights are [out, kernel height, kernel width, in / groups], `bias` is real [out]."""
    dilation = (1, 1)
    is_batch = 0 not in axes.order and source.view.shape[0] > 1
    if is_batch:
        source, dilation = as_one_image(source, axes.height, axes.width)
        window = dilated(window, dilation)
    scale = builder.quantisation(source, node.layer).scale
    name = image(builder, source, node.layer, axes.groups)
    groups = int(node.settings.get("group", 1))
    out_channels, _, _, per_group = weights.integers.shape
    in_channels = builder.tensors[name].shape[2]
    if groups < 1 or per_group * groups != in_channels or out_channels % groups:
        raise ValueError(f"{groups} groups of {per_group} weights on {in_channels} channels")
    attributes = filled_convolution(node.layer, weights, bias, scale, window, groups, node.clamp)
    result = _with_axes(node, builder, source, axes, name, attributes)
    return as_phases(result, axes.height, axes.width, dilation) if is_batch else result


@reader("Gemm")
def _gemm(node: Node, context: ImportContext) -> None:
    if node.settings.get("transA", 0):
        raise UnsupportedModelError(
            f"layer {node.layer} transposes its input. Export it without transA."
        )
    weights = _matrix(node, context, 0 if node.settings.get("transB", 0) else 1)
    weights = replace(weights, scales=weights.scales * node.number("alpha", 1.0))
    bias = _bias(node, context, len(weights.scales)) * node.number("beta", 1.0)
    context.set_output(node, _product(node, context, weights, bias))


@reader("MatMul")
def _matrix_product(node: Node, context: ImportContext) -> None:
    if context.is_constant(node, 0):
        raise UnsupportedModelError(
            f"layer {node.layer} multiplies a stored matrix by its input. "
            "Write it as input x stored matrix, with a Transpose before and behind it."
        )
    if not context.is_constant(node, 1):
        raise UnsupportedModelError(
            f"layer {node.layer} multiplies two computed matrices, which cannot be compiled yet. "
            "Use a layer with fixed weights."
        )
    weights = _matrix(node, context, 1)
    bias = np.zeros(len(weights.scales))
    context.set_output(node, _product(node, context, weights, bias))


def _product(
    node: Node, context: ImportContext, weights: Weights, bias: NDArray[np.float64]
) -> Activation:
    """The last axis of the input times weights [out, in]: a vector, or each row of a matrix."""
    builder, source = context.builder, context.activation(node)
    out_features, in_features = weights.integers.shape
    shape = source.view.shape
    if not shape or shape[-1] != in_features:
        raise ValueError(f"{in_features} weights a row for an input of {shape}")
    scale = builder.quantisation(source, node.layer).scale
    source = builder.computed(source, node.layer)
    if prod(shape) != in_features:  # a product of several rows is a 1x1 convolution
        last = len(shape) - 1
        name = image(builder, source, node.layer, (range(last - 1), (last - 1,), (last,)))
        window, integers = Window(1, 1), weights.integers[:, None, None, :]
    else:
        if not source.view.is_dense(builder.tensors[source.tensor].size):
            source = in_file_order(builder, source, node.layer)
        name = source.tensor
        # The columns take the order in which the input lies in memory, so that it need not move.
        height, width, channels = builder.tensors[name].shape
        columns = np.empty_like(weights.integers)
        columns[:, source.view.addresses().reshape(-1)] = weights.integers
        window, integers = Window(height, width), columns.reshape(-1, height, width, channels)
    kernel = replace(weights, integers=integers)
    attributes = filled_convolution(node.layer, kernel, bias, scale, window, 1, node.clamp)
    result = builder.add(node.layer, (name,), attributes, node.quantisation)
    outputs = (*shape[:-1], out_features)
    return Activation(result, in_order(outputs, tuple(range(len(outputs)))))


@reader("AveragePool", "MaxPool")
def _pool(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    axes = _axes_of(node, source)
    window = _window(node, source, axes, list(node.settings["kernel_shape"]))
    attributes: AveragePool | MaxPool = MaxPool(window)
    if node.kind == "AveragePool":
        counts_padding = bool(node.settings.get("count_include_pad", 0))
        if counts_padding and node.settings.get("ceil_mode", 0):
            raise UnsupportedModelError(
                f"layer {node.layer} both rounds its size up and counts padding. Use one of them."
            )
        attributes = AveragePool(
            window,
            clamp=node.clamp,
            padding_counts=counts_padding,
            raw_halves=bool(node.settings.get("raw_halves", False)),
        )
    name = image(context.builder, source, node.layer, axes.groups)
    result = _with_axes(node, context.builder, source, axes, name, attributes)
    context.set_output(node, result)


@reader("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(node: Node, context: ImportContext) -> None:
    axes = range(2, len(context.activation(node).view.shape))
    kind = AveragePool if node.kind == "GlobalAveragePool" else MaxPool
    context.set_output(node, _reduced(node, context, axes, kind))


@reader("ReduceMean", "ReduceMax")
def _reduction(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    shape = source.view.shape
    given = context.integers(node, 1, "axes")
    if not given and node.settings.get("noop_with_empty_axes", 0):
        context.set_output(node, source)
        return
    axes = sorted({positive_axis(axis, len(shape)) for axis in given or range(len(shape))})
    kind = AveragePool if node.kind == "ReduceMean" else MaxPool
    result = _reduced(node, context, axes, kind)
    if not node.settings.get("keepdims", 1):
        kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
        result = reshape(context.builder, node.layer, result, kept)
    context.set_output(node, result)


def _reduced(
    node: Node,
    context: ImportContext,
    axes: Sequence[int],
    kind: type[AveragePool] | type[MaxPool],
) -> Activation:
    """The mean or maximum over whole axes, which keep the size 1."""
    builder = context.builder
    source = compact(builder, context.activation(node), node.layer)
    shape = source.view.shape
    kept = [axis for axis in source.view.memory_order() if axis not in axes]
    roles = axis_roles(builder, source)
    over = {roles[axis] for axis in axes if axis in roles} if roles is not None else {2}
    if 2 in over:  # averaged channels, or mixed axes: the reduced axes become the rows
        name = image(builder, source, node.layer, ((), list(axes), kept))
        over = {1}
    else:
        name = source.tensor
    height, width, _ = builder.tensors[name].shape
    window = Window(height if 0 in over else 1, width if 1 in over else 1)
    scale = node.quantisation if kind is AveragePool else None  # a maximum keeps that of its input
    result = builder.add(node.layer, (name,), kind(window), scale)
    sizes = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return Activation(result, in_order(sizes, (*kept, *axes)))


@reader("Softmax")
def _softmax(node: Node, context: ImportContext) -> None:
    builder, source = context.builder, context.activation(node)
    older = context.opset < SOFTMAX_OF_ONE_AXIS
    axis = positive_axis(int(node.settings.get("axis", 1 if older else -1)), len(source.view.shape))
    if older and any(size > 1 for size in source.view.shape[axis + 1 :]):
        raise UnsupportedModelError(
            f"layer {node.layer} is a softmax over several axes. Export with opset 13 or later."
        )
    source = builder.computed(source, node.layer)
    builder.quantisation(source, node.layer)
    others = [other for other in source.view.memory_order() if other != axis]
    name = image(builder, source, node.layer, (others[:-1], others[-1:], (axis,)))
    result = builder.add(node.layer, (name,), Softmax(node.number("beta", 1.0)), node.quantisation)
    context.set_output(node, Activation(result, in_order(source.view.shape, (*others, axis))))


def _axes_of(node: Node, source: Activation) -> SpatialAxes:
    """The meaning of the axes of a node's input: an image, or a sequence."""
    rank = len(source.view.shape)
    if rank == 4:
        channels_last = node.settings.get("channels_last", False)
        return SpatialAxes(1, 2, 3) if channels_last else SpatialAxes(2, 3, 1)
    if rank == 3:
        return SpatialAxes(None, 2, 1)
    raise UnsupportedModelError(
        f"its input has {rank} axes; only images and sequences are supported. "
        "Use 2-D or 1-D layers."
    )


def _with_axes(
    node: Node,
    builder: GraphBuilder,
    source: Activation,
    axes: SpatialAxes,
    name: str,
    attributes: Convolution | AveragePool | MaxPool,
) -> Activation:
    """The operator on the image `name`; the height, width and channels of its result are `axes`."""
    scale = None if attributes.keeps_quantisation else node.quantisation
    result = builder.add(node.layer, (name,), attributes, scale)
    shape = list(source.view.shape)
    for axis, size in zip(
        (axes.height, axes.width, axes.channels), builder.tensors[result].shape, strict=True
    ):
        if axis is not None:
            shape[axis] = size
    others = [axis for axis in range(len(shape)) if axis not in axes.order]
    return Activation(result, in_order(tuple(shape), (*others, *axes.order)))


def _quantised_weights(constant: Constant, out_axis: int, layer: str) -> Weights:
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


def _matrix(node: Node, context: ImportContext, out_axis: int) -> Weights:
    constant = context.constant(node, 1)
    if constant.values.ndim > 2:
        constant = constant.reshaped(constant.values.shape[-2:])
    if constant.values.ndim != 2:
        raise ValueError(f"weights of {constant.values.ndim} axes")
    return _quantised_weights(constant, out_axis, node.layer)


def _bias(node: Node, context: ImportContext, channels: int) -> NDArray[np.float64]:
    if not node.has_input(2):
        return np.zeros(channels)
    return np.broadcast_to(context.constant(node, 2).real().reshape(-1), (channels,)).copy()


def _window(node: Node, source: Activation, axes: SpatialAxes, kernel: list[int]) -> Window:
    """The window of a node on `source`; a 1-D layer is a 2-D layer of height 1."""
    settings, rank = node.settings, len(kernel)
    strides = list(settings.get("strides", [1] * rank))
    dilations = list(settings.get("dilations", [1] * rank))
    pads = list(settings.get("pads", [0] * 2 * rank))
    lengths = [source.view.shape[axis] for axis in (axes.height, axes.width) if axis is not None]
    given = (kernel, strides, dilations, lengths)
    if any(len(values) != rank for values in given) or len(pads) != 2 * rank:
        raise ValueError(f"a window of {kernel} on an input with {len(lengths)} sizes")
    numbers = kernel + strides + dilations
    if min(numbers) < 1 or min(pads) < 0 or max(numbers + pads) > _LARGEST:
        raise ValueError(
            f"a window of {kernel}, strides {strides}, dilations {dilations}, pads {pads}"
        )
    automatic = node.word("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_padding(lengths, kernel, strides, dilations, automatic == "SAME_UPPER")
    if settings.get("ceil_mode", 0):
        pads = _ceil_padding(lengths, kernel, strides, dilations, pads)
    if rank == 1:
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
        pads = [0, pads[0], 0, pads[1]]
    return Window(
        kernel[0],
        kernel[1],
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
    )


def _same_padding(
    lengths: list[int], kernel: list[int], strides: list[int], dilations: list[int], upper: bool
) -> list[int]:
    """Padding for ceil(length / stride) outputs; an odd one is at the end (`upper`) or start."""
    before, after = [], []
    for length, size, stride, dilation in zip(lengths, kernel, strides, dilations, strict=True):
        total = max((-(-length // stride) - 1) * stride + dilation * (size - 1) + 1 - length, 0)
        small, large = total // 2, total - total // 2
        before.append(small if upper else large)
        after.append(large if upper else small)
    return [*before, *after]


def _ceil_padding(
    lengths: list[int],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> list[int]:
    """Padding at the end that makes rounding up the output size the same as rounding down."""
    rank = len(kernel)
    ends = []
    for axis, (length, size, stride, dilation) in enumerate(
        zip(lengths, kernel, strides, dilations, strict=True)
    ):
        reach = dilation * (size - 1) + 1
        missing = -(length + pads[axis] + pads[axis + rank] - reach) % stride
        # A last window that would start in the padding is dropped (the rule of ONNX and torch).
        starts = (length + pads[axis] + pads[axis + rank] - reach + missing) // stride * stride
        ends.append(pads[axis + rank] + (missing if starts < length + pads[axis] else 0))
    return [*pads[:rank], *ends]


_EVENLY = (
    "Use the coordinate_transformation_mode 'asymmetric' and the nearest_mode 'floor', "
    "in Keras resize without align_corners."
)


@reader("Resize", "Upsample")
def _resize(node: Node, context: ImportContext) -> None:
    """By ONNX's rules, or by those of another format, which then states the `indices`."""
    source = result = context.activation(node)
    indices = node.settings.get("indices") or _source_indices(node, context, source.view.shape)
    for axis, chosen in enumerate(indices):
        result = _by_whole_factor(context.builder, node.layer, result, axis, chosen)
    context.set_output(node, replace(result, layer=node.layer, step="resize nearest"))


def _source_indices(node: Node, context: ImportContext, shape: tuple[int, ...]) -> list[list[int]]:
    """For each axis, the input indices in output order.

    Raises:
        UnsupportedModelError: it interpolates, or its coordinates are of a kind we do not know.
    """
    mode = node.word("mode", "nearest")
    if mode != "nearest":
        raise UnsupportedModelError(
            f"layer {node.layer} resizes by '{mode}' interpolation. Resize by 'nearest'."
        )
    sizes, scales = _sizes_and_scales(node, context, shape)
    return [
        [_source(node, index, size, result, scale) for index in range(result)]
        for size, result, scale in zip(shape, sizes, scales, strict=True)
    ]


def _sizes_and_scales(
    node: Node, context: ImportContext, shape: tuple[int, ...]
) -> tuple[list[int], list[float]]:
    is_resize = node.kind == "Resize" and (len(node.inputs) > 2 or context.opset > 10)
    given_scales = context.reals(node, 2 if is_resize else 1, "scales")
    axes = list(range(len(shape)))
    if "axes" in node.settings:
        axes = [positive_axis(int(axis), len(shape)) for axis in node.settings["axes"]]
    sizes, scales = list(shape), [1.0] * len(shape)
    if given_scales is not None and given_scales.size:
        for axis, scale in zip(axes, given_scales.reshape(-1), strict=True):
            scales[axis], sizes[axis] = float(scale), floor(shape[axis] * float(scale))
    else:
        given_sizes = context.integers(node, 3, "sizes") or ()
        for axis, size in zip(axes, given_sizes, strict=True):
            scales[axis], sizes[axis] = size / shape[axis], size
    if any(not 1 <= size <= MOST_ELEMENTS for size in sizes):
        raise ValueError(f"a resize of {shape} to {sizes}")
    return sizes, scales


def _source(node: Node, index: int, size: int, result: int, scale: float) -> int:
    if size == result:
        return index
    kind = node.word("coordinate_transformation_mode", "half_pixel")
    if node.kind == "Upsample":
        kind = "asymmetric"
    if kind in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"):
        place = (index + 0.5) / scale - 0.5
        if kind == "pytorch_half_pixel" and result == 1:
            place = 0.0
    elif kind == "asymmetric":
        place = index / scale
    elif kind == "align_corners":
        place = index * (size - 1) / (result - 1) if result > 1 else 0.0
    else:
        raise UnsupportedModelError(
            f"layer {node.layer} resizes with coordinates '{kind}'. Use 'asymmetric'."
        )
    rounding = node.word("nearest_mode", "round_prefer_floor")
    if node.kind == "Upsample":
        rounding = "floor"
    nearest = {
        "round_prefer_floor": ceil(place - 0.5),
        "round_prefer_ceil": floor(place + 0.5),
        "floor": floor(place),
        "ceil": ceil(place),
    }[rounding]
    return min(max(nearest, 0), size - 1)


def _by_whole_factor(
    builder: GraphBuilder, layer: str, source: Activation, axis: int, indices: list[int]
) -> Activation:
    """The values of an axis at these indices, in output order.

    Raises:
        UnsupportedModelError: the indices neither repeat each value alike nor skip alike.
    """
    size, count = source.view.shape[axis], len(indices)
    factor = count // size
    if factor and indices == [index // factor for index in range(size * factor)]:
        return repeat(layer, source, axis, factor) if factor > 1 else source
    step = indices[1] - indices[0] if count > 1 else 1
    if count % size == 0:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, but repeats some values more often than "
            f"others. {_EVENLY}"
        )
    if step < 1 or indices != [indices[0] + index * step for index in range(count)]:
        raise UnsupportedModelError(
            f"layer {layer} resizes {size} to {count}, which is not by a whole number. "
            "Resize by a whole factor."
        )
    chosen = range(indices[0], indices[0] + step * count, step)
    return slice_axis(builder, layer, source, axis, chosen)
