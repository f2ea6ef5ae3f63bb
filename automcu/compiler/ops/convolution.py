"""Convolution: any kernel, stride, padding, dilation and groups; a fully connected layer is 1x1."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling, Requantisation
from automcu.compiler.ops.clamp import NO_CLAMP, Clamp, integer_limits
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.ops.fitting import fit_channels, saturating_bias
from automcu.compiler.ops.windows import Window, taps
from automcu.compiler.tensor import Quantisation, Shape

_LARGEST_SHORT = (1 << 15) - 1
_LARGEST_INPUT = 128  # magnitude of a raw int8 value


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weights int8 [out, kernel height, kernel width, in / groups], symmetric per output channel.

    `bias` is int32 [out] at the scale input scale x weight scale. The arrays are None in a graph
    that is only costed. With `sum_scale` the operator has a second input, which is added to the
    convolution's own int8 result (whose quantisation is `sum_scale`, `sum_zero_point`).
    `weight_offsets`, int32 [out], are for asymmetric weights that do not fit int8 once their zero
    point is taken off: a real weight is weight scale x (weight + offset of its channel).
    Weights of `weight_bits` below 8 are multiples of 2^(8 - weight_bits), and stored without their
    low bits. `ternary` weights are -1, 0 or 1, and stored five to a byte; with `shared_scale` all
    their channels have the same scale, which is then stored once.
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
    weight_offsets: NDArray[np.int32] | None = None
    weight_bits: int = 8
    ternary: bool = False
    shared_scale: bool = False

    @property
    def weight_step(self) -> int:
        """All weights are multiples of it."""
        return 1 << (8 - self.weight_bits)


@dataclass(frozen=True)
class ConvolutionIntegers:
    """Accumulators start at `bias`; taps outside the image read `padding_value`.

    The input's zero point is folded into `bias`, so that kernels multiply raw int8 values. With
    `weight_offsets` an accumulator also takes its channel's offset times the sum of its taps.
    Biases are 16-bit multiples of 2^bias_shift where channels share one scale, else any.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scaling: Requantisation
    padding_value: int
    residual: AddScaling | None
    weight_offsets: NDArray[np.int32] | None = None
    bias_shift: int = 0


def multiply_accumulates(
    window: Window, in_channels: int, out_pixels: int, out_channels: int, groups: int
) -> int:
    """Multiply-accumulates of one inference, padding included (the usual count)."""
    return window.height * window.width * (in_channels // groups) * out_channels * out_pixels


def accumulate(
    inputs: Values, attributes: Convolution, integers: ConvolutionIntegers
) -> NDArray[np.int64]:
    """Accumulators [n, out height, out width, out channels] for inputs [n, h, w, c].

    Products are summed in float64, which is exact below 2**53 and far quicker than integers.
    """
    groups = attributes.groups
    out_per_group = attributes.out_channels // groups
    weights = _shifted_weights(integers.weights, integers.weight_offsets).astype(np.float64)
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


def _shifted_weights(
    weights: NDArray[np.int8], offsets: NDArray[np.int32] | None
) -> NDArray[np.int64]:
    """What inputs are multiplied by: weights, plus the offset of their channel if they have one."""
    wide = weights.astype(np.int64)
    return wide if offsets is None else wide + offsets[:, None, None, None]


def _title(attributes: Convolution, shape: Shape) -> str:
    window = attributes.window
    size = f"{window.height}x{window.width}"
    if attributes.groups == shape[2] and attributes.groups > 1:
        name = f"depthwise {size}"
    elif shape[:2] == (window.height, window.width) and not any(window.padding):
        name = "fully connected"
    else:
        name = f"conv {size}"
    name = ("ternary " if attributes.ternary else "") + name
    return name + (" + add" if attributes.sum_scale is not None else "")


def _output_shape(attributes: Convolution, shapes: tuple[Shape, ...]) -> Shape:
    height, width, _ = shapes[0]
    return (*attributes.window.output_size(height, width), attributes.out_channels)


def _operator_macs(attributes: Convolution, source: Shape, result: Shape) -> int:
    out_height, out_width, out_channels = result
    return multiply_accumulates(
        attributes.window, source[2], out_height * out_width, out_channels, attributes.groups
    )


def _lower(
    attributes: Convolution, sources: tuple[Quantisation, ...], result: Quantisation
) -> ConvolutionIntegers:
    if attributes.weights is None or attributes.bias is None or attributes.weight_scales is None:
        raise ValueError("a convolution without weights can be costed but not lowered")
    source = sources[0]
    # The folded bias is what an accumulator starts from; inputs are multiplied as they are.
    direct, residual = result, None
    if attributes.sum_scale is not None:
        direct = Quantisation(attributes.sum_scale, attributes.sum_zero_point)
        residual = _residual(attributes, direct, sources[1], result)
    weights, bias = attributes.weights, attributes.bias.astype(np.int64)
    ratios = source.scale * attributes.weight_scales / direct.scale
    bias = saturating_bias(bias, _magnitudes(weights, attributes.weight_offsets), ratios)
    if attributes.weight_offsets is None and not attributes.shared_scale:
        weights, bias, ratios = fit_channels(weights, bias, ratios, attributes.weight_step)
    sums = _shifted_weights(weights, attributes.weight_offsets).sum(axis=(1, 2, 3))
    bias = bias - source.zero_point * sums
    bias_shift = 0
    if attributes.shared_scale:
        bias, bias_shift = _short(bias)
    magnitudes = _magnitudes(weights, attributes.weight_offsets)
    scaling = _scaling(
        attributes, ratios, int((magnitudes * _LARGEST_INPUT + np.abs(bias)).max()), direct
    )
    return ConvolutionIntegers(
        weights,
        bias.astype(np.int32),
        scaling,
        source.zero_point,
        residual,
        attributes.weight_offsets,
        bias_shift,
    )


def _scaling(
    attributes: Convolution, ratios: NDArray[np.float64], bound: int, direct: Quantisation
) -> Requantisation:
    """One shift for all channels of a ternary layer if their sums allow it, as they mostly do."""
    limits = integer_limits(attributes.clamp, direct.scale, direct.zero_point)
    shift = fixed_point.left_shift(float(ratios.max()))
    one_shift = attributes.ternary and max(bound, 1) << shift <= fixed_point.INT32_MAX
    requantisation = fixed_point.requantisation if one_shift else fixed_point.channel_requantisation
    return requantisation(ratios, bound, direct.zero_point, *limits)


def amplifies(
    attributes: Convolution, sources: tuple[Quantisation, ...], result: Quantisation
) -> bool:
    """Whether some channel's results amplify accumulators; never so in a graph only costed."""
    if attributes.weights is None or attributes.weight_scales is None:
        return False
    scale = result.scale if attributes.sum_scale is None else attributes.sum_scale
    largest = float((sources[0].scale * attributes.weight_scales / scale).max())
    if not fixed_point.left_shift(largest):
        return False
    return _lower(attributes, sources, result).scaling.amplifies


def _short(bias: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Biases rounded to 16 bits and a common power of two, and its exponent."""
    shift = 0
    while np.abs(np.rint(bias / 2.0**shift)).max(initial=0) > _LARGEST_SHORT:
        shift += 1
    return np.rint(bias / 2.0**shift).astype(np.int64) << shift, shift


def _magnitudes(weights: NDArray[np.int8], offsets: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """How much an accumulator can grow, per channel, for inputs of 1; partial sums included."""
    rows = np.abs(weights.astype(np.int64).reshape(len(weights), -1))
    total = rows.sum(axis=1)
    if offsets is not None:
        total += np.abs(offsets.astype(np.int64)) * rows.shape[1]
    return np.asarray(total)


def _residual(
    attributes: Convolution, direct: Quantisation, other: Quantisation, result: Quantisation
) -> AddScaling:
    return fixed_point.add_scaling(
        direct.scale / result.scale,
        other.scale / result.scale,
        (direct.zero_point, other.zero_point, result.zero_point),
        *integer_limits(attributes.sum_clamp, result.scale, result.zero_point),
    )


def _reference(
    inputs: tuple[Values, ...], attributes: Convolution, integers: ConvolutionIntegers
) -> Values:
    result = fixed_point.requantise(accumulate(inputs[0], attributes, integers), integers.scaling)
    if integers.residual is None:
        return result
    return fixed_point.add(result, inputs[1], integers.residual)


DEFINITION = Definition(
    title=_title,
    output_shape=_output_shape,
    lower=_lower,
    reference=_reference,
    multiply_accumulates=_operator_macs,
)
