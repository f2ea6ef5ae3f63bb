"""Average and maximum over a window."""

from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import INT8_MIN, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import (
    REQUANTISATION,
    ArrayShape,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
    cost_key,
)
from automcu.compiler.tensor import (
    NO_CLAMP,
    Clamp,
    Quantisation,
    Shape,
    Tensor,
    Values,
    Window,
    integer_limits,
    intersect,
    is_idle,
    pixel_counts,
    taps,
    window_class,
)

_FRACTION_BITS = 32  # of products with a multiplier
_RAW_LEFT_SHIFT = 2  # so that the multiplier of a single value, 2^30 + 1, fits
_MOST_EXACT_TAPS = 2048  # 128 n 2^2 does not reach 2^32 / 2n
_LEAST_BOUND = 1 << 16  # keeps left shifts below 15, whose powers of two 16 bits hold
_INPUT_SPAN = 255  # the largest magnitude of an int8 value minus its zero point
_BYTES_PER_MULTIPLIER = 4
_FEW_CHANNELS = 4  # what kernels take at once

PARAMETERS = Parameters(
    "average_pool_parameters",
    {
        "multipliers": Field(
            "const int32_t *", "one for each number of pixels a window can cover, or just one"
        ),
        "input_zero_point": "int32_t",
        "scaling": REQUANTISATION,
    },
    order=2,
)


@dataclass(frozen=True)
class AveragePoolIntegers:
    """One multiplier for each number of pixels that a window can cover (index 0 is unused).

    An accumulator is the sum of (x - input_zero_point) over the covered pixels.
    """

    scaling: Requantisation
    input_zero_point: int


@dataclass(frozen=True)
class AveragePool(Attributes):
    """Mean of the pixels that lie inside the image, or of the whole window (`padding_counts`).

    `raw_halves` are halves of raw values, which go away from zero, as in LiteRT's average pools:
    on one scale only. Else halves of what the values stand for go up.
    """

    window: Window
    padding_counts: bool = False
    clamp: Clamp = NO_CLAMP
    raw_halves: bool = False

    def usual_quantisation(self, source: Quantisation | None) -> Quantisation | None:
        return source

    def title(self, source: Shape) -> str:
        return f"average pool {self.window.height}x{self.window.width}"

    def output_shape(self, *sources: Shape) -> Shape:
        return _output_shape(self.window, sources[0])

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> AveragePoolIntegers:
        (source,) = sources
        largest = self.window.height * self.window.width
        rounds_raw_values = self.raw_halves and not self.padding_counts
        if rounds_raw_values and source == result and largest <= _MOST_EXACT_TAPS:
            return self._mean_of_raw_values(result)
        counts = np.array([inf, *range(1, largest + 1)])  # nothing is divided by index 0
        scaling = fixed_point.requantisation(
            source.scale / result.scale / counts,
            max(largest * _INPUT_SPAN, _LEAST_BOUND),
            result.zero_point,
            *integer_limits(self.clamp, result.scale, result.zero_point),
        )
        return AveragePoolIntegers(scaling, source.zero_point)

    def _mean_of_raw_values(self, result: Quantisation) -> AveragePoolIntegers:
        """Sums of raw values divided by their number; halves away from zero, as in LiteRT.

        A multiplier a little above 2^32 / n carries halves of either sign away from zero. It is too
        little to carry anything else, as no other sum is nearer to a half than 1 / 2n.
        """
        largest = self.window.height * self.window.width
        unit = 1 << (_FRACTION_BITS - _RAW_LEFT_SHIFT)
        multipliers = [0, *(unit // count + 1 for count in range(1, largest + 1))]
        scaling = Requantisation(
            np.array(multipliers, np.int32),
            _RAW_LEFT_SHIFT,
            0,
            *integer_limits(self.clamp, result.scale, result.zero_point),
        )
        return AveragePoolIntegers(scaling, 0)

    def reference(self, inputs: tuple[Values, ...], integers: AveragePoolIntegers) -> Values:
        (values,) = inputs
        zero = integers.input_zero_point
        total = sum(tap.astype(np.int64) - zero for tap in taps(values, self.window, zero))
        counts = pixel_counts(self.window, values.shape[1], values.shape[2])
        if self.padding_counts:
            counts = np.full_like(counts, self.window.height * self.window.width)
        multipliers = integers.scaling.multipliers[counts][None, :, :, None]
        per_pixel = replace(integers.scaling, multipliers=multipliers)
        return fixed_point.requantise(np.asarray(total), per_pixel)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        settings = _settings(self.window, inputs[0].shape, output.shape)
        height, width, _ = inputs[0].shape
        counts = needed_counts(self, height, width)
        largest = self.window.height * self.window.width
        table = len(counts) > 1
        size = _BYTES_PER_MULTIPLIER * (largest + 1 if table else 1)
        kind = "average_pool_whole" if self.padding_counts else "average_pool"
        return Kernel(
            cost_key=_cost_key("portable-average_pool", settings),
            function=_function_name(kind, settings),
            template=Path(__file__).with_name("average_pool.c.j2"),
            settings=settings | {"table": table, "padding_counts": self.padding_counts},
            parameters=PARAMETERS,
            arrays=(ArrayShape("multipliers", "int32_t", size),),
            pack=partial(_pack, counts),
            work=_work(self.window, inputs[0].shape, output.shape),
            code=_loops(self.window, output.shape),
        )

    def with_clamp(self, clamp: Clamp) -> "AveragePool":
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "AveragePool":
        return replace(self, clamp=NO_CLAMP) if is_idle(self.clamp, result) else self

    def with_border(
        self, before: Shape, after: Shape, value: int, source: Quantisation
    ) -> "AveragePool | None":
        """A border of zeros counts, where there is no padding that does not."""
        window = self.window.padded(before[:2], after[:2])
        if window is None or value != source.zero_point or any(self.window.padding):
            return None
        return replace(self, window=window, padding_counts=True)


@dataclass(frozen=True)
class MaxPool(Attributes):
    """Maximum of the pixels inside the image; input and output share their quantisation."""

    window: Window
    keeps_quantisation: ClassVar[bool] = True

    def title(self, source: Shape) -> str:
        return f"max pool {self.window.height}x{self.window.width}"

    def output_shape(self, *sources: Shape) -> Shape:
        return _output_shape(self.window, sources[0])

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> None:
        """A maximum needs no integers: int8 values of one scale compare as they are."""

    def reference(self, inputs: tuple[Values, ...], integers: None) -> Values:
        return np.asarray(np.max(list(taps(inputs[0], self.window, INT8_MIN)), axis=0))

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        settings = _settings(self.window, inputs[0].shape, output.shape)
        return Kernel(
            cost_key=_cost_key("portable-max_pool", settings),
            function=_function_name("max_pool", settings),
            template=Path(__file__).with_name("max_pool.c.j2"),
            settings=settings,
            work=_work(self.window, inputs[0].shape, output.shape),
            code=_loops(self.window, output.shape),
        )

    def with_border(
        self, before: Shape, after: Shape, value: int, source: Quantisation
    ) -> "MaxPool | None":
        """A border as low as what lies outside an image."""
        window = self.window.padded(before[:2], after[:2])
        return None if window is None or value != INT8_MIN else replace(self, window=window)

    @property
    def row_window(self) -> Window:
        return self.window

    def with_row_window(self, window: Window) -> "MaxPool":
        return replace(self, window=window)


def needed_counts(attributes: AveragePool, height: int, width: int) -> tuple[int, ...]:
    """The distinct numbers of pixels that the windows of a layer are divided by, ascending."""
    if attributes.padding_counts:
        return (attributes.window.height * attributes.window.width,)
    counts = np.unique(pixel_counts(attributes.window, height, width))
    return tuple(int(count) for count in counts)


def _output_shape(window: Window, source: Shape) -> Shape:
    height, width, channels = source
    top, left, bottom, right = window.padding
    if max(top, bottom) >= window.reach[0] or max(left, right) >= window.reach[1]:
        raise ValueError(f"the padding {window.padding} of a pool hides a whole window")
    return (*window.output_size(height, width), channels)


def _settings(window: Window, source: Shape, result: Shape) -> dict[str, object]:
    in_height, in_width, channels = source
    return {
        "in_height": in_height,
        "in_width": in_width,
        "channels": channels,
        "out_height": result[0],
        "out_width": result[1],
        "kernel_height": window.height,
        "kernel_width": window.width,
        "stride_y": window.stride[0],
        "stride_x": window.stride[1],
        "pad_top": window.padding[0],
        "pad_left": window.padding[1],
        "padded": any(window.padding),
        "cut": window.dilation == (1, 1)
        and int(pixel_counts(window, in_height, in_width).min()) < window.height * window.width,
        "dilation_y": window.dilation[0],
        "dilation_x": window.dilation[1],
        "dilated": window.dilation != (1, 1),
    }


def _cost_key(code: str, settings: dict[str, object]) -> str:
    return cost_key(code, cut=settings["cut"], dilated=settings["dilated"])


def _work(window: Window, source: Shape, result: Shape) -> dict[str, int]:
    """Work by loop; of windows over the border only the rows and taps inside, unless dilated."""
    height, width, channels = result
    covered = int(pixel_counts(window, source[0], source[1]).sum()) * channels
    pixels, outputs = height * width, height * width * channels
    if window.dilation != (1, 1):
        rows = outputs * window.height
        kind = window_class(window, height) + ("_padded" if any(window.padding) else "")
        return {
            "pixels": pixels,
            "outputs": outputs,
            f"tap_rows_{kind}": rows,
            f"taps_{kind}": rows * window.width,
            "covered": covered,
        }
    column = replace(window, width=1, padding=(window.padding[0], 0, window.padding[2], 0))
    rows = int(pixel_counts(replace(column, stride=(window.stride[0], 1)), source[0], 1).sum())
    kind = window_class(window, height)
    return {
        "pixels": pixels,
        f"outputs_{kind}": outputs,
        f"tap_rows_{kind}": rows * width * channels,
        f"covered_{kind}": covered,
    }


def _loops(window: Window, result: Shape) -> dict[str, int]:
    """Loops that a compiler leaves out where they have one turn, or makes otherwise for two."""
    height, width, channels = result
    return {
        "row_loops": int(height > 1),
        "column_loops": int(width > 1),
        "pixel_loops": int(height * width > 1),
        "channel_loops": int(channels > _FEW_CHANNELS),
        f"window_{window_class(window, height)}": 1,
    }


def _function_name(kind: str, settings: dict[str, object]) -> str:
    k = settings
    name = (
        f"{kind}_{k['kernel_height']}x{k['kernel_width']}_s{k['stride_y']}x{k['stride_x']}_"
        f"{k['in_height']}x{k['in_width']}x{k['channels']}_to_{k['out_height']}x{k['out_width']}"
    )
    if k["dilated"]:
        name += f"_d{k['dilation_y']}x{k['dilation_x']}"
    return name + (f"_p{k['pad_top']}x{k['pad_left']}" if k["padded"] else "")


def _pack(counts: tuple[int, ...], integers: AveragePoolIntegers) -> LayerConstants:
    multipliers: NDArray[np.int32] = integers.scaling.multipliers
    constants = PARAMETERS.constants(
        {"input_zero_point": integers.input_zero_point, "scaling": integers.scaling}
    )
    packed = multipliers if len(counts) > 1 else multipliers[np.array(counts)]
    return LayerConstants({"multipliers": packed}, constants)
