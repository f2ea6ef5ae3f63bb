"""Self-attention of several heads, in integers; docs/integer-semantics.md specifies it.

The input holds query, key and value of every pixel one behind the other. Of one query the scores
of all keys become exponentials, by a table of exp(-u / 128) with 14 binary places; they weigh the
values, and one division for each query brings the sum of weights to 1. No tensor of all scores
exists: memory grows with the number of pixels, not with its square.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.ops.definition import Definition, Values
from automcu.compiler.tensor import Quantisation, Shape
from automcu.errors import UnsupportedModelError

STEPS_PER_UNIT = 128  # of the exponents, so that none is off by more than 0.4 %
TABLE_LENGTH = 1332  # the last exponential rounds to 0
WEIGHT_BITS = 14
NORMALISED_BITS = 16  # of the sum of weights, before it is inverted
RECIPROCAL_BITS = 31
FRACTION_BITS = 16  # of weighted means
MOST_PIXELS = 512  # whose weighted values 32 bits hold
_INPUT_SPAN = 255
_PARTS = 3  # query, key, value

EXPONENTIALS: NDArray[np.int64] = np.rint(
    np.exp(-np.arange(TABLE_LENGTH) / STEPS_PER_UNIT) * (1 << WEIGHT_BITS)
).astype(np.int64)
EXPONENTIALS.setflags(write=False)


@dataclass(frozen=True)
class Attention:
    """softmax(scale * query key^T) value for each head; heads are neighbouring channels."""

    heads: int
    scale: float


@dataclass(frozen=True)
class AttentionIntegers:
    """`exponents` turns differences of scores into steps of the table of exponentials."""

    zero_point: int
    exponents: Requantisation
    scaling: Requantisation


def _title(attributes: Attention, shape: Shape) -> str:
    return f"attention, {attributes.heads} head{'s' if attributes.heads > 1 else ''}"


def _output_shape(attributes: Attention, shapes: tuple[Shape, ...]) -> Shape:
    height, width, channels = shapes[0]
    if channels % (_PARTS * attributes.heads):
        raise ValueError(f"{attributes.heads} heads of {channels} channels")
    if height * width > MOST_PIXELS:
        raise UnsupportedModelError(
            f"attention over {height * width} tokens cannot be computed in integers (the most are "
            f"{MOST_PIXELS}). Use larger patches."
        )
    return height, width, channels // _PARTS


def score_shift(attributes: Attention, source: Quantisation) -> int:
    """How far differences of scores are shifted left before they become exponents."""
    return fixed_point.left_shift(source.scale**2 * attributes.scale * STEPS_PER_UNIT)


def _macs(attributes: Attention, source: Shape, result: Shape) -> int:
    pixels = result[0] * result[1]
    return 2 * pixels * pixels * result[2]


def _lower(
    attributes: Attention, sources: tuple[Quantisation, ...], result: Quantisation
) -> AttentionIntegers:
    (source,) = sources
    # Differences of scores that the shift would carry out of 32 bits are cut: they weigh nothing.
    exponents = fixed_point.requantisation(
        np.array([source.scale**2 * attributes.scale * STEPS_PER_UNIT]), 1, 0
    )
    scaling = fixed_point.requantisation(
        np.array([source.scale * 2.0**-FRACTION_BITS / result.scale]),
        (_INPUT_SPAN + 1) << FRACTION_BITS,
        result.zero_point,
    )
    return AttentionIntegers(source.zero_point, exponents, scaling)


def _reference(
    inputs: tuple[Values, ...], attributes: Attention, integers: AttentionIntegers
) -> Values:
    count, height, width, channels = inputs[0].shape
    values = inputs[0].astype(np.int64) - integers.zero_point
    parts = values.reshape(count, height * width, _PARTS, attributes.heads, -1)
    query, key, value = (parts[:, :, part].transpose(0, 2, 1, 3) for part in range(_PARTS))
    scores = query @ key.transpose(0, 1, 3, 2)
    below = scores.max(axis=-1, keepdims=True) - scores
    shift = integers.exponents.left_shift
    shifted = np.minimum(below, fixed_point.INT32_MAX >> shift) << shift
    steps = (shifted * int(integers.exponents.multipliers[0]) + (1 << 31)) >> 32
    weights = EXPONENTIALS[np.minimum(steps, TABLE_LENGTH - 1)]
    total = weights.sum(axis=-1, keepdims=True)
    moved = np.zeros_like(total)
    while np.any(total >> moved >= 1 << NORMALISED_BITS):
        moved += total >> moved >= 1 << NORMALISED_BITS
    normalised = total >> moved
    reciprocal = ((1 << RECIPROCAL_BITS) + normalised // 2) // normalised
    means = ((weights @ value) * reciprocal) >> (RECIPROCAL_BITS - FRACTION_BITS + moved)
    result = means.transpose(0, 2, 1, 3).reshape(count, height, width, channels // _PARTS)
    return fixed_point.requantise(result, integers.scaling)


DEFINITION = Definition(
    title=_title,
    output_shape=_output_shape,
    lower=_lower,
    reference=_reference,
    multiply_accumulates=_macs,
)
