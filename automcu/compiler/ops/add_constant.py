"""A sum with a constant tensor of the model, such as the embedding of positions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape

_LARGEST = 127
# Steps of the result that int8 constants may be apart, which is twice what rounding them costs ...
_LARGEST_STEP = 0.75
# ... and that one step of the input may be, as long as 16 bits of multipliers are enough.
_LARGEST_NARROW_RATIO = 8.0
_INPUT_SPAN = 255
_OUT_OF_RANGE = 512  # any result of this magnitude saturates, whatever the zero point
_SHIFT_LIMIT = 22
_RATIO_LIMIT = 1 << 13  # at a shift of 9, which leaves a quarter of a step to rounding


@dataclass(frozen=True, eq=False)
class AddConstant:
    """`values` are real [height, width, channels]; None in a graph only costed."""

    values: NDArray[np.float64] | None
    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class AddConstantIntegers:
    """The second operand of an addition, and its scaling.

    `values` are int8; or int32 in the steps of the sum before it is shifted right.
    """

    values: NDArray[np.int8] | NDArray[np.int32]
    scaling: AddScaling

    @property
    def wide(self) -> bool:
        """Whether the values are int32."""
        return self.values.dtype != np.int8


def needs_wide_values(attributes: AddConstant, source: Quantisation, result: Quantisation) -> bool:
    """Whether one scale for all constants in int8 would be too coarse; never so without values."""
    if attributes.values is None:
        return False
    return (
        _scale(attributes.values) / result.scale > _LARGEST_STEP
        or source.scale / result.scale >= _LARGEST_NARROW_RATIO
    )


def _scale(values: NDArray[np.float64]) -> float:
    return float(np.abs(values).max()) / _LARGEST or 1.0


def _title(attributes: AddConstant, shape: Shape) -> str:
    return "add constants"


def _lower(
    attributes: AddConstant, sources: tuple[Quantisation, ...], result: Quantisation
) -> AddConstantIntegers:
    if attributes.values is None:
        raise ValueError("a sum without values can be costed but not lowered")
    (source,) = sources
    limits = integer_limits(attributes.clamp, result.scale, result.zero_point)
    if needs_wide_values(attributes, source, result):
        return _wide(attributes.values, source, result, limits)
    scale = _scale(attributes.values)
    scaling = fixed_point.add_scaling(
        source.scale / result.scale,
        scale / result.scale,
        (source.zero_point, 0, result.zero_point),
        *limits,
    )
    return AddConstantIntegers(np.rint(attributes.values / scale).astype(np.int8), scaling)


def _wide(
    values: NDArray[np.float64],
    source: Quantisation,
    result: Quantisation,
    limits: tuple[int, int],
) -> AddConstantIntegers:
    """Constants beyond all that the input can make up for are cut to where they saturate."""
    ratio = source.scale / result.scale
    terms = values / result.scale
    if ratio > _RATIO_LIMIT:
        terms, ratio = terms * (_RATIO_LIMIT / ratio), float(_RATIO_LIMIT)
    reach = _INPUT_SPAN * ratio + _OUT_OF_RANGE
    largest = reach + _INPUT_SPAN * ratio + _INPUT_SPAN
    shift = min(_SHIFT_LIMIT, int(np.floor(np.log2(fixed_point.INT32_MAX / largest))))
    multiplier = round(ratio * (1 << shift))
    offset = (result.zero_point << shift) + (1 << (shift - 1)) - source.zero_point * multiplier
    rounded = np.rint(np.clip(terms, -reach, reach) * (1 << shift)).astype(np.int32)
    scaling = AddScaling(multiplier, 1, offset, shift, *limits)
    return AddConstantIntegers(rounded, scaling)


def _reference(
    inputs: tuple[Values, ...], attributes: AddConstant, integers: AddConstantIntegers
) -> Values:
    return fixed_point.add(inputs[0], integers.values, integers.scaling)


DEFINITION = Definition(title=_title, output_shape=first_shape, lower=_lower, reference=_reference)
