"""Tensors one behind the other along an axis."""

from dataclasses import dataclass

import numpy as np

from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape


@dataclass(frozen=True)
class Concatenate:
    """`axis` is 0 for height, 1 for width, 2 for channels; all tensors share one quantisation."""

    axis: int


def _title(attributes: Concatenate, shape: Shape) -> str:
    return f"concatenate {('rows', 'columns', 'channels')[attributes.axis]}"


def _output_shape(attributes: Concatenate, shapes: tuple[Shape, ...]) -> Shape:
    sizes = list(shapes[0])
    for shape in shapes[1:]:
        if any(shape[axis] != sizes[axis] for axis in range(3) if axis != attributes.axis):
            raise ValueError(f"{shape} cannot be joined to {shapes[0]} along {attributes.axis}")
        sizes[attributes.axis] += shape[attributes.axis]
    return sizes[0], sizes[1], sizes[2]


def _lower(
    attributes: Concatenate, sources: tuple[Quantisation, ...], result: Quantisation
) -> None:
    """Bytes are copied as they are."""


def _reference(inputs: tuple[Values, ...], attributes: Concatenate, integers: None) -> Values:
    return np.concatenate(inputs, axis=1 + attributes.axis)


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
