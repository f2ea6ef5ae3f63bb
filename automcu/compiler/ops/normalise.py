"""Softmax and layer normalisation over the channels of every pixel, in integers.

With d = (largest value of the pixel) - x, a table gives exp(-beta scale d) as integers e[d] with 22
binary places. Their sum S is shifted right by t, the least that leaves at most 16 bits, and one
division gives a reciprocal: r = (2**31 + (S >> t) // 2) // (S >> t). A probability with 22 binary
places is then (e[d] r) >> (t + 9), which is requantised to the output's scale.

With n channels, S their sum and Q that of their squares, c = n x - S and V = n Q - S^2 are exact:
(x - mean) / deviation = c / sqrt(V). One integer root and one division give 1 / sqrt(V) with 16
bits, after V was moved to 31 or 32 bits by an even shift.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN, INT32_MAX, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import (
    REQUANTISATION,
    ArrayShape,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
)
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values
from automcu.errors import UnsupportedModelError

PROBABILITY_BITS = 22  # of exponentials and probabilities
RECIPROCAL_BITS = 31
NORMALISED_BITS = 16  # of the sum, before it is inverted
MOST_CLASSES = 4096  # beyond this the rounding of the exponentials adds up to half an LSB
DIFFERENCES = 256
_BYTES_PER_EXPONENTIAL = 4
_PROBABILITIES = Quantisation(1 / 256, -128)

SOFTMAX_PARAMETERS = Parameters(
    "softmax_parameters",
    {
        "exponentials": Field("const int32_t *", "by how far a value is below its pixel's largest"),
        "multiplier": "int32_t",
        "scaling": REQUANTISATION,
    },
    order=11,
)


@dataclass(frozen=True)
class SoftmaxIntegers:
    """`exponentials` are int32 [256], by how far a value is below its pixel's largest."""

    exponentials: NDArray[np.int32]
    scaling: Requantisation


@dataclass(frozen=True)
class Softmax(Attributes):
    """exp(beta x) over the sum of exp(beta x) of all channels of the pixel."""

    beta: float = 1.0

    def usual_quantisation(self, source: Quantisation | None) -> Quantisation | None:
        return _PROBABILITIES

    def title(self, source: Shape) -> str:
        return "softmax"

    def output_shape(self, *sources: Shape) -> Shape:
        if sources[0][2] > MOST_CLASSES:
            raise UnsupportedModelError(
                f"a softmax over {sources[0][2]} values cannot be computed in integers (the most "
                f"are {MOST_CLASSES}). Remove it: the largest score stays the largest."
            )
        return sources[0]

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> SoftmaxIntegers:
        (source,) = sources
        differences = np.arange(DIFFERENCES, dtype=np.float64)
        exponentials = np.exp(-self.beta * source.scale * differences)
        scaling = fixed_point.requantisation(
            np.array([2.0**-PROBABILITY_BITS / result.scale]),
            2 << PROBABILITY_BITS,  # the reciprocal is rounded, so 1 can be exceeded a little
            result.zero_point,
        )
        table = np.rint(exponentials * (1 << PROBABILITY_BITS)).astype(np.int32)
        return SoftmaxIntegers(table, scaling)

    def reference(self, inputs: tuple[Values, ...], integers: SoftmaxIntegers) -> Values:
        values = inputs[0].astype(np.int64)
        exponentials = integers.exponentials.astype(np.int64)[
            values.max(axis=-1, keepdims=True) - values
        ]
        total = exponentials.sum(axis=-1, keepdims=True)
        shift = np.zeros_like(total)
        while np.any(total >> shift >= 1 << NORMALISED_BITS):
            shift += total >> shift >= 1 << NORMALISED_BITS
        normalised = total >> shift
        reciprocal = ((1 << RECIPROCAL_BITS) + normalised // 2) // normalised
        probabilities = (exponentials * reciprocal) >> (shift + RECIPROCAL_BITS - PROBABILITY_BITS)
        return fixed_point.requantise(probabilities, integers.scaling)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        height, width, channels = output.shape
        pixels = height * width
        return Kernel(
            cost_key="portable-softmax",
            function=f"softmax_{pixels}x{channels}",
            template=Path(__file__).with_name("softmax.c.j2"),
            settings={
                "pixels": pixels,
                "channels": channels,
                "fraction_bits": PROBABILITY_BITS,
                "normalised_bits": NORMALISED_BITS,
                "reciprocal_bits": RECIPROCAL_BITS,
            },
            parameters=SOFTMAX_PARAMETERS,
            arrays=(ArrayShape("exponentials", "int32_t", _BYTES_PER_EXPONENTIAL * DIFFERENCES),),
            pack=_pack_softmax,
            overwrites=(0,),
            work={"outputs": pixels * channels, "rows": pixels},
        )


def _pack_softmax(integers: SoftmaxIntegers) -> LayerConstants:
    constants = SOFTMAX_PARAMETERS.constants(
        {"multiplier": int(integers.scaling.multipliers[0]), "scaling": integers.scaling}
    )
    return LayerConstants({"exponentials": integers.exponentials}, constants)


LAYER_NORM_BITS = 16  # of normalised values
RADICAND_BITS = 32  # of the variance, before its root is taken
VARIANCE_BITS = 8  # behind the point of a variance: a small one must not lose its epsilon
MOST_CHANNELS = 4096
_PRODUCT_BITS = 32  # of a product with a gain, which are dropped
_MOST_RESULT_BITS = 8  # behind the point of a product with a gain ...
_FEWEST_RESULT_BITS = 4  # ... and how many there have to be
_REACH = 1.001  # what rounding may add to the largest normalised value
_OUT_OF_RANGE = 512  # any result of this magnitude saturates, whatever the zero point
_EPSILON_BITS = 61
_MOST_LEFT_SHIFT = 14  # one channel has no more than 2**16
_INT32_BYTES = 4

LAYER_NORM_PARAMETERS = Parameters(
    "layer_norm_parameters",
    {
        "gains": "const int32_t *",
        "offsets": Field("const int32_t *", "each with a rounding half"),
        "epsilon": Field(
            "uint64_t",
            "added to 256 times the variance times the square of the number of channels",
        ),
        "left_shift": Field("int32_t", "of normalised values"),
        "right_shift": Field("int32_t", "of their products with gains"),
        "zero_point": "int32_t",
    },
    order=10,
)


@dataclass(frozen=True)
class LayerNormIntegers:
    """`epsilon` is what is added to V; gains and offsets are int32 [channels].

    A normalised value, shifted left by `left_shift` and multiplied by its gain, without the low
    32 bits, and its offset added, which has a rounding half, is the result before `right_shift`.
    """

    epsilon: int
    gains: NDArray[np.int32]
    offsets: NDArray[np.int32]
    left_shift: int
    right_shift: int
    zero_point: int


@dataclass(frozen=True, eq=False)
class LayerNorm(Attributes):
    """gain * (x - mean) / sqrt(variance + epsilon) + offset, real [channels].

    The arrays are None in a graph that is only costed.
    """

    gains: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None
    epsilon: float = 1e-5

    def title(self, source: Shape) -> str:
        return "layer norm"

    def output_shape(self, *sources: Shape) -> Shape:
        if sources[0][2] > MOST_CHANNELS:
            raise UnsupportedModelError(
                f"a layer norm over {sources[0][2]} channels cannot be computed in integers (the "
                f"most are {MOST_CHANNELS}). Make the layer narrower."
            )
        return sources[0]

    def with_random_weights(
        self, source: Shape, result: Shape, scale: float, generator: np.random.Generator
    ) -> "LayerNorm":
        gains = generator.choice([-1.0, 1.0], result[2])
        return replace(self, gains=gains, offsets=generator.normal(0, 1, result[2]))

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> LayerNormIntegers:
        if self.gains is None or self.offsets is None:
            raise ValueError("a layer norm without weights can be costed but not lowered")
        (source,) = sources
        channels = len(self.gains)
        epsilon = round(self.epsilon * channels**2 / source.scale**2 * 2.0**VARIANCE_BITS)
        if epsilon >= 1 << _EPSILON_BITS:
            raise UnsupportedModelError(
                "its epsilon is far larger than its input. Make it smaller."
            )
        gains = self.gains / result.scale
        reach = float(np.abs(gains).max()) * _REACH * np.sqrt(channels) + _OUT_OF_RANGE
        offsets = np.clip(self.offsets / result.scale, -reach, reach)
        left_shift = largest_shift(
            _REACH * np.sqrt(channels) * 2.0**LAYER_NORM_BITS, _MOST_LEFT_SHIFT
        )
        unit = 2.0 ** (_PRODUCT_BITS - LAYER_NORM_BITS - left_shift)
        largest = max(2 * reach + 1, float(np.abs(gains).max()) * unit)
        right_shift = largest_shift(largest, _MOST_RESULT_BITS)
        if right_shift < _FEWEST_RESULT_BITS:
            raise UnsupportedModelError(
                f"its gains, up to {float(np.abs(self.gains).max()):.3g}, are far too large for "
                f"a result of the scale {result.scale:.3g}. Quantise the model again."
            )
        return LayerNormIntegers(
            epsilon,
            np.rint(gains * (unit * 2.0**right_shift)).astype(np.int32),
            np.rint(offsets * 2.0**right_shift).astype(np.int32) + (1 << (right_shift - 1)),
            left_shift,
            right_shift,
            result.zero_point,
        )

    def reference(self, inputs: tuple[Values, ...], integers: LayerNormIntegers) -> Values:
        values = inputs[0].astype(np.int64)
        channels = values.shape[-1]
        total = values.sum(axis=-1, keepdims=True)
        squares = (values * values).sum(axis=-1, keepdims=True)
        variance = (channels * squares - total * total) << VARIANCE_BITS
        variance = np.maximum(variance + integers.epsilon, 1 << VARIANCE_BITS)
        shift = np.zeros_like(variance)
        while np.any(variance >> (2 * np.maximum(shift, 0)) >= 1 << RADICAND_BITS):
            shift += variance >> (2 * np.maximum(shift, 0)) >= 1 << RADICAND_BITS
        while np.any(_moved(variance, shift) < 1 << (RADICAND_BITS - 2)):
            shift -= _moved(variance, shift) < 1 << (RADICAND_BITS - 2)
        root = np.sqrt(_moved(variance, shift).astype(np.float64)).astype(np.int64)
        reciprocal = ((1 << RECIPROCAL_BITS) + root // 2) // root
        centred = channels * values - total
        moved_right = RECIPROCAL_BITS - LAYER_NORM_BITS - VARIANCE_BITS // 2 + shift
        normalised = (centred * reciprocal) >> moved_right
        products = (normalised << integers.left_shift) * integers.gains.astype(np.int64)
        results = ((products >> _PRODUCT_BITS) + integers.offsets) >> integers.right_shift
        return np.asarray(np.clip(results + integers.zero_point, INT8_MIN, INT8_MAX), np.int8)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        height, width, channels = output.shape
        pixels = height * width
        return Kernel(
            cost_key="portable-layer_norm",
            function=f"layer_norm_{pixels}x{channels}",
            template=Path(__file__).with_name("layer_norm.c.j2"),
            settings={
                "pixels": pixels,
                "channels": channels,
                "radicand_bits": RADICAND_BITS,
                "reciprocal_bits": RECIPROCAL_BITS,
                "fraction_bits": LAYER_NORM_BITS,
                "variance_bits": VARIANCE_BITS,
            },
            parameters=LAYER_NORM_PARAMETERS,
            arrays=(
                ArrayShape("gains", "int32_t", _INT32_BYTES * channels),
                ArrayShape("offsets", "int32_t", _INT32_BYTES * channels),
            ),
            pack=_pack_layer_norm,
            overwrites=(0,),
            work={"outputs": pixels * channels, "rows": pixels},
        )


def largest_shift(magnitude: float, most: int) -> int:
    """The most bits, up to `most`, by which a magnitude can be shifted left within 32."""
    return max((bits for bits in range(most + 1) if magnitude * 2.0**bits < INT32_MAX), default=-1)


def _moved(variance: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    """The variance divided by 4^shift, multiplied where that is negative."""
    return np.asarray((variance >> (2 * np.maximum(shift, 0))) << (2 * np.maximum(-shift, 0)))


def _pack_layer_norm(integers: LayerNormIntegers) -> LayerConstants:
    names = ("epsilon", "left_shift", "right_shift", "zero_point")
    constants = LAYER_NORM_PARAMETERS.constants({name: getattr(integers, name) for name in names})
    return LayerConstants({"gains": integers.gains, "offsets": integers.offsets}, constants)
