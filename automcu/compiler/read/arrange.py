"""Bringing activations, weights and biases into the order and form that an operator needs.

Nothing is moved where the values already lie right; where they do but the tensor has another shape,
a reshape is added, which costs nothing.

A batch of images can be the phases of one, as converters make them for a dilated convolution:
SpaceToBatch gives each phase of the dilation an image of its own, the batch is convolved, and
BatchToSpace puts the phases together again. Seen through a view, that is the dilated convolution
of the one image (`as_one_image`, `as_phases`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation, Shape
from automcu.compiler.ops import Convolution, Rearrange
from automcu.compiler.read.builder import Activation, GraphBuilder
from automcu.compiler.read.file_tensor import Parts, View, in_order, joined, natural, refined
from automcu.compiler.tensor import NO_CLAMP, Clamp, Window
from automcu.errors import UnsupportedModelError

AxisGroups = tuple[Sequence[int], Sequence[int], Sequence[int]]


def image(
    builder: GraphBuilder,
    activation: Activation,
    layer: str,
    axes: AxisGroups,
) -> str:
    """The values as (height, width, channels), each made of these axes of the file's tensor."""
    activation = builder.computed(activation, layer)
    shape = activation.view.shape
    height, width, channels = (prod(shape[axis] for axis in group) for group in axes)
    order = [axis for group in axes for axis in group]
    if sorted([*order, *(a for a in range(len(shape)) if a not in order and shape[a] == 1)]) != [
        *range(len(shape))
    ]:
        raise ValueError(f"a tensor of shape {shape} where only axes {order} may exceed 1")
    parts = joined(part for axis in order for part in activation.view.axes[axis])
    return copied(builder, activation, layer, parts, (height, width, channels))


def compact(builder: GraphBuilder, activation: Activation, layer: str) -> Activation:
    """The activation as all of a tensor, in the order in which its values lie in memory."""
    if activation.view.is_dense(builder.tensors[activation.tensor].size):
        return builder.computed(activation, layer)
    return contiguous(builder, activation, layer)


def contiguous(builder: GraphBuilder, activation: Activation, layer: str) -> Activation:
    """The activation as all of a tensor in which each axis has one stride, moving the least."""
    activation = builder.computed(activation, layer)
    order = activation.view.memory_order()
    groups = _roles(activation.view, builder.tensors[activation.tensor].shape, order)
    name = image(builder, activation, layer, groups)
    return Activation(name, in_order(activation.view.shape, order))


def on_scale(
    builder: GraphBuilder, activation: Activation, quantisation: Quantisation, layer: str
) -> Activation:
    """The activation on this scale; of a part of a tensor, only that part is computed."""
    tensor = builder.tensors[activation.tensor]
    computes = activation.function is not None or tensor.quantisation not in (None, quantisation)
    if computes and activation.view.size < tensor.size:
        part = contiguous(builder, replace(activation, function=None), layer)
        activation = replace(part, function=activation.function)
    return builder.quantised(activation, quantisation, layer)


def in_file_order(builder: GraphBuilder, activation: Activation, layer: str) -> Activation:
    """The activation as all of a tensor, in the file's own order."""
    axes = range(len(activation.view.axes))
    groups = (list(axes[:-2]), list(axes[-2:-1]), list(axes[-1:]))
    name = image(builder, activation, layer, groups)
    return Activation(name, natural(activation.view.shape))


def axis_roles(builder: GraphBuilder, activation: Activation) -> dict[int, int] | None:
    """For each axis longer than 1, whether it is height (0), width (1) or channels (2) in memory.

    None where the activation is not all of its tensor, or an axis is not one of the tensor's.
    """
    tensor = builder.tensors[activation.tensor]
    own = natural(tensor.shape).axes
    if not activation.view.is_dense(tensor.size):
        return None
    roles = {}
    for axis, parts in enumerate(activation.view.axes):
        meaning = joined(parts)
        if meaning:
            matches = [role for role in range(3) if joined(own[role]) == meaning]
            if not matches:
                return None
            roles[axis] = matches[0]
    return roles


def axis_groups(builder: GraphBuilder, activation: Activation, alone: Sequence[int]) -> AxisGroups:
    """The axes of a dense activation as height, width and channels, each of `alone` by itself.

    They keep their order in memory and the shape of the tensor where that is possible. Axes of
    size 1 may stand beside any other.
    """
    order, shape = activation.view.memory_order(), activation.view.shape

    def is_separate(groups: AxisGroups) -> bool:
        return all(
            sum(shape[other] > 1 or other in alone for other in group if other != axis) == 0
            for group in groups
            for axis in group
            if axis in alone
        )

    partitions = [
        (order[:first], order[first:second], order[second:])
        for first in range(len(order) + 1)
        for second in range(first, len(order) + 1)
    ]
    separate = [groups for groups in partitions if is_separate(groups)]
    own = builder.tensors[activation.tensor].shape
    for groups in separate:
        if tuple(prod(shape[axis] for axis in group) for group in groups) == own:
            return groups
    if separate:
        return separate[0]
    others = tuple(axis for axis in order if axis not in alone)
    inside = tuple(axis for axis in order if axis in alone)
    if len(inside) > 2:
        raise UnsupportedModelError(
            f"{len(inside)} of {len(shape)} axes are padded, which no image has. Pad in two layers."
        )
    return others, inside[:1], inside[1:]


def parts_like(view: View, model: View) -> Parts | None:
    """The parts of `view` in the memory order of `model`, a dense view of the same shape.

    None where an axis of `view` is not cut as that of `model` is.
    """
    strides = []
    for own, wanted in zip(view.axes, model.axes, strict=True):
        pieces = joined(wanted)
        cut = refined(own, tuple(size for size, _ in pieces)) if len(joined(own)) else ()
        if joined(own) and cut is None:
            return None
        for index, (size, stride) in enumerate(pieces):
            strides.append((stride, size, cut[index][1] if cut else 0))
    return joined((size, own) for _, size, own in sorted(strides, reverse=True))


def copied(
    builder: GraphBuilder, activation: Activation, layer: str, parts: Parts, shape: Shape
) -> str:
    """A tensor of `shape` whose values are read from the activation's tensor by `parts`."""
    source = builder.tensors[activation.tensor]
    moves_nothing = activation.view.offset == 0 and parts in (((source.size, 1),), ())
    if moves_nothing and source.size == prod(shape):
        if source.shape == shape:
            return source.name
        parts = ((source.size, 1),)
    attributes = Rearrange(activation.step, shape, parts, activation.view.offset)
    for operator in builder.operators:
        if operator.inputs == (source.name,) and operator.attributes == attributes:
            return operator.output
    name = activation.layer or f"{layer}_{activation.step.replace(' ', '_')}"
    return builder.add(name, (source.name,), attributes)


def _roles(
    view: View, shape: Shape, order: tuple[int, ...]
) -> tuple[list[int], list[int], list[int]]:
    """The axes that are height, width and channels of a tensor, judged by their strides."""
    _, width, channels = shape
    groups: tuple[list[int], list[int], list[int]] = ([], [], [])
    for axis in order:
        reach = max((abs(stride) for _, stride in view.axes[axis]), default=0)
        role = 0 if reach >= width * channels else 1 if reach >= channels else 2
        groups[role].append(axis)
    return groups


def as_one_image(
    source: Activation, height: int | None, width: int | None
) -> tuple[Activation, tuple[int, int]]:
    """The image whose phases the batch (axis 0) holds, and the dilation; axes stay where they are.

    Raises:
        ValueError: the batch is something else.
    """
    sizes: dict[int, Parts] = {
        axis: joined(source.view.axes[axis]) for axis in (height, width) if axis is not None
    }
    dilation = dict.fromkeys(sizes, 1)
    for count, stride in joined(source.view.axes[0]):
        axis = next(
            (
                axis
                for axis, parts in sizes.items()
                if dilation[axis] == 1 and len(parts) == 1 and parts[0][1] == count * stride
            ),
            None,
        )
        if axis is None:
            raise ValueError(f"an input of shape {source.view.shape}; only one image works")
        sizes[axis] = ((sizes[axis][0][0] * count, stride),)
        dilation[axis] = count
    axes = list(source.view.axes)
    axes[0] = ((1, 0),)
    for axis, parts in sizes.items():
        axes[axis] = parts
    image = source.viewed(View(tuple(axes), source.view.offset), source.layer, source.step)
    steps = [1 if axis is None else dilation[axis] for axis in (height, width)]
    return image, (steps[0], steps[1])


def as_phases(
    image: Activation, height: int | None, width: int | None, dilation: tuple[int, int]
) -> Activation:
    """The image as the batch of its phases."""
    axes = list(image.view.axes)
    batch: Parts = ()
    for axis, count in zip((height, width), dilation, strict=True):
        if axis is not None and count > 1:
            ((size, stride),) = joined(axes[axis])
            axes[axis] = ((size // count, stride * count),)
            batch += ((count, stride),)
    axes[0] = batch
    return replace(image, view=View(tuple(axes), image.view.offset))


def dilated(window: Window, dilation: tuple[int, int]) -> Window:
    """The window over the image of the window over its phases.

    Raises:
        ValueError: the phases do not stay phases, because the window pads or strides.
    """
    if any(window.padding) or window.stride != (1, 1) or window.dilation != (1, 1):
        raise ValueError("a batch of images; only one image works")
    return replace(window, dilation=dilation)


TERNARY_FROM = 64  # weights: a smaller layer of -1, 0 and 1 is hardly meant to be ternary
_INT8 = np.iinfo(np.int8)
_INT32 = np.iinfo(np.int32)
_WEIGHT_SPAN = 255  # an int8 weight plus an offset covers so many steps
_DEAD_CHANNEL_BITS = 20  # resolution of the bias of a channel whose weights are all zero


@dataclass(frozen=True, eq=False)
class Weights:
    """Integers int64 [out, ...] less their zero point, and a scale for each output channel."""

    integers: NDArray[np.int64]
    scales: NDArray[np.float64]


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
