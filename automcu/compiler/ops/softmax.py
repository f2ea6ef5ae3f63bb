"""Softmax over the channels of every pixel, in integers; docs/integer-semantics.md specifies it.

With d = (largest value of the pixel) - x, a table gives exp(-beta scale d) as integers e[d] with 22
binary places. Their sum S is shifted right by t, the least that leaves at most 16 bits, and one
division gives a reciprocal: r = (2**31 + (S >> t) // 2) // (S >> t). A probability with 22 binary
places is then (e[d] r) >> (t + 9), which is requantised to the output's scale.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
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

FRACTION_BITS = 22  # of exponentials and probabilities
RECIPROCAL_BITS = 31
NORMALISED_BITS = 16  # of the sum, before it is inverted
MOST_CLASSES = 4096  # beyond this the rounding of the exponentials adds up to half an LSB
DIFFERENCES = 256
_BYTES_PER_EXPONENTIAL = 4
_PROBABILITIES = Quantisation(1 / 256, -128)

PARAMETERS = Parameters(
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
            np.array([2.0**-FRACTION_BITS / result.scale]),
            2 << FRACTION_BITS,  # the reciprocal is rounded, so 1 can be exceeded a little
            result.zero_point,
        )
        table = np.rint(exponentials * (1 << FRACTION_BITS)).astype(np.int32)
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
        probabilities = (exponentials * reciprocal) >> (shift + RECIPROCAL_BITS - FRACTION_BITS)
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
                "fraction_bits": FRACTION_BITS,
                "normalised_bits": NORMALISED_BITS,
                "reciprocal_bits": RECIPROCAL_BITS,
            },
            parameters=PARAMETERS,
            arrays=(ArrayShape("exponentials", "int32_t", _BYTES_PER_EXPONENTIAL * DIFFERENCES),),
            pack=_pack,
            overwrites=(0,),
            work={"outputs": pixels * channels, "rows": pixels},
        )


def _pack(integers: SoftmaxIntegers) -> LayerConstants:
    constants = PARAMETERS.constants(
        {"multiplier": int(integers.scaling.multipliers[0]), "scaling": integers.scaling}
    )
    return LayerConstants({"exponentials": integers.exponentials}, constants)
