"""Layer normalisation over the channels of every pixel; docs/integer-semantics.md specifies it.

With n channels, S their sum and Q that of their squares, c = n x - S and V = n Q - S^2 are exact:
(x - mean) / deviation = c / sqrt(V). One integer root and one division give 1 / sqrt(V) with 16
bits, after V was moved to 31 or 32 bits by an even shift.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import Requantisation
from automcu.compiler.operators.definition import Definition, Values, first_shape
from automcu.compiler.tensor import Quantisation, Shape
from automcu.errors import UnsupportedModelError

FRACTION_BITS = 16  # of normalised values
RECIPROCAL_BITS = 31
RADICAND_BITS = 32  # of the variance, before its root is taken
MOST_CHANNELS = 4096
_LARGEST_GAIN = 127


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """gain * (x - mean) / sqrt(variance + epsilon) + offset, real [channels].

    The arrays are None in a graph that is only costed.
    """

    gains: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None
    epsilon: float = 1e-5


@dataclass(frozen=True)
class LayerNormIntegers:
    """`epsilon` is what is added to V; gains are int8 and offsets int32, both by channel."""

    epsilon: int
    gains: NDArray[np.int8]
    offsets: NDArray[np.int32]
    scaling: Requantisation


def _title(attributes: LayerNorm, shape: Shape) -> str:
    return "layer norm"


def _output_shape(attributes: LayerNorm, shapes: tuple[Shape, ...]) -> Shape:
    if shapes[0][2] > MOST_CHANNELS:
        raise UnsupportedModelError(
            f"a layer norm over {shapes[0][2]} channels cannot be computed in integers (the most "
            f"are {MOST_CHANNELS}). Make the layer narrower."
        )
    return first_shape(attributes, shapes)


def _lower(
    attributes: LayerNorm, sources: tuple[Quantisation, ...], result: Quantisation
) -> LayerNormIntegers:
    if attributes.gains is None or attributes.offsets is None:
        raise ValueError("a layer norm without weights can be costed but not lowered")
    (source,) = sources
    channels = len(attributes.gains)
    largest = float(np.abs(attributes.gains).max())
    gain_scale = largest / _largest_gain(attributes.gains, largest) if largest else 1.0
    gains = np.rint(attributes.gains / gain_scale)
    offset_scale = gain_scale * 2.0**-FRACTION_BITS
    offsets = np.rint(attributes.offsets / offset_scale)
    reach = 1.001 * np.sqrt(channels) * 2**FRACTION_BITS
    bound = (np.abs(gains) * reach + np.abs(offsets)).max()
    scaling = fixed_point.requantisation(
        np.array([offset_scale / result.scale]), int(np.ceil(bound)), result.zero_point
    )
    epsilon = round(attributes.epsilon * channels**2 / source.scale**2)
    if epsilon >= 1 << (2 * RADICAND_BITS - 3):
        raise UnsupportedModelError("its epsilon is far larger than its input. Make it smaller.")
    return LayerNormIntegers(epsilon, gains.astype(np.int8), offsets.astype(np.int32), scaling)


def _largest_gain(gains: NDArray[np.float64], largest: float) -> int:
    """Gains that are ternary stay exactly that."""
    return 1 if np.isin(np.abs(gains), (0.0, largest)).all() else _LARGEST_GAIN


def _reference(
    inputs: tuple[Values, ...], attributes: LayerNorm, integers: LayerNormIntegers
) -> Values:
    values = inputs[0].astype(np.int64)
    channels = values.shape[-1]
    total = values.sum(axis=-1, keepdims=True)
    squares = (values * values).sum(axis=-1, keepdims=True)
    variance = np.maximum(channels * squares - total * total + integers.epsilon, 1)
    shift = np.zeros_like(variance)
    while np.any(variance >> (2 * np.maximum(shift, 0)) >= 1 << RADICAND_BITS):
        shift += variance >> (2 * np.maximum(shift, 0)) >= 1 << RADICAND_BITS
    while np.any(_moved(variance, shift) < 1 << (RADICAND_BITS - 2)):
        shift -= _moved(variance, shift) < 1 << (RADICAND_BITS - 2)
    root = np.sqrt(_moved(variance, shift).astype(np.float64)).astype(np.int64)
    reciprocal = ((1 << RECIPROCAL_BITS) + root // 2) // root
    centred = channels * values - total
    normalised = (centred * reciprocal) >> (RECIPROCAL_BITS - FRACTION_BITS + shift)
    return fixed_point.requantise(
        normalised * integers.gains.astype(np.int64) + integers.offsets, integers.scaling
    )


def _moved(variance: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    """The variance divided by 4^shift, multiplied where that is negative."""
    return np.asarray((variance >> (2 * np.maximum(shift, 0))) << (2 * np.maximum(-shift, 0)))


DEFINITION = Definition(
    title=_title, output_shape=_output_shape, lower=_lower, reference=_reference
)
