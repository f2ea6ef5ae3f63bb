"""Integer arithmetic that stands for real scales. docs/integer-semantics.md is its specification.

`requantise`: y = clamp(zero_point + ((accumulator << left_shift) * multiplier + 2**31) >> 32).
On an armv7e-m core that is one SMMLAR and one SSAT. Channels whose results amplify accumulators
have a shift of their own behind a saturation, and are marked by a negative multiplier.
`add`: y = clamp((a * multiplier_a + b * multiplier_b + offset) >> shift).
Right shifts are arithmetic (they round towards minus infinity).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.errors import UnsupportedModelError

INT8_MIN, INT8_MAX = -128, 127
INT32_MAX = (1 << 31) - 1
_FRACTION_BITS = 32
_MULTIPLIER_LIMIT = 1 << 31
AMPLIFIED_BITS = 22  # of an accumulator; one that is larger saturates any result it amplifies
AMPLIFIED_SHIFT = 10
_AMPLIFIES = 0.5  # ratios from here on need a left shift
_ADD_MULTIPLIER_LIMIT = (1 << 15) - 1  # both multipliers fit the 16-bit lanes of SMLAD
_ADD_SHIFT_LIMIT = 22
_WIDE_ADD_RATIO = 32  # from here on 16 bits leave more than a quarter of a step to rounding
_ADD_RATIO_LIMIT = (1 << 21) - 1  # at a shift of 10, which leaves the same quarter


@dataclass(frozen=True)
class Requantisation:
    """How int32 accumulators become int8; `multipliers` is int32 [channels] or int32 [1].

    A negative multiplier m stands for a channel that amplifies: its accumulators are saturated to
    `AMPLIFIED_BITS` bits, shifted left by `AMPLIFIED_SHIFT`, and multiplied by -m.
    """

    multipliers: NDArray[np.int32]
    left_shift: int
    zero_point: int
    minimum: int
    maximum: int

    @property
    def amplifies(self) -> bool:
        """Whether a channel does."""
        return bool((self.multipliers < 0).any())


@dataclass(frozen=True)
class AddScaling:
    """How two int8 operands are summed; `offset` holds the zero points and a rounding half.

    Multipliers have 16 bits and sums 32; those of a `wide` scaling have 32 and 64.
    """

    multiplier_a: int
    multiplier_b: int
    offset: int
    shift: int
    minimum: int
    maximum: int

    @property
    def wide(self) -> bool:
        """Whether the multipliers take more than 16 bits."""
        return max(abs(self.multiplier_a), abs(self.multiplier_b)) > _ADD_MULTIPLIER_LIMIT


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
    largest = _checked_largest(ratios, accumulator_bound)
    shift = left_shift(largest)
    while max(accumulator_bound, 1) << shift >= _MULTIPLIER_LIMIT:
        shift -= 1
    multipliers = np.rint(ratios * 2.0 ** (_FRACTION_BITS - shift))
    return Requantisation(
        np.minimum(multipliers, INT32_MAX).astype(np.int32),
        shift,
        zero_point,
        minimum,
        maximum,
    )


def channel_requantisation(
    ratios: NDArray[np.float64],
    accumulator_bound: int,
    zero_point: int,
    minimum: int = INT8_MIN,
    maximum: int = INT8_MAX,
) -> Requantisation:
    """The same for channels that do not disturb each other, whatever the spread of their ratios.

    A channel with a ratio of a half or more amplifies. An accumulator of more than
    `AMPLIFIED_BITS` bits then saturates the result, and so does any but 0 at a ratio of 2**9.

    Raises:
        UnsupportedModelError: an accumulator could overflow 32 bits, or a ratio is not finite.
    """
    _checked_largest(ratios, accumulator_bound)
    limit = INT32_MAX
    plain = np.minimum(np.rint(ratios * 2.0**_FRACTION_BITS), limit)
    amplified = np.minimum(np.rint(ratios * 2.0 ** (_FRACTION_BITS - AMPLIFIED_SHIFT)), limit)
    multipliers = np.where(ratios < _AMPLIFIES, plain, -amplified).astype(np.int32)
    return Requantisation(multipliers, 0, zero_point, minimum, maximum)


def _checked_largest(ratios: NDArray[np.float64], accumulator_bound: int) -> float:
    largest = float(ratios.max())
    if not math.isfinite(largest) or accumulator_bound >= _MULTIPLIER_LIMIT:
        raise UnsupportedModelError(
            f"accumulators up to {accumulator_bound} at a scale of {largest:.3g} overflow 32 bits. "
            "Split the layer, or quantise the model again."
        )
    return largest


def left_shift(ratio: float) -> int:
    """How far accumulators must be shifted for the ratio's multiplier to stay below 2**31."""
    shift = 0
    while ratio * 2.0 ** (_FRACTION_BITS - shift) >= _MULTIPLIER_LIMIT:
        shift += 1
    return shift


def requantise(accumulators: NDArray[np.int64], scaling: Requantisation) -> NDArray[np.int8]:
    """Apply `scaling` to accumulators [..., channels]."""
    multipliers = scaling.multipliers.astype(np.int64)
    shifted_left = accumulators << scaling.left_shift
    if scaling.amplifies:
        limit = 1 << (AMPLIFIED_BITS - 1)
        saturated = np.clip(accumulators, -limit, limit - 1) << AMPLIFIED_SHIFT
        shifted_left = np.where(multipliers < 0, saturated, shifted_left)
    product = shifted_left * np.abs(multipliers)
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
    Where one step of an operand is more than 2**21 - 1 of the result, which all but sums of 0 then
    saturate, both ratios are cut by one factor.

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
    limit = INT32_MAX if needs_wide_sum(largest) else _ADD_MULTIPLIER_LIMIT
    shift = min(_ADD_SHIFT_LIMIT, int(np.floor(np.log2(limit / largest))))
    zero_a, zero_b, zero_y = zero_points
    multiplier_a, multiplier_b = (round(ratio * (1 << shift)) for ratio in (ratio_a, ratio_b))
    offset = (zero_y << shift) + (1 << (shift - 1)) - zero_a * multiplier_a - zero_b * multiplier_b
    return AddScaling(multiplier_a, multiplier_b, offset, shift, minimum, maximum)


def needs_wide_sum(ratio: float) -> bool:
    """Whether an operand of so many times the result's scale asks for wide arithmetic."""
    return ratio >= _WIDE_ADD_RATIO


def add(
    a: NDArray[np.int8], b: NDArray[np.int8] | NDArray[np.int32], scaling: AddScaling
) -> NDArray[np.int8]:
    """Apply `scaling` to two operands of one shape, or the second for all of a batch."""
    total = (
        a.astype(np.int64) * scaling.multiplier_a
        + b.astype(np.int64) * scaling.multiplier_b
        + scaling.offset
    )
    return np.asarray(np.clip(total >> scaling.shift, scaling.minimum, scaling.maximum), np.int8)
