"""Softmax over the channels of every pixel, in integers; docs/integer-semantics.md specifies it.

With d = (largest value of the pixel) - x, a table gives exp(-beta scale d) as integers e[d] with 22
binary places. Their sum S is shifted right by t, the least that leaves at most 16 bits, and one
division gives a reciprocal: r = (2**31 + (S >> t) // 2) // (S >> t). A probability with 22 binary
places is then (e[d] r) >> (t + 9), which is requantised to the output's scale.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape
from automcu.errors import UnsupportedModelError

FRACTION_BITS = 22  # of exponentials and probabilities
RECIPROCAL_BITS = 31
NORMALISED_BITS = 16  # of the sum, before it is inverted
MOST_CLASSES = 4096  # beyond this the rounding of the exponentials adds up to half an LSB
DIFFERENCES = 256


@dataclass(frozen=True)
class Softmax:
    """exp(beta x) over the sum of exp(beta x) of all channels of the pixel."""

    beta: float = 1.0


@dataclass(frozen=True)
class SoftmaxIntegers:
    """`exponentials` are int32 [256], by how far a value is below its pixel's largest."""

    exponentials: NDArray[np.int32]
    scaling: Requantisation


def _title(attributes: Softmax, shape: Shape) -> str:
    return "softmax"


def _output_shape(attributes: Softmax, shapes: tuple[Shape, ...]) -> Shape:
    if shapes[0][2] > MOST_CLASSES:
        raise UnsupportedModelError(
            f"a softmax over {shapes[0][2]} values cannot be computed in integers (the most are "
            f"{MOST_CLASSES}). Remove it: the largest score stays the largest."
        )
    return shapes[0]


def _lower(
    attributes: Softmax, sources: tuple[Quantisation, ...], result: Quantisation
) -> SoftmaxIntegers:
    (source,) = sources
    differences = np.arange(DIFFERENCES, dtype=np.float64)
    exponentials = np.exp(-attributes.beta * source.scale * differences)
    scaling = fixed_point.requantisation(
        np.array([2.0**-FRACTION_BITS / result.scale]),
        2 << FRACTION_BITS,  # the reciprocal is rounded, so 1 can be exceeded a little
        result.zero_point,
    )
    return SoftmaxIntegers(np.rint(exponentials * (1 << FRACTION_BITS)).astype(np.int32), scaling)


def _reference(
    inputs: tuple[Values, ...], attributes: Softmax, integers: SoftmaxIntegers
) -> Values:
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


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
