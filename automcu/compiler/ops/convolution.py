"""Convolution: any kernel, stride, padding, dilation and groups; a fully connected layer is 1x1."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import AddScaling, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import Kernel
from automcu.compiler.ops.convolution_kernel import portable_convolution
from automcu.compiler.ops.ternary import portable_ternary
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
    taps,
)

_LARGEST_SHORT = (1 << 15) - 1
_LARGEST_INPUT = 128  # magnitude of a raw int8 value
_INPUT_SPAN = 256  # no value minus its zero point is larger, nor both when they are kept apart
_FITTING_BITS = 30  # one less than there are, for what rounding adds
_OUT_OF_RANGE = 512  # any result of this magnitude saturates, whatever the zero point
_CONSTANT_RATIO = 0.25
_RANDOM_WEIGHT_SCALE = 1 / 128
_TINY_RATIO = 2.0**-40  # no 32 bits of bias make a step of it


@dataclass(frozen=True)
class ConvolutionIntegers:
    """Accumulators start at `bias`; taps outside the image read `padding_value`.

    The input's zero point is folded into `bias`, so that kernels multiply raw int8 values. With
    `weight_offsets` an accumulator also takes its channel's offset times the sum of its taps.
    Biases are 16-bit multiples of 2^bias_shift where channels share one scale (`shares_scale`).
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    scaling: Requantisation
    padding_value: int
    residual: AddScaling | None
    weight_offsets: NDArray[np.int32] | None = None
    bias_shift: int = 0
    shares_scale: bool = False


@dataclass(frozen=True, eq=False)
class Convolution(Attributes):
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

    @property
    def adds(self) -> bool:
        """Whether a second input is added to the result."""
        return self.sum_scale is not None

    @property
    def final_clamp(self) -> Clamp:
        """The clamp of what is written, behind the sum if there is one."""
        return self.sum_clamp if self.adds else self.clamp

    def title(self, source: Shape) -> str:
        size = f"{self.window.height}x{self.window.width}"
        if self.groups == source[2] and self.groups > 1:
            name = f"depthwise {size}"
        elif source[:2] == (self.window.height, self.window.width) and not any(self.window.padding):
            name = "fully connected"
        else:
            name = f"conv {size}"
        return ("ternary " if self.ternary else "") + name + (" + add" if self.adds else "")

    def output_shape(self, *sources: Shape) -> Shape:
        height, width, _ = sources[0]
        return (*self.window.output_size(height, width), self.out_channels)

    def macs(self, source: Shape, result: Shape) -> int:
        """Multiply-accumulates of one inference, padding included (the usual count)."""
        taps_of_value = self.window.height * self.window.width * (source[2] // self.groups)
        out_height, out_width, out_channels = result
        return taps_of_value * out_channels * out_height * out_width

    def with_random_weights(
        self, source: Shape, result: Shape, scale: float, generator: np.random.Generator
    ) -> "Convolution":
        window, channels = self.window, self.out_channels
        shape = (channels, window.height, window.width, source[2] // self.groups)
        if self.ternary:
            weights = generator.integers(-1, 2, shape, dtype=np.int8)
        else:
            most = 127 // self.weight_step
            steps = generator.integers(-most, most + 1, shape, dtype=np.int8)
            weights = np.asarray(steps * self.weight_step, np.int8)
        return replace(
            self,
            weights=weights,
            weight_scales=np.full(channels, _RANDOM_WEIGHT_SCALE),
            bias=generator.integers(-1000, 1000, channels, dtype=np.int32),
            weight_offsets=None
            if self.weight_offsets is None
            else generator.integers(-64, 64, channels, dtype=np.int32),
        )

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> ConvolutionIntegers:
        if self.weights is None or self.bias is None or self.weight_scales is None:
            raise ValueError("a convolution without weights can be costed but not lowered")
        source = sources[0]
        # The folded bias is what an accumulator starts from; inputs are multiplied as they are.
        direct, residual = result, None
        if self.sum_scale is not None:
            direct = Quantisation(self.sum_scale, self.sum_zero_point)
            residual = self._residual(direct, sources[1], result)
        weights, bias = self.weights, self.bias.astype(np.int64)
        ratios = source.scale * self.weight_scales / direct.scale
        bias = _saturating_bias(bias, _magnitudes(weights, self.weight_offsets), ratios)
        if self.weight_offsets is None and not self.shared_scale:
            weights, bias, ratios = fit_channels(weights, bias, ratios, self.weight_step)
        sums = _shifted_weights(weights, self.weight_offsets).sum(axis=(1, 2, 3))
        bias = bias - source.zero_point * sums
        bias_shift = 0
        if self.shared_scale:
            bias, bias_shift = _short(bias)
        magnitudes = _magnitudes(weights, self.weight_offsets)
        bound = int((magnitudes * _LARGEST_INPUT + np.abs(bias)).max())
        return ConvolutionIntegers(
            weights,
            bias.astype(np.int32),
            self._scaling(ratios, bound, direct),
            source.zero_point,
            residual,
            self.weight_offsets,
            bias_shift,
            self.shared_scale,
        )

    def _residual(
        self, direct: Quantisation, other: Quantisation, result: Quantisation
    ) -> AddScaling:
        return fixed_point.add_scaling(
            direct.scale / result.scale,
            other.scale / result.scale,
            (direct.zero_point, other.zero_point, result.zero_point),
            *integer_limits(self.sum_clamp, result.scale, result.zero_point),
        )

    def _scaling(
        self, ratios: NDArray[np.float64], bound: int, direct: Quantisation
    ) -> Requantisation:
        """One shift for all channels of a ternary layer if their sums allow it, as most do."""
        limits = integer_limits(self.clamp, direct.scale, direct.zero_point)
        shift = fixed_point.left_shift(float(ratios.max()))
        one_shift = self.ternary and max(bound, 1) << shift <= fixed_point.INT32_MAX
        requantisation = (
            fixed_point.requantisation if one_shift else fixed_point.channel_requantisation
        )
        return requantisation(ratios, bound, direct.zero_point, *limits)

    def amplifies(self, sources: tuple[Quantisation, ...], result: Quantisation) -> bool:
        """Whether some channel's results amplify accumulators; no in a graph only costed."""
        if self.weights is None or self.weight_scales is None:
            return False
        scale = result.scale if self.sum_scale is None else self.sum_scale
        largest = float((sources[0].scale * self.weight_scales / scale).max())
        if not fixed_point.left_shift(largest):
            return False
        return self.lower(sources, result).scaling.amplifies

    def reference(self, inputs: tuple[Values, ...], integers: ConvolutionIntegers) -> Values:
        accumulators = self._accumulate(inputs[0], integers)
        result = fixed_point.requantise(accumulators, integers.scaling)
        if integers.residual is None:
            return result
        return fixed_point.add(result, inputs[1], integers.residual)

    def _accumulate(self, inputs: Values, integers: ConvolutionIntegers) -> NDArray[np.int64]:
        """Accumulators [n, out height, out width, out channels] for inputs [n, h, w, c].

        Products are summed in float64, which is exact below 2**53 and far quicker than integers.
        """
        weights = _shifted_weights(integers.weights, integers.weight_offsets).astype(np.float64)
        total: NDArray[np.float64] | None = None
        for index, tap in enumerate(taps(inputs, self.window, integers.padding_value)):
            row, column = divmod(index, self.window.width)
            values = tap.astype(np.float64)
            kernel = weights[:, row, column, :]
            if self.groups == 1:
                product = values @ kernel.T
            else:
                grouped = values.reshape(*values.shape[:3], self.groups, -1)
                kernels = kernel.reshape(self.groups, self.out_channels // self.groups, -1)
                product = np.einsum("nyxgi,goi->nyxgo", grouped, kernels).reshape(
                    *values.shape[:3], self.out_channels
                )
            total = product if total is None else total + product
        assert total is not None, "a window has at least one tap"
        return total.astype(np.int64) + integers.bias

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        portable = portable_ternary if self.ternary else portable_convolution
        return portable(self, inputs, output)

    def with_clamp(self, clamp: Clamp) -> "Convolution":
        if self.adds:
            return replace(self, sum_clamp=intersect(self.sum_clamp, clamp))
        return replace(self, clamp=intersect(self.clamp, clamp))

    def without_idle_clamp(self, result: Quantisation) -> "Convolution":
        if self.adds or not is_idle(self.clamp, result):
            return self
        return replace(self, clamp=NO_CLAMP)

    def with_border(
        self, before: Shape, after: Shape, value: int, source: Quantisation
    ) -> "Convolution | None":
        """A border of zeros."""
        window = self.window.padded(before[:2], after[:2])
        if window is None or value != source.zero_point:
            return None
        return replace(self, window=window)

    def with_sum(self, direct: Quantisation, clamp: Clamp) -> "Convolution | None":
        """One sum, in the memory of its other operand."""
        if self.adds:
            return None
        return replace(
            self, sum_scale=direct.scale, sum_zero_point=direct.zero_point, sum_clamp=clamp
        )

    @property
    def row_window(self) -> Window:
        return self.window

    def with_row_window(self, window: Window) -> "Convolution":
        return replace(self, window=window)


def _shifted_weights(
    weights: NDArray[np.int8], offsets: NDArray[np.int32] | None
) -> NDArray[np.int64]:
    """What inputs are multiplied by: weights, plus the offset of their channel if they have one."""
    wide = weights.astype(np.int64)
    return wide if offsets is None else wide + offsets[:, None, None, None]


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


# Channels whose accumulators would leave 32 bits are those whose weights have all but vanished.
# Their scale is tiny, so their bias, an integer in that scale, is huge beside whatever the weights
# add; or the weights are all zero and the scale means nothing. Both come from dead or pruned
# channels, and must not decide for all the others.


def _saturating_bias(
    bias: NDArray[np.int64], magnitudes: NDArray[np.int64], ratios: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Biases no larger than what saturates the result whatever the weights add.

    `magnitudes` [out] are the sums of the weights' magnitudes.
    """
    enough = np.ceil(_OUT_OF_RANGE / np.maximum(ratios, _TINY_RATIO))
    limits = magnitudes * _INPUT_SPAN + enough.astype(np.int64)
    return np.asarray(np.clip(bias, -limits, limits))


def fit_channels(
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    ratios: NDArray[np.float64],
    step: int = 1,
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.float64]]:
    """Weights [out, ...], bias [out] and ratios [out] of the same layer that stay within 32 bits.

    A channel without weights gets a ratio like any other's and the bias that gives its constant.
    One that is too large is divided by the power of two that makes it fit, and its ratio grows by
    it. Weights that are multiples of `step` stay so.
    """
    constant = ~weights.reshape(len(weights), -1).any(axis=1)
    results = np.clip(np.rint(bias * ratios), -_OUT_OF_RANGE, _OUT_OF_RANGE)
    bias = np.where(constant, results / _CONSTANT_RATIO, bias).astype(np.int64)
    ratios = np.where(constant, _CONSTANT_RATIO, ratios)
    magnitudes = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    sizes = (np.abs(bias) + magnitudes * _INPUT_SPAN).astype(np.float64)
    too_large = sizes >= 2.0 ** (_FITTING_BITS + 1)
    if not too_large.any():
        return weights, bias, ratios
    excess = np.ceil(np.log2(np.maximum(sizes, 1.0))) - _FITTING_BITS
    divisors = np.where(too_large, 2.0**excess, 1.0)
    per_weight = divisors.reshape(-1, *[1] * (weights.ndim - 1))
    return (
        (np.rint(weights / (per_weight * step)) * step).astype(np.int8),
        np.rint(bias / divisors).astype(np.int64),
        ratios * divisors,
    )
