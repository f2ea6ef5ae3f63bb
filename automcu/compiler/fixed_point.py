"""Integer arithmetic that stands for real scales. docs/integer-semantics.md is its specification.

`requantise`: y = clamp(zero_point + ((accumulator << left_shift) * multiplier + 2**31) >> 32).
On an armv7e-m core that is one SMMLAR and one SSAT.
`add`: y = clamp((a * multiplier_a + b * multiplier_b + offset) >> shift).
Right shifts are arithmetic (they round towards minus infinity).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.errors import UnsupportedModelError

INT8_MIN, INT8_MAX = -128, 127
_FRACTION_BITS = 32
_MULTIPLIER_LIMIT = 1 << 31
_ADD_MULTIPLIER_LIMIT = (1 << 15) - 1  # both multipliers fit the 16-bit lanes of SMLAD
_ADD_SHIFT_LIMIT = 22
_ADD_RATIO_LIMIT = _ADD_MULTIPLIER_LIMIT / 2  # at a shift of 1, which leaves a rounding half


@dataclass(frozen=True)
class Requantisation:
    """How int32 accumulators become int8; `multipliers` is int32 [channels] or int32 [1]."""

    multipliers: NDArray[np.int32]
    left_shift: int
    zero_point: int
    minimum: int
    maximum: int


@dataclass(frozen=True)
class AddScaling:
    """How two int8 operands are summed; `offset` holds the zero points and a rounding half."""

    multiplier_a: int
    multiplier_b: int
    offset: int
    shift: int
    minimum: int
    maximum: int


def requantisation(
    ratios: NDArray[np.float64],
    accumulator_bound: int,
    zero_point: int,
    minimum: int = INT8_MIN,
    maximum: int = INT8_MAX,
) -> Requantisation:
    """Turn real ratios (input scale x weight scale / output scale) into multipliers.

    `accumulator_bound` is the largest magnitude that an accumulator can take. Where the left
    shift that a ratio asks for would carry accumulators out of 32 bits, the result's scale is so
    small that all but the least accumulators saturate it: the ratio is cut to what can be had.

    Raises:
        UnsupportedModelError: an accumulator could overflow 32 bits, or a ratio is not finite.
    """
    largest = float(ratios.max())
    if not math.isfinite(largest) or accumulator_bound >= _MULTIPLIER_LIMIT:
        raise UnsupportedModelError(
            f"accumulators up to {accumulator_bound} at a scale of {largest:.3g} overflow 32 bits. "
            "Split the layer, or quantise the model again."
        )
    shift = left_shift(largest)
    while max(accumulator_bound, 1) << shift >= _MULTIPLIER_LIMIT:
        shift -= 1
    multipliers = np.rint(ratios * 2.0 ** (_FRACTION_BITS - shift))
    return Requantisation(
        np.minimum(multipliers, _MULTIPLIER_LIMIT - 1).astype(np.int32),
        shift,
        zero_point,
        minimum,
        maximum,
    )


def left_shift(ratio: float) -> int:
    """How far accumulators must be shifted for the ratio's multiplier to stay below 2**31."""
    shift = 0
    while ratio * 2.0 ** (_FRACTION_BITS - shift) >= _MULTIPLIER_LIMIT:
        shift += 1
    return shift


def requantise(accumulators: NDArray[np.int64], scaling: Requantisation) -> NDArray[np.int8]:
    """Apply `scaling` to accumulators [..., channels]."""
    product = (accumulators << scaling.left_shift) * scaling.multipliers.astype(np.int64)
    rounded = (product + (1 << (_FRACTION_BITS - 1))) >> _FRACTION_BITS
    shifted = rounded + scaling.zero_point
    return np.asarray(np.clip(shifted, scaling.minimum, scaling.maximum), np.int8)


def add_scaling(
    ratio_a: float,
    ratio_b: float,
    zero_points: tuple[int, int, int],
    minimum: int = INT8_MIN,
    maximum: int = INT8_MAX,
) -> AddScaling:
    """Integers for y = ratio_a * (a - zero_a) + ratio_b * (b - zero_b) + zero_y.

    `zero_points` are those of a, b and y; a ratio is the operand's scale over the result's.
    Where one step of an operand is more than 16383 of the result, which it then saturates, both
    ratios are cut by one factor.

    Raises:
        UnsupportedModelError: a ratio is not finite.
    """
    largest = max(abs(ratio_a), abs(ratio_b))
    if not math.isfinite(largest):
        raise UnsupportedModelError(
            f"an addition has operands of {largest} times its scale. Quantise the model again."
        )
    if largest > _ADD_RATIO_LIMIT:
        cut = _ADD_RATIO_LIMIT / largest
        ratio_a, ratio_b, largest = ratio_a * cut, ratio_b * cut, _ADD_RATIO_LIMIT
    shift = min(_ADD_SHIFT_LIMIT, int(np.floor(np.log2(_ADD_MULTIPLIER_LIMIT / largest))))
    zero_a, zero_b, zero_y = zero_points
    multiplier_a, multiplier_b = (round(ratio * (1 << shift)) for ratio in (ratio_a, ratio_b))
    offset = (zero_y << shift) + (1 << (shift - 1)) - zero_a * multiplier_a - zero_b * multiplier_b
    return AddScaling(multiplier_a, multiplier_b, offset, shift, minimum, maximum)


def add(a: NDArray[np.int8], b: NDArray[np.int8], scaling: AddScaling) -> NDArray[np.int8]:
    """Apply `scaling` to two operands of one shape."""
    total = (
        a.astype(np.int32) * np.int32(scaling.multiplier_a)
        + b.astype(np.int32) * np.int32(scaling.multiplier_b)
        + np.int32(scaling.offset)
    )
    return np.asarray(np.clip(total >> scaling.shift, scaling.minimum, scaling.maximum), np.int8)
