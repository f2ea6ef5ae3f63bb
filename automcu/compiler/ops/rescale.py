"""The same values on another scale, perhaps clamped: a ReLU that stands alone, a requantisation."""

from dataclasses import dataclass

import numpy as np

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape

# Far above any int8 value minus its zero point: a left shift then stays below 15, and a kernel can
# multiply by its power of two in 16 bits. A ratio that asks for more saturates any but 0.
_ACCUMULATOR_BOUND = 1 << 16


@dataclass(frozen=True)
class Rescale:
    """Element by element; `clamp` is real."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class RescaleIntegers:
    """Each value minus `input_zero_point` is an accumulator."""

    scaling: Requantisation
    input_zero_point: int


def _title(attributes: Rescale, shape: Shape) -> str:
    return "rescale"


def _lower(
    attributes: Rescale, sources: tuple[Quantisation, ...], result: Quantisation
) -> RescaleIntegers:
    (source,) = sources
    scaling = fixed_point.requantisation(
        np.array([source.scale / result.scale]),
        _ACCUMULATOR_BOUND,
        result.zero_point,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return RescaleIntegers(scaling, source.zero_point)


def _reference(
    inputs: tuple[Values, ...], attributes: Rescale, integers: RescaleIntegers
) -> Values:
    return fixed_point.requantise(
        inputs[0].astype(np.int64) - integers.input_zero_point, integers.scaling
    )


DEFINITION = Definition(title=_title, output_shape=first_shape, lower=_lower, reference=_reference)
