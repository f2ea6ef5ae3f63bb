"""Self-attention of several heads, in integers; docs/integer-semantics.md specifies it.

The input holds query, key and value of every pixel one behind the other. Of one query the scores
of all keys become exponentials, by a table of exp(-u / 128) with 14 binary places; they weigh the
values, and one division for each query brings the sum of weights to 1. No tensor of all scores
exists: memory grows with the number of pixels, not with its square.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.fixed_point import INT32_MAX, Requantisation
from automcu.compiler.graph import Attributes
from automcu.compiler.kernel import (
    REQUANTISATION,
    Field,
    Kernel,
    LayerConstants,
    Parameters,
    cost_key,
)
from automcu.compiler.tensor import Quantisation, Shape, Tensor, Values
from automcu.errors import UnsupportedModelError

STEPS_PER_UNIT = 128  # of the exponents, so that none is off by more than 0.4 %
TABLE_LENGTH = 1332  # the last exponential rounds to 0
WEIGHT_BITS = 14
NORMALISED_BITS = 16  # of the sum of weights, before it is inverted
RECIPROCAL_BITS = 31
FRACTION_BITS = 16  # of weighted means
MOST_PIXELS = 512  # whose weighted values 32 bits hold
PARTS = 3  # query, key, value
_INPUT_SPAN = 255
_INT32_BYTES = 4
_INT16_BYTES = 2
_CHANNEL_BLOCK = 4  # of a head that the inner loops compute at once

EXPONENTIALS: NDArray[np.int64] = np.rint(
    np.exp(-np.arange(TABLE_LENGTH) / STEPS_PER_UNIT) * (1 << WEIGHT_BITS)
).astype(np.int64)
EXPONENTIALS.setflags(write=False)

PARAMETERS = Parameters(
    "attention_parameters",
    {
        "zero_point": "int32_t",
        "exponent_multiplier": Field(
            "int32_t", "from differences of scores to steps of 1/32, with 32 binary places"
        ),
        "multiplier": "int32_t",
        "scaling": REQUANTISATION,
    },
    order=9,
)


@dataclass(frozen=True)
class AttentionIntegers:
    """`exponents` turns differences of scores into steps of the table of exponentials."""

    zero_point: int
    exponents: Requantisation
    scaling: Requantisation


@dataclass(frozen=True)
class Attention(Attributes):
    """softmax(scale * query key^T) value for each head; heads are neighbouring channels."""

    heads: int
    scale: float

    def title(self, source: Shape) -> str:
        return f"attention, {self.heads} head{'s' if self.heads > 1 else ''}"

    def output_shape(self, *sources: Shape) -> Shape:
        height, width, channels = sources[0]
        if channels % (PARTS * self.heads):
            raise ValueError(f"{self.heads} heads of {channels} channels")
        if height * width > MOST_PIXELS:
            raise UnsupportedModelError(
                f"attention over {height * width} tokens cannot be computed in integers (the most "
                f"are {MOST_PIXELS}). Use larger patches."
            )
        return height, width, channels // PARTS

    def macs(self, source: Shape, result: Shape) -> int:
        pixels = result[0] * result[1]
        return 2 * pixels * pixels * result[2]

    def lower(self, sources: tuple[Quantisation, ...], result: Quantisation) -> AttentionIntegers:
        (source,) = sources
        # Differences of scores that the shift would carry out of 32 bits are cut: they weigh
        # nothing.
        exponents = fixed_point.requantisation(np.array([self._exponent_ratio(source)]), 1, 0)
        scaling = fixed_point.requantisation(
            np.array([source.scale * 2.0**-FRACTION_BITS / result.scale]),
            (_INPUT_SPAN + 1) << FRACTION_BITS,
            result.zero_point,
        )
        return AttentionIntegers(source.zero_point, exponents, scaling)

    def reference(self, inputs: tuple[Values, ...], integers: AttentionIntegers) -> Values:
        count, height, width, channels = inputs[0].shape
        values = inputs[0].astype(np.int64) - integers.zero_point
        parts = values.reshape(count, height * width, PARTS, self.heads, -1)
        query, key, value = (parts[:, :, part].transpose(0, 2, 1, 3) for part in range(PARTS))
        scores = query @ key.transpose(0, 1, 3, 2)
        below = scores.max(axis=-1, keepdims=True) - scores
        shift = integers.exponents.left_shift
        shifted = np.minimum(below, INT32_MAX >> shift) << shift
        steps = (shifted * int(integers.exponents.multipliers[0]) + (1 << 31)) >> 32
        weights = EXPONENTIALS[np.minimum(steps, TABLE_LENGTH - 1)]
        total = weights.sum(axis=-1, keepdims=True)
        moved = np.zeros_like(total)
        while np.any(total >> moved >= 1 << NORMALISED_BITS):
            moved += total >> moved >= 1 << NORMALISED_BITS
        normalised = total >> moved
        reciprocal = ((1 << RECIPROCAL_BITS) + normalised // 2) // normalised
        means = ((weights @ value) * reciprocal) >> (RECIPROCAL_BITS - FRACTION_BITS + moved)
        result = means.transpose(0, 2, 1, 3).reshape(count, height, width, channels // PARTS)
        return fixed_point.requantise(result, integers.scaling)

    def kernel(self, inputs: tuple[Tensor, ...], output: Tensor) -> Kernel:
        """One query of one head at a time."""
        shape = attention_shape(self, inputs[0], output)
        pixels, depth = shape.pixels, shape.depth
        blocked = depth % _CHANNEL_BLOCK == 0
        means_offset = _INT32_BYTES * pixels
        query_offset = means_offset + _INT32_BYTES * depth
        return Kernel(
            cost_key=cost_key("portable-attention", blocked=blocked),
            function=shape.function,
            template=Path(__file__).with_name("attention.c.j2"),
            settings=shape.settings
            | {
                "block": _CHANNEL_BLOCK if blocked else 1,
                "blocked": blocked,
                "means_offset": means_offset,
                "query_offset": query_offset,
            },
            parameters=PARAMETERS,
            pack=pack_attention,
            scratch_bytes=query_offset + _INT16_BYTES * depth,
            work={
                "macs": 2 * pixels * pixels * depth * shape.heads,
                "scores": pixels * pixels * shape.heads,
                "outputs": pixels * depth * shape.heads,
            },
        )

    def score_shift(self, source: Quantisation) -> int:
        """How far differences of scores are shifted left before they become exponents."""
        return fixed_point.left_shift(self._exponent_ratio(source))

    def _exponent_ratio(self, source: Quantisation) -> float:
        return source.scale**2 * self.scale * STEPS_PER_UNIT


@dataclass(frozen=True)
class AttentionShape:
    """What kernels of attention are made from; `depth` is a head's channels.

    Differences of scores are cut and shifted left where `score_shift` is not 0.
    """

    pixels: int
    heads: int
    depth: int
    score_shift: int = 0

    @property
    def function(self) -> str:
        """A name that tells the shape; equal shapes share one function."""
        name = f"attention_{self.pixels}x{self.heads * self.depth}_{self.heads}_heads"
        return name + (f"_shift{self.score_shift}" if self.score_shift else "")

    @property
    def settings(self) -> dict[str, object]:
        """The constants that all templates need."""
        return {
            "pixels": self.pixels,
            "channels": self.heads * self.depth,
            "heads": self.heads,
            "depth": self.depth,
            "score_shift": self.score_shift,
            "largest_score": INT32_MAX >> self.score_shift,
            "exponentials": EXPONENTIALS.tolist(),
            "normalised_bits": NORMALISED_BITS,
            "reciprocal_bits": RECIPROCAL_BITS,
            "fraction_bits": FRACTION_BITS,
        }


def attention_shape(attributes: Attention, source: Tensor, result: Tensor) -> AttentionShape:
    """The shape of a layer; without a scale no score is shifted."""
    height, width, channels = result.shape
    return AttentionShape(
        height * width,
        attributes.heads,
        channels // attributes.heads,
        attributes.score_shift(source.quantisation) if source.quantisation else 0,
    )


def pack_attention(integers: AttentionIntegers) -> LayerConstants:
    """Its parameters; there are no arrays."""
    constants = PARAMETERS.constants(
        {
            "zero_point": integers.zero_point,
            "exponent_multiplier": int(integers.exponents.multipliers[0]),
            "multiplier": int(integers.scaling.multipliers[0]),
            "scaling": integers.scaling,
        }
    )
    return LayerConstants({}, constants)
