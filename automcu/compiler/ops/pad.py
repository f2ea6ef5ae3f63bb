"""A border of one value around a tensor."""

from dataclasses import dataclass

import numpy as np

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape


@dataclass(frozen=True)
class Pad:
    """How many rows, columns and channels of the real `value` come before and after.

    Input and output share their quantisation.
    """

    before: Shape
    after: Shape
    value: float = 0.0


@dataclass(frozen=True)
class PadIntegers:
    """The border as an int8."""

    value: int


def _title(attributes: Pad, shape: Shape) -> str:
    return "pad"


def _output_shape(attributes: Pad, shapes: tuple[Shape, ...]) -> Shape:
    height, width, channels = (
        before + size + after
        for before, size, after in zip(attributes.before, shapes[0], attributes.after, strict=True)
    )
    return height, width, channels


def _lower(attributes: Pad, sources: tuple[Quantisation, ...], result: Quantisation) -> PadIntegers:
    nearest = round(min(max(attributes.value / result.scale, -512.0), 512.0)) + result.zero_point
    return PadIntegers(min(max(nearest, INT8_MIN), INT8_MAX))


def _reference(inputs: tuple[Values, ...], attributes: Pad, integers: PadIntegers) -> Values:
    widths = ((0, 0), *zip(attributes.before, attributes.after, strict=True))
    return np.pad(inputs[0], widths, constant_values=integers.value)


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
