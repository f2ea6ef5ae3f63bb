"""Convolution: any kernel, stride, padding, dilation and groups; a fully connected layer is 1x1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.operators.clamp import NO_CLAMP, Clamp
from automcu.compiler.operators.windows import Window, taps


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weights int8 [out, kernel height, kernel width, in / groups], symmetric per output channel.

    `bias` is int32 [out] at the scale input scale x weight scale. The arrays are None in a graph
    that is only costed. With `sum_scale` the operator has a second input, which is added to the
    convolution's own int8 result (whose quantisation is `sum_scale`, `sum_zero_point`).
    """

    window: Window
    out_channels: int
    groups: int = 1
    weights: NDArray[np.int8] | None = None
    weight_scales: NDArray[np.float64] | None = None
    bias: NDArray[np.int32] | None = None
    clamp: Clamp = NO_CLAMP
    sum_scale: float | None = None
    sum_zero_point: int = 0
    sum_clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class ConvolutionIntegers:
    """Accumulators start at `bias`; taps outside the image read `padding_value`.

    The input's zero point is folded into `bias`, so that kernels multiply raw int8 values.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scaling: fixed_point.Requantisation
    padding_value: int
    residual: fixed_point.AddScaling | None


def multiply_accumulates(
    window: Window, in_channels: int, out_pixels: int, out_channels: int, groups: int
) -> int:
    """Multiply-accumulates of one inference, padding included (the usual count)."""
    return window.height * window.width * (in_channels // groups) * out_channels * out_pixels


def accumulate(
    inputs: NDArray[np.int8], attributes: Convolution, integers: ConvolutionIntegers
) -> NDArray[np.int64]:
    """Accumulators [n, out height, out width, out channels] for inputs [n, h, w, c].

    Products are summed in float64, which is exact below 2**53 and far quicker than integers.
    """
    groups = attributes.groups
    out_per_group = attributes.out_channels // groups
    weights = integers.weights.astype(np.float64)
    total: NDArray[np.float64] | None = None
    for index, tap in enumerate(taps(inputs, attributes.window, integers.padding_value)):
        row, column = divmod(index, attributes.window.width)
        values = tap.astype(np.float64)
        kernel = weights[:, row, column, :]
        if groups == 1:
            product = values @ kernel.T
        else:
            grouped = values.reshape(*values.shape[:3], groups, -1)
            kernels = kernel.reshape(groups, out_per_group, -1)
            product = np.einsum("nyxgi,goi->nyxgo", grouped, kernels).reshape(
                *values.shape[:3], attributes.out_channels
            )
        total = product if total is None else total + product
    assert total is not None, "a window has at least one tap"
    return total.astype(np.int64) + integers.bias


def reference(
    inputs: tuple[NDArray[np.int8], ...], attributes: Convolution, integers: ConvolutionIntegers
) -> NDArray[np.int8]:
    """The convolution, and the sum with the second input where there is one, in integers."""
    result = fixed_point.requantise(accumulate(inputs[0], attributes, integers), integers.scaling)
    if integers.residual is None:
        return result
    return fixed_point.add(result, inputs[1], integers.residual)
