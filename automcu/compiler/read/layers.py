"""Convolutions, matrix products, pools and softmax, as both file formats need them.

All take activations of the file, with the axes that mean height, width and channels, and return
activations with the same axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops import AveragePool, Convolution, MaxPool, Softmax
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp
from automcu.compiler.ops.windows import Window
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.arrange import axis_roles, compact, image, in_file_order
from automcu.compiler.read.builder import GraphBuilder
from automcu.compiler.read.phases import as_one_image, as_phases, dilated
from automcu.compiler.read.view import in_order
from automcu.errors import UnsupportedModelError

_INT8 = np.iinfo(np.int8)
_INT32 = np.iinfo(np.int32)
_WEIGHT_SPAN = 255  # an int8 weight plus an offset covers so many steps
TERNARY_FROM = 64  # weights: a smaller layer of -1, 0 and 1 is hardly meant to be ternary
_DEAD_CHANNEL_BITS = 20  # resolution of the bias of a channel whose weights are all zero


@dataclass(frozen=True, eq=False)
class Weights:
    """Integers int64 [out, ...] less their zero point, and a scale for each output channel."""

    integers: NDArray[np.int64]
    scales: NDArray[np.float64]


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


def convolution(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axes: SpatialAxes,
    weights: Weights,
    bias: NDArray[np.float64],
    window: Window,
    groups: int,
    clamp: Clamp = NO_CLAMP,
    quantisation: Quantisation | None = None,
) -> Activation:
    """Weights are [out, kernel height, kernel width, in / groups], `bias` is real [out]."""
    dilation = (1, 1)
    is_batch = 0 not in axes.order and source.view.shape[0] > 1
    if is_batch:
        source, dilation = as_one_image(source, axes.height, axes.width)
        window = dilated(window, dilation)
    scale = builder.quantisation(source, layer).scale
    name = image(builder, source, layer, axes.groups)
    out_channels, kernel_height, kernel_width, per_group = weights.integers.shape
    in_channels = builder.tensors[name].shape[2]
    if groups < 1 or per_group * groups != in_channels or out_channels % groups:
        raise ValueError(f"{groups} groups of {per_group} weights on {in_channels} channels")
    if (kernel_height, kernel_width) != (window.height, window.width):
        raise ValueError(f"weights of {kernel_height}x{kernel_width}")
    attributes = filled_convolution(layer, weights, bias, scale, window, groups, clamp)
    tensor = builder.add(layer, (name,), attributes, quantisation)
    result = _with_sizes(builder, source, axes, tensor)
    return as_phases(result, axes.height, axes.width, dilation) if is_batch else result


def filled_convolution(
    layer: str,
    weights: Weights,
    bias: NDArray[np.float64],
    source_scale: float,
    window: Window,
    groups: int,
    clamp: Clamp = NO_CLAMP,
) -> Convolution:
    """The convolution with its weights split into int8 and offsets, its bias as integers."""
    scales, integers = _bias(layer, weights, bias, source_scale)
    values, offsets = _split(layer, _without_dead_channels(weights))
    ternary = groups == 1 and values.size >= TERNARY_FROM and not np.any(np.abs(values) > 1)
    return Convolution(
        window=window,
        out_channels=len(values),
        groups=groups,
        weights=values,
        weight_scales=scales,
        bias=integers,
        clamp=clamp,
        weight_offsets=offsets,
        ternary=ternary,
        shared_scale=ternary and bool(np.all(scales == scales[0])),
    )


def matrix_product(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    weights: Weights,
    bias: NDArray[np.float64],
    clamp: Clamp = NO_CLAMP,
    quantisation: Quantisation | None = None,
) -> Activation:
    """The last axis of `source` times weights [out, in]: a vector, or each row of a matrix."""
    out_features, in_features = weights.integers.shape
    shape = source.view.shape
    if not shape or shape[-1] != in_features:
        raise ValueError(f"{in_features} weights a row for an input of {shape}")
    scale = builder.quantisation(source, layer).scale
    source = builder.settled(source, layer)
    if prod(shape) != in_features:
        return _row_products(builder, layer, source, weights, bias, clamp, quantisation)
    size = builder.tensors[source.tensor].size
    if not source.view.is_dense(size):
        source = in_file_order(builder, source, layer)
    # The columns take the order in which the input lies in memory, so that it need not move.
    height, width, channels = builder.tensors[source.tensor].shape
    columns = np.empty_like(weights.integers)
    columns[:, source.view.addresses().reshape(-1)] = weights.integers
    kernel = replace(weights, integers=columns.reshape(-1, height, width, channels))
    attributes = filled_convolution(layer, kernel, bias, scale, Window(height, width), 1, clamp)
    result = builder.add(layer, (source.tensor,), attributes, quantisation)
    outputs = (*shape[:-1], out_features)
    return Activation(result, in_order(outputs, tuple(range(len(outputs)))))


def pool(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axes: SpatialAxes,
    attributes: AveragePool | MaxPool,
    quantisation: Quantisation | None = None,
) -> Activation:
    """An average or maximum over a window."""
    name = image(builder, source, layer, axes.groups)
    result = builder.add(layer, (name,), attributes, quantisation)
    return _with_sizes(builder, source, axes, result)


def reduce(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    reduced: Sequence[int],
    kind: type[AveragePool] | type[MaxPool],
    quantisation: Quantisation | None = None,
) -> Activation:
    """The mean or maximum over whole axes, which keep the size 1."""
    source = compact(builder, source, layer)
    shape = source.view.shape
    kept = [axis for axis in source.view.memory_order() if axis not in reduced]
    roles = axis_roles(builder, source)
    over = {roles[axis] for axis in reduced if axis in roles} if roles is not None else {2}
    if 2 in over:  # averaged channels, or mixed axes: the reduced axes become the rows
        name = image(builder, source, layer, ((), list(reduced), kept))
        over = {1}
    else:
        name = source.tensor
    height, width, _ = builder.tensors[name].shape
    window = Window(height if 0 in over else 1, width if 1 in over else 1)
    result = builder.add(layer, (name,), kind(window), quantisation)
    sizes = tuple(1 if axis in reduced else size for axis, size in enumerate(shape))
    return Activation(result, in_order(sizes, (*kept, *reduced)))


def softmax(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axis: int,
    beta: float,
    quantisation: Quantisation | None = None,
) -> Activation:
    """Softmax along one axis, which has to be the innermost in memory."""
    source = builder.settled(source, layer)
    builder.quantisation(source, layer)
    order = source.view.memory_order()
    others = [other for other in order if other != axis]
    name = image(builder, source, layer, (others[:-1], others[-1:], (axis,)))
    result = builder.add(layer, (name,), Softmax(beta), quantisation)
    return Activation(result, in_order(source.view.shape, (*others, axis)))


def _row_products(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    weights: Weights,
    bias: NDArray[np.float64],
    clamp: Clamp,
    quantisation: Quantisation | None,
) -> Activation:
    """A matrix product of several rows is a 1x1 convolution."""
    shape = source.view.shape
    last = len(shape) - 1
    scale = builder.quantisation(source, layer).scale
    name = image(builder, source, layer, (range(last - 1), (last - 1,), (last,)))
    kernel = replace(weights, integers=weights.integers[:, None, None, :])
    attributes = filled_convolution(layer, kernel, bias, scale, Window(1, 1), 1, clamp)
    result = builder.add(layer, (name,), attributes, quantisation)
    outputs = (*shape[:-1], len(weights.integers))
    return Activation(result, in_order(outputs, tuple(range(len(outputs)))))


def _with_sizes(
    builder: GraphBuilder, source: Activation, axes: SpatialAxes, result: str
) -> Activation:
    """The activation of a result whose height, width and channels are the source's axes."""
    shape = list(source.view.shape)
    for axis, size in zip(
        (axes.height, axes.width, axes.channels), builder.tensors[result].shape, strict=True
    ):
        if axis is not None:
            shape[axis] = size
    others = [axis for axis in range(len(shape)) if axis not in axes.order]
    return Activation(result, in_order(tuple(shape), (*others, *axes.order)))


def _without_dead_channels(weights: Weights) -> NDArray[np.int64]:
    """The integers, zero in channels whose scale is zero."""
    alive = np.broadcast_to(weights.scales > 0, (len(weights.integers),))
    return weights.integers * alive.reshape(-1, *([1] * (weights.integers.ndim - 1)))


def _split(
    layer: str, integers: NDArray[np.int64]
) -> tuple[NDArray[np.int8], NDArray[np.int32] | None]:
    """Integers as int8 and, where they do not fit, an offset for each output channel."""
    flat = integers.reshape(len(integers), -1)
    low, high = flat.min(axis=1), flat.max(axis=1)
    if np.any(high - low > _WEIGHT_SPAN):
        raise UnsupportedModelError(
            f"layer {layer} has weights wider than 8 bits. Quantise its weights to int8."
        )
    offsets = np.maximum(high - _INT8.max, 0) + np.minimum(low - _INT8.min, 0)
    shape = (-1, *([1] * (integers.ndim - 1)))
    values = np.ascontiguousarray((integers - offsets.reshape(shape)).astype(np.int8))
    return values, offsets.astype(np.int32) if np.any(offsets) else None


def _bias(
    layer: str, weights: Weights, bias: NDArray[np.float64], source_scale: float
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Scales of the weights and the bias in steps of input scale x weight scale.

    A channel whose weights are all zero may have any scale; it gets one that its bias fits.
    """
    scales = np.broadcast_to(weights.scales, (len(weights.integers),)).astype(np.float64)
    if not np.all(np.isfinite(scales) & (scales >= 0)) or not np.all(np.isfinite(bias)):
        raise UnsupportedModelError(
            f"layer {layer} has scales or biases that are not finite. Quantise the model again."
        )
    dead = (scales == 0) | ~np.any(weights.integers.reshape(len(scales), -1), axis=1)
    fitting = np.maximum(np.abs(bias), source_scale) / source_scale * 2.0**-_DEAD_CHANNEL_BITS
    scales = np.where(dead, fitting, scales)
    steps = np.rint(bias / (source_scale * scales))
    if np.any(np.abs(steps) > _INT32.max):
        raise UnsupportedModelError(
            f"layer {layer} has a bias that does not fit 32 bits. Quantise the model again."
        )
    return scales, steps.astype(np.int32)
