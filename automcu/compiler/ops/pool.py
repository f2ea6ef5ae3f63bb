"""Average and maximum over a window."""

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.ops.windows import Window, taps
from automcu.compiler.tensor import Quantisation, Shape

_FRACTION_BITS = 32  # of products with a multiplier
_RAW_LEFT_SHIFT = 2  # so that the multiplier of a single value, 2^30 + 1, fits
_MOST_EXACT_TAPS = 2048  # 128 n 2^2 does not reach 2^32 / 2n
_LEAST_BOUND = 1 << 16  # keeps left shifts below 15, whose powers of two 16 bits hold
_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point


@dataclass(frozen=True)
class AveragePool:
    """Mean of the pixels that lie inside the image, or of the whole window (`padding_counts`).

    `raw_halves` are halves of raw values, which go away from zero, as in LiteRT's average pools:
    on one scale only. Else halves of what the values stand for go up.
    """

    window: Window
    padding_counts: bool = False
    clamp: Clamp = NO_CLAMP
    raw_halves: bool = False


@dataclass(frozen=True)
class MaxPool:
    """Maximum of the pixels inside the image; input and output share their quantisation."""

    window: Window


@dataclass(frozen=True)
class AveragePoolIntegers:
    """One multiplier for each number of pixels that a window can cover (index 0 is unused).

    An accumulator is the sum of (x - input_zero_point) over the covered pixels.
    """

    scaling: Requantisation
    input_zero_point: int


def pixel_counts(window: Window, height: int, width: int) -> NDArray[np.int64]:
    """How many pixels of a height x width image each window covers: [out_height, out_width]."""
    out_height, out_width = window.output_size(height, width)
    rows = _covered(height, out_height, window.height, 0, window)
    columns = _covered(width, out_width, window.width, 1, window)
    return np.asarray(rows[:, None] * columns)


def _covered(length: int, outputs: int, taps: int, axis: int, window: Window) -> NDArray[np.int64]:
    """How many of a window's taps along one axis lie inside, for each output."""
    starts = np.arange(outputs, dtype=np.int64) * window.stride[axis] - window.padding[axis]
    counts = np.zeros(outputs, np.int64)
    for tap in range(taps):
        place = starts + tap * window.dilation[axis]
        counts += (place >= 0) & (place < length)
    return counts


def needed_counts(attributes: AveragePool, height: int, width: int) -> tuple[int, ...]:
    """The distinct numbers of pixels that the windows of a layer are divided by, ascending."""
    if attributes.padding_counts:
        return (attributes.window.height * attributes.window.width,)
    counts = np.unique(pixel_counts(attributes.window, height, width))
    return tuple(int(count) for count in counts)


def _average_title(attributes: AveragePool, shape: Shape) -> str:
    return f"average pool {attributes.window.height}x{attributes.window.width}"


def _max_title(attributes: MaxPool, shape: Shape) -> str:
    return f"max pool {attributes.window.height}x{attributes.window.width}"


def _output_shape(attributes: AveragePool | MaxPool, shapes: tuple[Shape, ...]) -> Shape:
    height, width, channels = shapes[0]
    window = attributes.window
    top, left, bottom, right = window.padding
    if max(top, bottom) >= window.reach[0] or max(left, right) >= window.reach[1]:
        raise ValueError(f"the padding {window.padding} of a pool hides a whole window")
    return (*attributes.window.output_size(height, width), channels)


def _lower_average(
    attributes: AveragePool, sources: tuple[Quantisation, ...], result: Quantisation
) -> AveragePoolIntegers:
    (source,) = sources
    largest = attributes.window.height * attributes.window.width
    rounds_raw_values = attributes.raw_halves and not attributes.padding_counts
    if rounds_raw_values and source == result and largest <= _MOST_EXACT_TAPS:
        return _mean_of_raw_values(attributes, result)
    counts = np.array([inf, *range(1, largest + 1)])  # nothing is divided by index 0
    scaling = fixed_point.requantisation(
        source.scale / result.scale / counts,
        max(largest * _INPUT_SPAN, _LEAST_BOUND),
        result.zero_point,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return AveragePoolIntegers(scaling, source.zero_point)


def _mean_of_raw_values(attributes: AveragePool, result: Quantisation) -> AveragePoolIntegers:
    """Sums of raw values divided by their number; halves away from zero, as in LiteRT.

    A multiplier a little above 2^32 / n carries halves of either sign away from zero. It is too
    little to carry anything else, as no other sum is nearer to a half than 1 / 2n.
    """
    largest = attributes.window.height * attributes.window.width
    unit = 1 << (_FRACTION_BITS - _RAW_LEFT_SHIFT)
    multipliers = [0, *(unit // count + 1 for count in range(1, largest + 1))]
    scaling = Requantisation(
        np.array(multipliers, np.int32),
        _RAW_LEFT_SHIFT,
        0,
        *integer_limits(attributes.clamp, result.scale, result.zero_point),
    )
    return AveragePoolIntegers(scaling, 0)


def _lower_max(
    attributes: MaxPool, sources: tuple[Quantisation, ...], result: Quantisation
) -> None:
    """A maximum needs no integers: int8 values of one scale compare as they are."""


def _average_reference(
    inputs: tuple[Values, ...], attributes: AveragePool, integers: AveragePoolIntegers
) -> Values:
    (values,) = inputs
    zero = integers.input_zero_point
    total = sum(tap.astype(np.int64) - zero for tap in taps(values, attributes.window, zero))
    counts = pixel_counts(attributes.window, values.shape[1], values.shape[2])
    if attributes.padding_counts:
        counts = np.full_like(counts, attributes.window.height * attributes.window.width)
    per_pixel = Requantisation(
        integers.scaling.multipliers[counts][None, :, :, None],
        integers.scaling.left_shift,
        integers.scaling.zero_point,
        integers.scaling.minimum,
        integers.scaling.maximum,
    )
    return fixed_point.requantise(np.asarray(total), per_pixel)


def _max_reference(inputs: tuple[Values, ...], attributes: MaxPool, integers: None) -> Values:
    return np.asarray(
        np.max(list(taps(inputs[0], attributes.window, fixed_point.INT8_MIN)), axis=0)
    )


AVERAGE_DEFINITION = Definition(
    title=_average_title,
    output_shape=_output_shape,
    lower=_lower_average,
    reference=_average_reference,
)
MAX_DEFINITION = Definition(
    title=_max_title, output_shape=_output_shape, lower=_lower_max, reference=_max_reference
)
