"""Quantised tensors, channels-last without a batch dimension; their clamps, and windows over them.

A tensor is (height, width, channels); a vector of n features is (1, 1, n), a time series
(1, length, channels).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN

Shape = tuple[int, int, int]
Values = NDArray[np.int8]  # of a tensor, for n inputs: [n, height, width, channels]


@dataclass(frozen=True)
class Quantisation:
    """Affine int8 quantisation of a whole tensor: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Tensor:
    """An int8 activation; `quantisation` is None only before activations are fused."""

    name: str
    shape: Shape
    quantisation: Quantisation | None

    @property
    def size(self) -> int:
        """Bytes."""
        return prod(self.shape)


Clamp = tuple[float, float]  # real limits, such as those of a ReLU
NO_CLAMP: Clamp = (-inf, inf)


def integer_limits(clamp: Clamp, scale: float, zero_point: int) -> tuple[int, int]:
    """The int8 range to which `clamp` restricts a tensor of this quantisation."""
    low, high = (bound / scale + zero_point for bound in clamp)
    minimum = INT8_MIN if low <= INT8_MIN else min(round(low), INT8_MAX)
    maximum = INT8_MAX if high >= INT8_MAX else max(round(high), INT8_MIN)
    return minimum, maximum


def intersect(first: Clamp, second: Clamp) -> Clamp:
    """The clamp that has the effect of `first` followed by `second`."""
    low = min(max(first[0], second[0]), second[1])
    high = max(min(first[1], second[1]), second[0])
    return low, high


def is_idle(clamp: Clamp, quantisation: Quantisation) -> bool:
    """Whether int8 makes the clamp by itself in a tensor of this quantisation."""
    limits = integer_limits(clamp, quantisation.scale, quantisation.zero_point)
    return limits == (INT8_MIN, INT8_MAX)


_UNROLLED = 2  # turns of a loop


@dataclass(frozen=True)
class Window:
    """A kernel's footprint; `padding` is top, left, bottom, right in pixels."""

    height: int
    width: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    @property
    def is_pointwise(self) -> bool:
        """Whether every output pixel reads just the input pixel at its own place."""
        return (self.height, self.width, self.stride) == (1, 1, (1, 1)) and not any(self.padding)

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from the first tap to the last, both included."""
        return self.dilation[0] * (self.height - 1) + 1, self.dilation[1] * (self.width - 1) + 1

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Output height and width; smaller than 1 where the window does not fit."""
        top, left, bottom, right = self.padding
        reach_y, reach_x = self.reach
        return (
            (height + top + bottom - reach_y) // self.stride[0] + 1,
            (width + left + right - reach_x) // self.stride[1] + 1,
        )

    def padded(self, before: tuple[int, int], after: tuple[int, int]) -> "Window | None":
        """The window with so many more rows and columns of padding.

        None where a window would fit into the padding.
        """
        top, left, bottom, right = self.padding
        padding = (top + before[0], left + before[1], bottom + after[0], right + after[1])
        rows, columns = self.reach
        if max(padding[0], padding[2]) >= rows or max(padding[1], padding[3]) >= columns:
            return None
        return replace(self, padding=padding)


POINTWISE = Window(1, 1)


def taps(
    inputs: NDArray[np.int8], window: Window, padding_value: int
) -> Iterator[NDArray[np.int8]]:
    """Yield, kernel row by row, what each tap reads at every output pixel.

    `inputs` is [n, height, width, channels]; each yield is [n, out_height, out_width, channels].
    """
    top, left, bottom, right = window.padding
    padded = np.pad(
        inputs,
        ((0, 0), (top, bottom), (left, right), (0, 0)),
        constant_values=padding_value,
    )
    out_height, out_width = window.output_size(inputs.shape[1], inputs.shape[2])
    step_y, step_x = window.stride
    for tap_y in range(window.height):
        first_y = tap_y * window.dilation[0]
        for tap_x in range(window.width):
            first_x = tap_x * window.dilation[1]
            yield padded[
                :,
                first_y : first_y + (out_height - 1) * step_y + 1 : step_y,
                first_x : first_x + (out_width - 1) * step_x + 1 : step_x,
            ]


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


def window_class(window: Window, out_height: int) -> str:
    """Which loops over a window a compiler makes: it unrolls those of one turn and of two.

    Two rows are more work where the bounds of the loop over them vary, with the output's rows.
    """
    rows, columns = (str(n) if n <= _UNROLLED else "n" for n in (window.height, window.width))
    fixed = "fixed" if window.height == _UNROLLED and out_height == 1 else ""
    return f"{rows}{fixed}x{columns}"
