"""Values of a tensor in another order: transpose, slice, nearest-neighbour resize, broadcast, ...

One idea covers them all: the output is written in order, and its values are read from the input
at offset + sum(index x stride) for some axes of sizes and strides. A stride of 0 repeats, an
offset skips, an axis of one size and stride 1 is a reshape that moves nothing.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape

Axes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Rearrange:
    """`axes` are (size, stride in bytes) of the reads, outermost first; they fill `shape`.

    Input and output share their quantisation. `name` is what the model file calls it.
    """

    name: str
    shape: Shape
    axes: Axes
    offset: int = 0


def moves_nothing(attributes: Rearrange, source: Shape) -> bool:
    """Whether the output is the input, byte for byte."""
    return attributes.axes == ((prod(source), 1),) and attributes.offset == 0


def read_addresses(attributes: Rearrange) -> NDArray[np.int64]:
    """Where each output value is read, as offsets into the input: int64 [output size]."""
    addresses = np.array([attributes.offset], np.int64)
    for size, stride in attributes.axes:
        addresses = (addresses[:, None] + np.arange(size, dtype=np.int64) * stride).reshape(-1)
    return addresses


def _title(attributes: Rearrange, shape: Shape) -> str:
    return attributes.name


def _output_shape(attributes: Rearrange, shapes: tuple[Shape, ...]) -> Shape:
    if prod(size for size, _ in attributes.axes) != prod(attributes.shape):
        raise ValueError(f"{attributes.axes} do not fill {attributes.shape}")
    first = attributes.offset + sum(min(0, (n - 1) * stride) for n, stride in attributes.axes)
    last = attributes.offset + sum(max(0, (n - 1) * stride) for n, stride in attributes.axes)
    if first < 0 or last >= prod(shapes[0]):
        raise ValueError(f"reads from {first} to {last} of {prod(shapes[0])} values")
    return attributes.shape


def _lower(attributes: Rearrange, sources: tuple[Quantisation, ...], result: Quantisation) -> None:
    """Bytes are copied as they are."""


def _reference(inputs: tuple[Values, ...], attributes: Rearrange, integers: None) -> Values:
    flat = inputs[0].reshape(len(inputs[0]), -1)
    return flat[:, read_addresses(attributes)].reshape(len(flat), *attributes.shape)


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
