"""Layers that move values."""

from dataclasses import replace
from math import floor

from automcu.compiler.ops.clamp import NO_CLAMP
from automcu.compiler.read.activation import Activation
from automcu.compiler.read.builder import MOST_ELEMENTS
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
from automcu.compiler.read.tflite_operators.layer import (
    Reading,
    fused_clamp,
    operator,
    positive_axis,
    setting,
)
from automcu.compiler.read.tflite_operators.records import LayerRecord
from automcu.errors import UnsupportedModelError


@operator("RESHAPE")
def _reshape(layer: LayerRecord, reading: Reading) -> None:
    shape = reading.result_record(layer).shape
    if layer.has_input(1):
        shape = reading.integers(layer, 1)
    elif layer.options is not None and layer.options.NewShapeLength():
        shape = tuple(int(size) for size in layer.options.NewShapeAsNumpy())
    _set_shape(layer, reading, shape)


@operator("SQUEEZE")
def _squeeze(layer: LayerRecord, reading: Reading) -> None:
    shape = reading.activation(layer).view.shape
    axes = [axis for axis, size in enumerate(shape) if size == 1]
    if layer.options is not None and layer.options.SqueezeDimsLength():
        given = layer.options.SqueezeDimsAsNumpy()
        axes = [positive_axis(int(axis), len(shape)) for axis in given]
    _set_shape(layer, reading, tuple(n for axis, n in enumerate(shape) if axis not in axes))


@operator("EXPAND_DIMS")
def _expand_dims(layer: LayerRecord, reading: Reading) -> None:
    shape = list(reading.activation(layer).view.shape)
    (axis,) = reading.integers(layer, 1)
    shape.insert(positive_axis(axis, len(shape) + 1), 1)
    _set_shape(layer, reading, tuple(shape))


@operator("TRANSPOSE")
def _transpose(layer: LayerRecord, reading: Reading) -> None:
    order = reading.integers(layer, 1)
    reading.bind(layer, transpose(layer.name, reading.activation(layer), order))


@operator("CONCATENATION")
def _concatenate(layer: LayerRecord, reading: Reading) -> None:
    if fused_clamp(layer) != NO_CLAMP:
        raise UnsupportedModelError(
            f"layer {layer.name} joins tensors and clamps them. Put the ReLU before the join."
        )
    sources = [reading.activation(layer, position) for position in range(len(layer.inputs))]
    axis = positive_axis(setting(layer, "Axis"), len(sources[0].view.shape))
    quantisation = reading.result_quantisation(layer)
    reading.bind(layer, concatenate(reading.builder, layer.name, sources, axis, quantisation))


@operator("PACK")
def _pack(layer: LayerRecord, reading: Reading) -> None:
    sources = []
    for position in range(len(layer.inputs)):
        source = reading.activation(layer, position)
        part = list(source.view.shape)
        axis = positive_axis(setting(layer, "Axis"), len(part) + 1)
        part.insert(axis, 1)
        sources.append(reshape(reading.builder, layer.name, source, tuple(part)))
    quantisation = reading.result_quantisation(layer)
    reading.bind(layer, concatenate(reading.builder, layer.name, sources, axis, quantisation))


@operator("PAD", "PADV2")
def _pad(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    widths = reading.integers(layer, 1)
    if len(widths) != 2 * len(source.view.shape) or min(widths, default=0) < 0:
        raise ValueError(f"pads {widths} for {len(source.view.shape)} axes")
    value = 0.0
    if layer.kind == "PADV2":
        value = float(reading.constant(layer, 2).real().reshape(()))
    padded = pad(reading.builder, layer.name, source, widths[::2], widths[1::2], value)
    reading.bind(layer, padded)


@operator("SPLIT", "SPLIT_V")
def _split(layer: LayerRecord, reading: Reading) -> None:
    values, where = (1, 0) if layer.kind == "SPLIT" else (0, 2)
    source = reading.activation(layer, values)
    (axis,) = reading.integers(layer, where)
    axis = positive_axis(axis, len(source.view.shape))
    number, first = len(layer.outputs), 0
    sizes = (source.view.shape[axis] // number,) * number
    if layer.kind == "SPLIT_V":
        sizes = reading.integers(layer, 1)
    for position, count in enumerate(sizes):
        part = slice_axis(reading.builder, layer.name, source, axis, first, count)
        reading.bind(layer, part, position)
        first += count


@operator("UNPACK")
def _unpack(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    axis = positive_axis(setting(layer, "Axis"), len(source.view.shape))
    for position in range(len(layer.outputs)):
        part = slice_axis(reading.builder, layer.name, source, axis, position, 1)
        kept = tuple(n for place, n in enumerate(part.view.shape) if place != axis)
        reading.bind(layer, reshape(reading.builder, layer.name, part, kept), position)


@operator("SLICE")
def _slice(layer: LayerRecord, reading: Reading) -> None:
    result = reading.activation(layer)
    begins = reading.integers(layer, 1)
    counts = reading.integers(layer, 2)
    for axis, (first, given) in enumerate(zip(begins, counts, strict=True)):
        count = result.view.shape[axis] - first if given == -1 else given
        result = slice_axis(reading.builder, layer.name, result, axis, first, count)
    reading.bind(layer, result)


@operator("STRIDED_SLICE")
def _strided_slice(layer: LayerRecord, reading: Reading) -> None:
    result = reading.activation(layer)
    begins, ends, steps = (reading.integers(layer, position) for position in (1, 2, 3))
    if setting(layer, "EllipsisMask") or setting(layer, "NewAxisMask"):
        raise UnsupportedModelError(
            f"layer {layer.name} slices with an ellipsis or a new axis. Name every axis."
        )
    begin_mask, end_mask = setting(layer, "BeginMask"), setting(layer, "EndMask")
    shrink_mask = setting(layer, "ShrinkAxisMask")
    shape = result.view.shape
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        first = None if begin_mask >> axis & 1 else begin
        last = None if end_mask >> axis & 1 else end
        if shrink_mask >> axis & 1:
            place = positive_axis(begin, shape[axis])
            first, last, step = place, place + 1, 1
        chosen = range(*slice(first, last, step).indices(shape[axis]))
        if not chosen:
            raise ValueError(f"a slice of axis {axis} without values")
        result = slice_axis(
            reading.builder, layer.name, result, axis, chosen.start, len(chosen), chosen.step
        )
    kept = tuple(n for axis, n in enumerate(result.view.shape) if not shrink_mask >> axis & 1)
    reading.bind(layer, reshape(reading.builder, layer.name, result, kept))


@operator("REVERSE_V2")
def _reverse(layer: LayerRecord, reading: Reading) -> None:
    result = reading.activation(layer)
    for given in reading.integers(layer, 1):
        axis = positive_axis(given, len(result.view.shape))
        count = result.view.shape[axis]
        result = slice_axis(reading.builder, layer.name, result, axis, count - 1, count, -1)
    reading.bind(layer, result)


@operator("GATHER")
def _gather(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    axis = positive_axis(setting(layer, "Axis"), len(source.view.shape))
    indices = reading.integers(layer, 1)
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if step == 0 or list(indices) != [indices[0] + step * i for i in range(len(indices))]:
        raise UnsupportedModelError(
            f"layer {layer.name} picks values without a regular step. Use a slice."
        )
    part = slice_axis(reading.builder, layer.name, source, axis, indices[0], len(indices), step)
    if reading.constant(layer, 1).values.ndim == 0:
        kept = tuple(n for place, n in enumerate(part.view.shape) if place != axis)
        part = reshape(reading.builder, layer.name, part, kept)
    reading.bind(layer, part)


@operator("RESIZE_NEAREST_NEIGHBOR")
def _resize(layer: LayerRecord, reading: Reading) -> None:
    source = reading.activation(layer)
    result: Activation = source
    for axis, count in zip((1, 2), reading.integers(layer, 1), strict=True):
        size = source.view.shape[axis]
        if not 1 <= count <= MOST_ELEMENTS:
            raise ValueError(f"a resize to {count}")
        indices = [_source_index(layer, index, size, count) for index in range(count)]
        result = by_whole_factor(
            reading.builder, layer.name, result, axis, indices, "Resize without align_corners."
        )
    reading.bind(layer, replace(result, layer=layer.name, step="resize nearest"))


@operator("BROADCAST_TO")
def _broadcast(layer: LayerRecord, reading: Reading) -> None:
    shape = reading.integers(layer, 1)
    reading.bind(layer, broadcast(layer.name, reading.activation(layer), shape))


@operator("TILE")
def _tile(layer: LayerRecord, reading: Reading) -> None:
    times = reading.integers(layer, 1)
    reading.bind(layer, tile(layer.name, reading.activation(layer), times))


@operator("DEPTH_TO_SPACE", "SPACE_TO_DEPTH")
def _depth(layer: LayerRecord, reading: Reading) -> None:
    source, block = reading.activation(layer), int(setting(layer, "BlockSize", 1))
    if layer.kind == "DEPTH_TO_SPACE":
        result = depth_to_space(
            reading.builder, layer.name, source, (1, 2, 3), block, channels_last=True
        )
    else:
        result = space_to_depth(reading.builder, layer.name, source, (1, 2, 3), block)
    reading.bind(layer, result)


def _set_shape(layer: LayerRecord, reading: Reading, shape: tuple[int, ...]) -> None:
    source = reading.activation(layer)
    reading.bind(layer, reshape(reading.builder, layer.name, source, shape))


def _source_index(layer: LayerRecord, index: int, size: int, count: int) -> int:
    """The rule of TensorFlow Lite's reference kernel (resize_nearest_neighbor.h)."""
    aligned = bool(setting(layer, "AlignCorners")) and count > 1
    scale = (size - 1) / (count - 1) if aligned else size / count
    place = (index + 0.5) * scale if setting(layer, "HalfPixelCenters") else index * scale
    nearest = floor(place + 0.5) if aligned else floor(place)
    return min(max(nearest, 0), size - 1)
