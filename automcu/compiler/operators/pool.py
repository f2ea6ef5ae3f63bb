"""Average and maximum over a window; padding counts for neither."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.operators.clamp import NO_CLAMP, Clamp
from automcu.compiler.operators.windows import Window, taps


@dataclass(frozen=True)
class AveragePool:
    """Mean of the pixels that lie inside the image, or of the whole window (`padding_counts`)."""

    window: Window
    padding_counts: bool = False
    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class MaxPool:
    """Maximum of the pixels inside the image; input and output share their quantisation."""

    window: Window


@dataclass(frozen=True)
class AveragePoolIntegers:
    """One multiplier for each number of pixels that a window can cover (index 0 is unused).

    An accumulator is the sum of (x - input_zero_point) over the covered pixels.
    """

    scaling: fixed_point.Requantisation
    input_zero_point: int


def pixel_counts(window: Window, height: int, width: int) -> NDArray[np.int64]:
    """How many pixels of a height x width image each window covers: [out_height, out_width]."""
    inside = np.ones((1, height, width, 1), np.int8)
    covered = [tap[0, :, :, 0].astype(np.int64) for tap in taps(inside, window, 0)]
    return np.asarray(np.sum(covered, axis=0))


def average_reference(
    inputs: tuple[NDArray[np.int8], ...], attributes: AveragePool, integers: AveragePoolIntegers
) -> NDArray[np.int8]:
    """Mean over the window for inputs [n, height, width, channels]."""
    (values,) = inputs
    zero = integers.input_zero_point
    total = sum(tap.astype(np.int64) - zero for tap in taps(values, attributes.window, zero))
    counts = pixel_counts(attributes.window, values.shape[1], values.shape[2])
    if attributes.padding_counts:
        counts = np.full_like(counts, attributes.window.height * attributes.window.width)
    per_pixel = fixed_point.Requantisation(
        integers.scaling.multipliers[counts][None, :, :, None],
        integers.scaling.left_shift,
        integers.scaling.zero_point,
        integers.scaling.minimum,
        integers.scaling.maximum,
    )
    return fixed_point.requantise(np.asarray(total), per_pixel)


def max_reference(inputs: tuple[NDArray[np.int8], ...], attributes: MaxPool) -> NDArray[np.int8]:
    """Maximum over the window for inputs [n, height, width, channels]."""
    return np.asarray(
        np.max(list(taps(inputs[0], attributes.window, fixed_point.INT8_MIN)), axis=0)
    )
