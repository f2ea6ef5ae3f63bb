"""Product of two tensors; the second may be one pixel or one channel that serves for all."""

from dataclasses import dataclass

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape

_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point


@dataclass(frozen=True)
class Multiply:
    """The second operand is of the same shape, or (1, 1, channels), (height, width, 1), or 1."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class MultiplyIntegers:
    """An accumulator is (a - first_zero_point) * (b - second_zero_point)."""

    scaling: Requantisation
    first_zero_point: int
    second_zero_point: int


def is_broadcastable(first: Shape, second: Shape) -> bool:
    """Whether `second` may be the second operand of a product of shape `first`."""
    return second[:2] in (first[:2], (1, 1)) and second[2] in (first[2], 1)


def _title(attributes: Multiply, shape: Shape) -> str:
    return "multiply"


def _output_shape(attributes: Multiply, shapes: tuple[Shape, ...]) -> Shape:
    first, second = shapes
    if not is_broadcastable(first, second):
        raise ValueError(f"{second} cannot be broadcast to {first}")
    return first


def _lower(
    attributes: Multiply, sources: tuple[Quantisation, ...], result: Quantisation
) -> MultiplyIntegers:
    first, second = sources
    scaling = fixed_point.requantisation(
        np.array([first.scale * second.scale / result.scale]),
        _INPUT_SPAN**2,
        result.zero_point,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return MultiplyIntegers(scaling, first.zero_point, second.zero_point)


def _reference(
    inputs: tuple[Values, ...], attributes: Multiply, integers: MultiplyIntegers
) -> Values:
    first = inputs[0].astype(np.int64) - integers.first_zero_point
    second = inputs[1].astype(np.int64) - integers.second_zero_point
    return fixed_point.requantise(first * second, integers.scaling)


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
