"""Layers that move values; on constants they are carried out at once."""

from dataclasses import replace

import numpy as np

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.movement import (
    broadcast,
    concatenate,
    depth_to_space,
    pad,
    reshape,
    slice_axis,
    space_to_depth,
    tile,
    transpose,
)
from automcu.compiler.read.nearest import by_whole_factor
from automcu.compiler.read.onnx_operators.constants import LONGEST_CONSTANT
from automcu.compiler.read.onnx_operators.node import Node, Reading, operator, positive_axis
from automcu.compiler.read.onnx_operators.quantisation import quantisation_of
from automcu.compiler.read.onnx_operators.resize import source_indices
from automcu.errors import UnsupportedModelError

_EVENLY = "Use the coordinate_transformation_mode 'asymmetric' and the nearest_mode 'floor'."


@operator("Reshape")
def _reshape(node: Node, reading: Reading) -> None:
    given = reading.integers(node, 1, "shape") or ()
    if reading.is_constant(node, 0):
        _reshape_constant(node, reading, given)
        return
    source = reading.activation(node)
    if not node.settings.get("allowzero", 0):
        sizes = source.view.shape
        given = tuple(sizes[axis] if size == 0 else size for axis, size in enumerate(given))
    reading.bind(node, reshape(reading.builder, node.layer, source, given))


@operator("Flatten")
def _flatten(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    shape = source.view.shape
    axis = int(node.settings.get("axis", 1)) % (len(shape) + 1)
    rows = int(np.prod(shape[:axis]))
    reading.bind(node, reshape(reading.builder, node.layer, source, (rows, -1)))


@operator("Squeeze")
def _squeeze(node: Node, reading: Reading) -> None:
    shape = reading.shape(node)
    given = reading.integers(node, 1, "axes")
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    if given is not None:
        axes = [positive_axis(axis, len(shape)) for axis in given]
    _set_shape(node, reading, tuple(n for axis, n in enumerate(shape) if axis not in axes))


@operator("Unsqueeze")
def _unsqueeze(node: Node, reading: Reading) -> None:
    shape = list(reading.shape(node))
    given = reading.integers(node, 1, "axes") or ()
    rank = len(shape) + len(given)
    for axis in sorted(positive_axis(axis, rank) for axis in given):
        shape.insert(axis, 1)
    _set_shape(node, reading, tuple(shape))


@operator("Transpose")
def _transpose(node: Node, reading: Reading) -> None:
    rank = len(reading.shape(node))
    order = tuple(int(axis) for axis in node.settings.get("perm", range(rank)[::-1]))
    if reading.is_constant(node, 0):
        constant = reading.constant(node, 0)
        reading.builder.constants[node.outputs[0]] = constant.transposed(order)
    else:
        reading.bind(node, transpose(node.layer, reading.activation(node), order))


@operator("Slice")
def _slice(node: Node, reading: Reading) -> None:
    shape = reading.shape(node)
    starts, ends = (
        reading.integers(node, i + 1, name) for i, name in enumerate(("starts", "ends"))
    )
    if starts is None or ends is None or len(starts) != len(ends):
        raise ValueError("starts and ends differ in number")
    axes = reading.integers(node, 3, "axes") or tuple(range(len(starts)))
    steps = reading.integers(node, 4, "steps") or (1,) * len(starts)
    ranges = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = positive_axis(axis, len(shape))
        ranges[place] = range(*slice(start, end, step).indices(shape[place]))
    if reading.is_constant(node, 0):
        values = reading.constant(node, 0).values
        for axis, indices in ranges.items():
            values = np.take(values, np.array(indices, np.int64), axis)
        reading.builder.constants[node.outputs[0]] = replace(
            reading.constant(node, 0), values=values
        )
        return
    result = reading.activation(node)
    for axis, indices in ranges.items():
        result = _along(node, reading, result, axis, indices)
    reading.bind(node, result)


@operator("Split")
def _split(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    shape = source.view.shape
    axis = positive_axis(int(node.settings.get("axis", 0)), len(shape))
    sizes = reading.integers(node, 1, "split")
    if sizes is None:
        part = -(-shape[axis] // len(node.outputs))
        sizes = tuple(min(part, shape[axis] - part * i) for i in range(len(node.outputs)))
    if sum(sizes) != shape[axis] or len(sizes) != len(node.outputs):
        raise ValueError(f"{shape[axis]} values split into {sizes}")
    for position, size in enumerate(sizes):
        if node.outputs[position]:
            first = sum(sizes[:position])
            part_of = _along(node, reading, source, axis, range(first, first + size))
            reading.bind(node, part_of, position)


@operator("Gather")
def _gather(node: Node, reading: Reading) -> None:
    indices = np.asarray(reading.constant(node, 1).values).astype(np.int64)
    shape = reading.shape(node)
    axis = positive_axis(int(node.settings.get("axis", 0)), len(shape))
    if reading.is_constant(node, 0):
        constant = reading.constant(node, 0)
        values = np.take(constant.values, indices, axis)
        reading.builder.constants[node.outputs[0]] = replace(constant, values=values)
        return
    flat = [int(index) % shape[axis] for index in indices.reshape(-1)]
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    if indices.ndim > 1 or step == 0 or flat != [flat[0] + step * i for i in range(len(flat))]:
        raise UnsupportedModelError(
            f"layer {node.layer} picks values without a regular step. Use a slice."
        )
    chosen = range(flat[0], flat[0] + step * len(flat), step)
    result = _along(node, reading, reading.activation(node), axis, chosen)
    if indices.ndim == 0:
        kept = tuple(n for place, n in enumerate(result.view.shape) if place != axis)
        result = reshape(reading.builder, node.layer, result, kept)
    reading.bind(node, result)


@operator("Concat")
def _concatenate(node: Node, reading: Reading) -> None:
    axis = int(node.settings["axis"])
    if all(reading.is_constant(node, position) for position in range(len(node.inputs))):
        constants = [reading.constant(node, i) for i in range(len(node.inputs))]
        joined = np.concatenate([constant.real() for constant in constants], axis)
        reading.builder.constants[node.outputs[0]] = replace(
            constants[0], values=joined, scales=None
        )
        return
    sources = [reading.activation(node, position) for position in range(len(node.inputs))]
    axis = positive_axis(axis, len(sources[0].view.shape))
    target = None
    for reader in reading.readers.get(node.outputs[0], ()):
        if reader.kind == "QuantizeLinear":
            target = quantisation_of(reader, reading)
    reading.bind(node, concatenate(reading.builder, node.layer, sources, axis, target))


@operator("Pad")
def _pad(node: Node, reading: Reading) -> None:
    mode = node.word("mode", "constant")
    if mode != "constant":
        raise UnsupportedModelError(
            f"layer {node.layer} pads by '{mode}'; only zeros and other constants are supported. "
            "Pad with zeros in the model."
        )
    rank = len(reading.shape(node))
    pads = reading.integers(node, 1, "pads") or ()
    axes = tuple(range(rank))
    if node.has_input(3):
        given = reading.integers(node, 3, "axes") or ()
        axes = tuple(positive_axis(axis, rank) for axis in given)
    if len(pads) != 2 * len(axes):
        raise ValueError(f"{len(pads)} pads for {len(axes)} axes")
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = pads[place], pads[place + len(axes)]
    if reading.is_constant(node, 0):
        _pad_constant(node, reading, before, after)
        return
    source = reading.activation(node)
    value = reading.limit(node, 2, "value")
    border = 0.0 if value is None else value
    reading.bind(node, pad(reading.builder, node.layer, source, before, after, border))


@operator("Resize", "Upsample")
def _resize(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    result = source
    for axis, indices in enumerate(source_indices(node, reading, source.view.shape)):
        result = by_whole_factor(reading.builder, node.layer, result, axis, indices, _EVENLY)
    reading.bind(node, replace(result, layer=node.layer, step="resize nearest"))


@operator("Expand")
def _expand(node: Node, reading: Reading) -> None:
    source = reading.activation(node)
    given = reading.integers(node, 1, "shape") or ()
    shape = np.broadcast_shapes(source.view.shape, given)
    reading.bind(node, broadcast(node.layer, source, shape))


@operator("Tile")
def _tile(node: Node, reading: Reading) -> None:
    times = reading.integers(node, 1, "repeats") or ()
    reading.bind(node, tile(node.layer, reading.activation(node), times))


@operator("DepthToSpace")
def _depth_to_space(node: Node, reading: Reading) -> None:
    order = node.word("mode", "DCR")
    result = depth_to_space(
        reading.builder,
        node.layer,
        reading.activation(node),
        (2, 3, 1),
        int(node.settings["blocksize"]),
        channels_last=order == "DCR",
    )
    reading.bind(node, result)


@operator("SpaceToDepth")
def _space_to_depth(node: Node, reading: Reading) -> None:
    source, block = reading.activation(node), int(node.settings["blocksize"])
    reading.bind(node, space_to_depth(reading.builder, node.layer, source, (2, 3, 1), block))


def _set_shape(node: Node, reading: Reading, shape: tuple[int, ...]) -> None:
    """The output is the first input with this shape."""
    if reading.is_constant(node, 0):
        _reshape_constant(node, reading, shape)
    else:
        source = reading.activation(node)
        reading.bind(node, reshape(reading.builder, node.layer, source, shape))


def _reshape_constant(node: Node, reading: Reading, shape: tuple[int, ...]) -> None:
    reading.builder.constants[node.outputs[0]] = reading.constant(node, 0).reshaped(shape)


def _pad_constant(node: Node, reading: Reading, before: list[int], after: list[int]) -> None:
    """Pad a constant with zeros: a file computes the pads of another layer so."""
    constant = reading.constant(node, 0)
    widths = list(zip(before, after, strict=True))
    if min((*before, *after)) < 0 or sum(before) + sum(after) > LONGEST_CONSTANT:
        raise ValueError(f"pads {widths} of a constant")
    values = np.pad(constant.values, widths)
    if values.size > LONGEST_CONSTANT:
        raise ValueError(f"a constant of shape {values.shape}")
    reading.builder.constants[node.outputs[0]] = replace(constant, values=values)


def _along(
    node: Node, reading: Reading, source: Activation, axis: int, indices: range
) -> Activation:
    if len(indices) == 0:
        raise ValueError(f"a slice of axis {axis} without values")
    return slice_axis(
        reading.builder, node.layer, source, axis, indices.start, len(indices), indices.step
    )
