"""Layers that move values without computing; on constants they are carried out at once."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from automcu.compiler.graph import Quantisation
from automcu.compiler.ops import Concatenate, Pad
from automcu.compiler.read.arrange import (
    AxisGroups,
    axis_groups,
    compact,
    contiguous,
    image,
    in_file_order,
    on_scale,
)
from automcu.compiler.read.builder import Activation, GraphBuilder
from automcu.compiler.read.file_tensor import MOST_ELEMENTS, in_order, positive_axis
from automcu.compiler.read.node import ImportContext, Node, reader
from automcu.compiler.read.nodes.quantisation import LONGEST_CONSTANT, quantisation_of
from automcu.errors import UnsupportedModelError


@reader("Reshape")
def _reshape(node: Node, context: ImportContext) -> None:
    given = context.integers(node, 1, "shape") or ()
    if context.is_constant(node, 0):
        _reshape_constant(node, context, given)
        return
    source = context.activation(node)
    if not node.settings.get("allowzero", 0):
        sizes = source.view.shape
        given = tuple(sizes[axis] if size == 0 else size for axis, size in enumerate(given))
    context.set_output(node, reshape(context.builder, node.layer, source, given))


@reader("Flatten")
def _flatten(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    shape = source.view.shape
    axis = int(node.settings.get("axis", 1)) % (len(shape) + 1)
    rows = int(np.prod(shape[:axis]))
    context.set_output(node, reshape(context.builder, node.layer, source, (rows, -1)))


@reader("Squeeze")
def _squeeze(node: Node, context: ImportContext) -> None:
    shape = context.shape(node)
    given = context.integers(node, 1, "axes")
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    if given is not None:
        axes = [positive_axis(axis, len(shape)) for axis in given]
    _set_shape(node, context, tuple(n for axis, n in enumerate(shape) if axis not in axes))


@reader("Unsqueeze")
def _unsqueeze(node: Node, context: ImportContext) -> None:
    shape = list(context.shape(node))
    given = context.integers(node, 1, "axes") or ()
    rank = len(shape) + len(given)
    for axis in sorted(positive_axis(axis, rank) for axis in given):
        shape.insert(axis, 1)
    _set_shape(node, context, tuple(shape))


@reader("Transpose")
def _transpose(node: Node, context: ImportContext) -> None:
    rank = len(context.shape(node))
    order = tuple(int(axis) for axis in node.settings.get("perm", range(rank)[::-1]))
    if context.is_constant(node, 0):
        constant = context.constant(node, 0)
        context.set_constant(node, constant.transposed(order))
    else:
        context.set_output(node, transpose(node.layer, context.activation(node), order))


@reader("Slice")
def _slice(node: Node, context: ImportContext) -> None:
    shape = context.shape(node)
    starts, ends = (
        context.integers(node, i + 1, name) for i, name in enumerate(("starts", "ends"))
    )
    if starts is None or ends is None or len(starts) != len(ends):
        raise ValueError("starts and ends differ in number")
    axes = context.integers(node, 3, "axes") or tuple(range(len(starts)))
    steps = context.integers(node, 4, "steps") or (1,) * len(starts)
    ranges = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = positive_axis(axis, len(shape))
        ranges[place] = range(*slice(start, end, step).indices(shape[place]))
    if context.is_constant(node, 0):
        values = context.constant(node, 0).values
        for axis, indices in ranges.items():
            values = np.take(values, np.array(indices, np.int64), axis)
        context.set_constant(node, replace(context.constant(node, 0), values=values))
        return
    result = context.activation(node)
    for axis, indices in ranges.items():
        result = slice_axis(context.builder, node.layer, result, axis, indices)
    context.set_output(node, result)


@reader("Split")
def _split(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    shape = source.view.shape
    axis = positive_axis(int(node.settings.get("axis", 0)), len(shape))
    sizes = context.integers(node, 1, "split")
    if sizes is None:
        most = -(-shape[axis] // len(node.outputs))
        sizes = tuple(min(most, shape[axis] - most * i) for i in range(len(node.outputs)))
    if sum(sizes) != shape[axis] or len(sizes) != len(node.outputs):
        raise ValueError(f"{shape[axis]} values split into {sizes}")
    for position in range(len(sizes)):
        if node.outputs[position]:
            indices = range(sum(sizes[:position]), sum(sizes[: position + 1]))
            part = slice_axis(context.builder, node.layer, source, axis, indices)
            context.set_output(node, part, position)


@reader("Gather")
def _gather(node: Node, context: ImportContext) -> None:
    indices = np.asarray(context.constant(node, 1).values).astype(np.int64)
    shape = context.shape(node)
    axis = positive_axis(int(node.settings.get("axis", 0)), len(shape))
    if context.is_constant(node, 0):
        constant = context.constant(node, 0)
        values = np.take(constant.values, indices, axis)
        context.set_constant(node, replace(constant, values=values))
        return
    flat = [int(index) for index in indices.reshape(-1)]
    if not all(-shape[axis] <= index < shape[axis] for index in flat):
        raise ValueError(f"it picks the values {flat} of {shape[axis]}")
    flat = [index % shape[axis] for index in flat]
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    if indices.ndim > 1 or step == 0 or flat != [flat[0] + step * i for i in range(len(flat))]:
        raise UnsupportedModelError(
            f"layer {node.layer} picks values without a regular step. Use a slice."
        )
    chosen = range(flat[0], flat[0] + step * len(flat), step)
    result = slice_axis(context.builder, node.layer, context.activation(node), axis, chosen)
    if indices.ndim == 0:
        kept = tuple(n for place, n in enumerate(result.view.shape) if place != axis)
        result = reshape(context.builder, node.layer, result, kept)
    context.set_output(node, result)


@reader("Concat")
def _concatenate(node: Node, context: ImportContext) -> None:
    axis = int(node.settings["axis"])
    if all(context.is_constant(node, position) for position in range(len(node.inputs))):
        constants = [context.constant(node, i) for i in range(len(node.inputs))]
        joined = np.concatenate([constant.real() for constant in constants], axis)
        context.set_constant(node, replace(constants[0], values=joined, scales=None))
        return
    sources = [context.activation(node, position) for position in range(len(node.inputs))]
    axis = positive_axis(axis, len(sources[0].view.shape))
    target = node.quantisation
    for behind in context.consumers.get(node.outputs[0], ()):
        if behind.kind == "QuantizeLinear":
            target = quantisation_of(behind, context)
    context.set_output(node, _concatenated(context.builder, node.layer, sources, axis, target))


@reader("Pad")
def _pad(node: Node, context: ImportContext) -> None:
    mode = node.word("mode", "constant")
    if mode != "constant":
        raise UnsupportedModelError(
            f"layer {node.layer} pads by '{mode}'; only zeros and other constants are supported. "
            "Pad with zeros in the model."
        )
    rank = len(context.shape(node))
    pads = context.integers(node, 1, "pads") or ()
    axes = tuple(range(rank))
    if node.has_input(3):
        given = context.integers(node, 3, "axes") or ()
        axes = tuple(positive_axis(axis, rank) for axis in given)
    if len(pads) != 2 * len(axes):
        raise ValueError(f"{len(pads)} pads for {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    if context.is_constant(node, 0):
        _pad_constant(node, context, before, after)
        return
    value = context.limit(node, 2, "value")
    border = 0.0 if value is None else value
    context.set_output(node, _padded(node, context, before, after, border))


@reader("Expand")
def _expand(node: Node, context: ImportContext) -> None:
    source = context.activation(node)
    shape = np.broadcast_shapes(source.view.shape, context.integers(node, 1, "shape") or ())
    _check_size(node.layer, prod(shape))
    result = source.viewed(source.view.broadcast(shape), node.layer, "broadcast")
    context.set_output(node, result)


@reader("Tile")
def _tile(node: Node, context: ImportContext) -> None:
    source, times = context.activation(node), context.integers(node, 1, "repeats") or ()
    if min(times, default=1) < 1 or len(times) != len(source.view.shape):
        raise ValueError(f"{times} repetitions of {source.view.shape}")
    _check_size(node.layer, source.view.size * prod(times))
    for axis, count in enumerate(times):
        if count > 1:
            source = source.viewed(source.view.tiled(axis, count), node.layer, "tile")
    context.set_output(node, source)


@reader("DepthToSpace")
def _depth_to_space(node: Node, context: ImportContext) -> None:
    """Blocks of channels spread over pixels.

    In the mode DCR the channel is the innermost of (block row, block column, channel), otherwise
    the outermost.
    """
    block, (height, width, channels) = _blocks(node, context)
    if block < 1 or channels % (block * block):
        raise ValueError(f"{channels} channels in blocks of {block}x{block}")
    rows, columns, depth = height * block, width * block, channels // (block * block)
    if node.settings.get("channels_last", False):
        split, order = (1, height, width, block, block, depth), (0, 1, 3, 2, 4, 5)
        shape = (1, rows, columns, depth)
    elif node.word("mode", "DCR") == "DCR":
        split, order = (1, block, block, depth, height, width), (0, 3, 4, 1, 5, 2)
        shape = (1, depth, rows, columns)
    else:
        split, order = (1, depth, block, block, height, width), (0, 1, 4, 2, 5, 3)
        shape = (1, depth, rows, columns)
    _regroup(node, context, split, order, shape, "depth to space")


@reader("SpaceToDepth")
def _space_to_depth(node: Node, context: ImportContext) -> None:
    """Blocks of pixels put into channels, in the order (block row, block column, channel)."""
    block, (height, width, channels) = _blocks(node, context)
    if block < 1 or height % block or width % block:
        raise ValueError(f"{height}x{width} pixels in blocks of {block}x{block}")
    rows, columns, depth = height // block, width // block, channels * block * block
    if node.settings.get("channels_last", False):
        split, order = (1, rows, block, columns, block, channels), (0, 1, 3, 2, 4, 5)
        shape = (1, rows, columns, depth)
    else:
        split, order = (1, channels, rows, block, columns, block), (0, 3, 5, 1, 2, 4)
        shape = (1, depth, rows, columns)
    _regroup(node, context, split, order, shape, "space to depth")


def _blocks(node: Node, context: ImportContext) -> tuple[int, tuple[int, ...]]:
    """The size of a block, and the height, width and channels of the image."""
    shape = context.activation(node).view.shape
    axes = (1, 2, 3) if node.settings.get("channels_last", False) else (2, 3, 1)
    return int(node.settings["blocksize"]), tuple(shape[axis] for axis in axes)


def _regroup(
    node: Node,
    context: ImportContext,
    split: tuple[int, ...],
    order: tuple[int, ...],
    shape: tuple[int, ...],
    step: str,
) -> None:
    """The output is the input with its axes split, put into another order and joined."""
    result = reshape(context.builder, node.layer, context.activation(node), split)
    result = transpose(node.layer, result, order)
    result = reshape(context.builder, node.layer, result, shape)
    context.set_output(node, replace(result, step=step))


def _set_shape(node: Node, context: ImportContext, shape: tuple[int, ...]) -> None:
    """The output is the first input with this shape."""
    if context.is_constant(node, 0):
        _reshape_constant(node, context, shape)
    else:
        source = context.activation(node)
        context.set_output(node, reshape(context.builder, node.layer, source, shape))


def _reshape_constant(node: Node, context: ImportContext, shape: tuple[int, ...]) -> None:
    context.set_constant(node, context.constant(node, 0).reshaped(shape))


def _pad_constant(node: Node, context: ImportContext, before: list[int], after: list[int]) -> None:
    """Pad a constant with zeros: a file computes the pads of another layer so."""
    constant = context.constant(node, 0)
    widths = list(zip(before, after, strict=True))
    if min((*before, *after)) < 0 or sum(before) + sum(after) > LONGEST_CONSTANT:
        raise ValueError(f"pads {widths} of a constant")
    values = np.pad(constant.values, widths)
    if values.size > LONGEST_CONSTANT:
        raise ValueError(f"a constant of shape {values.shape}")
    context.set_constant(node, replace(constant, values=values))


def reshape(
    builder: GraphBuilder, layer: str, source: Activation, shape: tuple[int, ...]
) -> Activation:
    """The values in the same order with other axes, of which one may be -1."""
    shape = _resolved_shape(shape, source.view.size)
    view = source.view.reshaped(shape)
    if view is None:
        source = in_file_order(builder, source, layer)
        view = source.view.reshaped(shape)
        assert view is not None, "values in the file's own order can take any shape"
    # A reshape alone never needs a copy: name it after what it undoes the order of, if anything.
    return source.viewed(view, layer, source.step)


def _resolved_shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
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
    builder: GraphBuilder, layer: str, source: Activation, axis: int, indices: range
) -> Activation:
    """The values at these indices of one axis; the step may be negative."""
    if len(indices) == 0:
        raise ValueError(f"a slice of axis {axis} without values")
    if (indices.start, len(indices), indices.step) == (0, source.view.shape[axis], 1):
        return source
    view = source.view.sliced(axis, indices.start, len(indices), indices.step)
    if view is None:
        source = contiguous(builder, source, layer)
        view = source.view.sliced(axis, indices.start, len(indices), indices.step)
        assert view is not None, "an axis that is all of one memory axis is one part"
    return source.viewed(view, layer, "slice")


def repeat(layer: str, source: Activation, axis: int, times: int) -> Activation:
    """Each value of an axis `times` times in a row, as nearest-neighbour resizing does."""
    _check_size(layer, source.view.size * times)
    return source.viewed(source.view.repeated(axis, times), layer, "resize nearest")


def _concatenated(
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
        computed = builder.computed(source, layer)
        rescaled = on_scale(builder, computed, scale, f"{layer}_requantise")
        names.append(image(builder, rescaled, layer, groups))
        length += source.view.shape[axis]
    result = builder.add(layer, tuple(names), Concatenate(role), scale)
    shape = tuple(length if a == axis else n for a, n in enumerate(first.view.shape))
    return Activation(result, in_order(shape, _flat(groups)))


def _padded(
    node: Node, context: ImportContext, before: Sequence[int], after: Sequence[int], value: float
) -> Activation:
    """A border of `value` on every axis; a negative width cuts instead."""
    builder, layer, source = context.builder, node.layer, context.activation(node)
    shape = source.view.shape
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        kept = range(max(-first, 0), shape[axis] + min(last, 0))
        source = slice_axis(builder, layer, source, axis, kept)
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


def _flat(groups: AxisGroups) -> tuple[int, ...]:
    return tuple(axis for group in groups for axis in group)


def _check_size(layer: str, size: int) -> None:
    if size > MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {size} values, more than any microcontroller holds. "
            "Use a smaller input."
        )
