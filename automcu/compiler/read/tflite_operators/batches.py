"""SpaceToBatch and BatchToSpace: the phases of an image as a batch of images (see `phases`)."""

from math import prod

from automcu.compiler.read.activation import Activation
from automcu.compiler.read.movement import pad, reshape, slice_axis, transpose
from automcu.compiler.read.tflite_operators.layer import Reading, operator
from automcu.compiler.read.tflite_operators.records import LayerRecord

_LARGEST_BLOCK = 1 << 12


@operator("SPACE_TO_BATCH_ND")
def _space_to_batch(layer: LayerRecord, reading: Reading) -> None:
    source, blocks, widths = _operands(layer, reading)
    rank = len(blocks)
    others = [0] * (len(source.view.shape) - rank - 1)
    before, after = [0, *widths[::2], *others], [0, *widths[1::2], *others]
    source = pad(reading.builder, layer.name, source, before, after, 0.0)
    batch, *sizes = source.view.shape
    if any(size % block for size, block in zip(sizes, blocks, strict=False)):
        raise ValueError(f"{sizes} in blocks of {blocks}")
    split: list[int] = [batch]
    for size, block in zip(sizes, blocks, strict=False):
        split += [size // block, block]
    split += sizes[rank:]
    phases = tuple(2 + 2 * axis for axis in range(rank))
    rest = tuple(axis for axis in range(len(split)) if axis not in phases)
    result = reshape(reading.builder, layer.name, source, tuple(split))
    result = transpose(layer.name, result, (*phases, *rest))
    shape = (batch * prod(blocks), *(split[axis] for axis in rest[1:]))
    reading.bind(layer, reshape(reading.builder, layer.name, result, shape))


@operator("BATCH_TO_SPACE_ND")
def _batch_to_space(layer: LayerRecord, reading: Reading) -> None:
    source, blocks, crops = _operands(layer, reading)
    rank = len(blocks)
    batches, *sizes = source.view.shape
    if batches % prod(blocks):
        raise ValueError(f"{batches} images in blocks of {blocks}")
    batch = batches // prod(blocks)
    result = reshape(reading.builder, layer.name, source, (*blocks, batch, *sizes))
    order = [rank]
    for axis in range(rank):
        order += [rank + 1 + axis, axis]
    order += range(2 * rank + 1, len(result.view.shape))
    result = transpose(layer.name, result, tuple(order))
    joint = [size * block for size, block in zip(sizes, blocks, strict=False)]
    shape = (batch, *joint, *sizes[rank:])
    result = reshape(reading.builder, layer.name, result, shape)
    for axis in range(rank):
        first, last = crops[2 * axis], crops[2 * axis + 1]
        count = joint[axis] - first - last
        result = slice_axis(reading.builder, layer.name, result, axis + 1, first, count)
    reading.bind(layer, result)


def _operands(
    layer: LayerRecord, reading: Reading
) -> tuple[Activation, tuple[int, ...], tuple[int, ...]]:
    source, blocks = reading.activation(layer), reading.integers(layer, 1)
    widths = reading.integers(layer, 2)
    if not all(1 <= block <= _LARGEST_BLOCK for block in blocks) or min(widths, default=0) < 0:
        raise ValueError(f"blocks {blocks} with {widths}")
    if len(widths) != 2 * len(blocks) or len(blocks) >= len(source.view.shape):
        raise ValueError(f"blocks {blocks} with {widths} for {source.view.shape}")
    return source, blocks, widths
