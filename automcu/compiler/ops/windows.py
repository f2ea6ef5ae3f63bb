"""Sliding windows over channels-last images, shared by convolution and pooling."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
