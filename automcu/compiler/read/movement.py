"""Layers that move values without computing: reshape, transpose, slice, repeat, join, pad."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops import Concatenate, Pad
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.arrange import (
    AxisGroups,
    axis_groups,
    compact,
    image,
    in_file_order,
    on_scale,
    untangled,
)
from automcu.compiler.read.builder import MOST_ELEMENTS, GraphBuilder
from automcu.compiler.read.view import in_order
from automcu.errors import UnsupportedModelError


def reshape(
    builder: GraphBuilder, layer: str, source: Activation, shape: tuple[int, ...]
) -> Activation:
    """The values in the same order with other axes, of which one may be -1."""
    shape = resolved_shape(layer, shape, source.view.size)
    view = source.view.reshaped(shape)
    if view is None:
        source = in_file_order(builder, source, layer)
        view = source.view.reshaped(shape)
        assert view is not None, "values in the file's own order can take any shape"
    # A reshape alone never needs a copy: name it after what it undoes the order of, if anything.
    return source.viewed(view, layer, source.step)


def resolved_shape(layer: str, shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape with its -1 replaced by what is left of `size` values."""
    known = prod(length for length in shape if length != -1)
    if min(shape, default=1) < -1 or 0 in shape or shape.count(-1) > 1 or size % known:
        raise ValueError(f"a reshape of {size} values to {shape}")
    resolved = tuple(size // known if length == -1 else length for length in shape)
    if prod(resolved) != size:
        raise ValueError(f"a reshape of {size} values to {shape}")
    return resolved


def transpose(layer: str, source: Activation, order: tuple[int, ...]) -> Activation:
    """The axes in another order."""
    return source.viewed(source.view.transposed(order), layer, "transpose")


def slice_axis(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axis: int,
    first: int,
    count: int,
    step: int = 1,
) -> Activation:
    """`count` values of one axis, every `step`-th from `first`; `step` may be negative."""
    if (first, count, step) == (0, source.view.shape[axis], 1):
        return source
    view = source.view.sliced(axis, first, count, step)
    if view is None:
        source = untangled(builder, source, layer)
        view = source.view.sliced(axis, first, count, step)
        assert view is not None, "an axis that is all of one memory axis is one part"
    return source.viewed(view, layer, "slice")


def repeat(layer: str, source: Activation, axis: int, times: int) -> Activation:
    """Each value of an axis `times` times in a row, as nearest-neighbour resizing does."""
    _check_size(layer, source.view.size * times)
    return source.viewed(source.view.repeated(axis, times), layer, "resize nearest")


def tile(layer: str, source: Activation, times: Sequence[int]) -> Activation:
    """All of each axis so many times in a row."""
    if min(times, default=1) < 1 or len(times) != len(source.view.shape):
        raise ValueError(f"{times} repetitions of {source.view.shape}")
    _check_size(layer, source.view.size * prod(times))
    for axis, count in enumerate(times):
        if count > 1:
            source = source.viewed(source.view.tiled(axis, count), layer, "tile")
    return source


def broadcast(layer: str, source: Activation, shape: tuple[int, ...]) -> Activation:
    """Axes of size 1 repeated to fill `shape`."""
    _check_size(layer, prod(shape))
    return source.viewed(source.view.broadcast(shape), layer, "broadcast")


def concatenate(
    builder: GraphBuilder,
    layer: str,
    sources: Sequence[Activation],
    axis: int,
    quantisation: Quantisation | None,
) -> Activation:
    """Activations joined along an axis, all on the scale of the result."""
    if len(sources) == 1:
        return sources[0]
    first = compact(builder, sources[0], layer)
    scale = quantisation or builder.quantisation(first, layer)
    groups = axis_groups(builder, first, (axis,))
    role = next(index for index, group in enumerate(groups) if axis in group)
    names, length = [], 0
    for source in sources:
        if len(source.view.shape) != len(first.view.shape):
            raise ValueError(f"shapes {first.view.shape} and {source.view.shape} are joined")
        settled = builder.settled(source, layer)
        rescaled = on_scale(builder, settled, scale, f"{layer}_requantise")
        names.append(image(builder, rescaled, layer, groups))
        length += source.view.shape[axis]
    result = builder.add(layer, tuple(names), Concatenate(role), scale)
    shape = tuple(length if a == axis else n for a, n in enumerate(first.view.shape))
    return Activation(result, in_order(shape, _flat(groups)))


def pad(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    before: Sequence[int],
    after: Sequence[int],
    value: float,
) -> Activation:
    """A border of `value` on every axis; a negative width cuts instead."""
    shape = source.view.shape
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        count = shape[axis] + min(first, 0) + min(last, 0)
        source = slice_axis(builder, layer, source, axis, max(-first, 0), count)
    before, after = ([max(width, 0) for width in widths] for widths in (before, after))
    padded = [axis for axis in range(len(shape)) if before[axis] or after[axis]]
    if not padded:
        return source
    source = compact(builder, source, layer)
    groups = axis_groups(builder, source, padded)
    name = image(builder, source, layer, groups)
    borders = [[0, 0, 0], [0, 0, 0]]
    for axis in padded:
        role = next(index for index, group in enumerate(groups) if axis in group)
        borders[0][role], borders[1][role] = before[axis], after[axis]
    (top, left, front), (bottom, right, back) = borders
    sizes = tuple(n + b + a for n, b, a in zip(source.view.shape, before, after, strict=True))
    _check_size(layer, prod(sizes))
    attributes = Pad((top, left, front), (bottom, right, back), value)
    result = builder.add(layer, (name,), attributes)
    return Activation(result, in_order(sizes, _flat(groups)))


def depth_to_space(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axes: tuple[int, int, int],
    block: int,
    channels_last: bool,
) -> Activation:
    """Blocks of channels spread over pixels; `axes` are height, width, channels.

    With `channels_last` the channel is the innermost of (block row, block column, channel),
    otherwise the outermost.
    """
    height, width, channels = (source.view.shape[axis] for axis in axes)
    if block < 1 or channels % (block * block):
        raise ValueError(f"{channels} channels in blocks of {block}x{block}")
    source = transpose(layer, source, (0, *axes))
    depth = channels // (block * block)
    inner = (block, block, depth) if channels_last else (depth, block, block)
    source = reshape(builder, layer, source, (1, height, width, *inner))
    order = (0, 1, 3, 2, 4, 5) if channels_last else (0, 1, 4, 2, 5, 3)
    source = transpose(layer, source, order)
    source = reshape(builder, layer, source, (1, height * block, width * block, depth))
    return replace(_from_channels_last(layer, source, axes), step="depth to space")


def space_to_depth(
    builder: GraphBuilder,
    layer: str,
    source: Activation,
    axes: tuple[int, int, int],
    block: int,
) -> Activation:
    """Blocks of pixels put into channels, in the order (block row, block column, channel)."""
    height, width, channels = (source.view.shape[axis] for axis in axes)
    if block < 1 or height % block or width % block:
        raise ValueError(f"{height}x{width} pixels in blocks of {block}x{block}")
    source = transpose(layer, source, (0, *axes))
    rows, columns = height // block, width // block
    source = reshape(builder, layer, source, (1, rows, block, columns, block, channels))
    source = transpose(layer, source, (0, 1, 3, 2, 4, 5))
    source = reshape(builder, layer, source, (1, rows, columns, block * block * channels))
    return replace(_from_channels_last(layer, source, axes), step="space to depth")


def _flat(groups: AxisGroups) -> tuple[int, ...]:
    return tuple(axis for group in groups for axis in group)


def _check_size(layer: str, size: int) -> None:
    if size > MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {size} values, more than any microcontroller holds. "
            "Use a smaller input."
        )


def _from_channels_last(layer: str, source: Activation, axes: tuple[int, int, int]) -> Activation:
    """Put the axes of (1, height, width, channels) back where the file has them."""
    back = [0, 0, 0, 0]
    for place, axis in enumerate((0, *axes)):
        back[axis] = place
    return transpose(layer, source, tuple(back))
