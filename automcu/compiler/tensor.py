"""Quantised tensors: channels-last, without a batch dimension; and clamps of their values.

A tensor is (height, width, channels); a vector of n features is (1, 1, n), a time series
(1, length, channels).
"""

from dataclasses import dataclass
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.fixed_point import INT8_MAX, INT8_MIN

Shape = tuple[int, int, int]
Values = NDArray[np.int8]  # of a tensor, for n inputs: [n, height, width, channels]


@dataclass(frozen=True)
class Quantisation:
    """Affine int8 quantisation of a whole tensor: real = scale * (integer - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Tensor:
    """An int8 activation; `quantisation` is None only before activations are fused."""

    name: str
    shape: Shape
    quantisation: Quantisation | None

    @property
    def size(self) -> int:
        """Bytes."""
        return prod(self.shape)


Clamp = tuple[float, float]  # real limits, such as those of a ReLU
NO_CLAMP: Clamp = (-inf, inf)


def integer_limits(clamp: Clamp, scale: float, zero_point: int) -> tuple[int, int]:
    """The int8 range to which `clamp` restricts a tensor of this quantisation."""
    low, high = (bound / scale + zero_point for bound in clamp)
    minimum = INT8_MIN if low <= INT8_MIN else min(round(low), INT8_MAX)
    maximum = INT8_MAX if high >= INT8_MAX else max(round(high), INT8_MIN)
    return minimum, maximum


def intersect(first: Clamp, second: Clamp) -> Clamp:
    """The clamp that has the effect of `first` followed by `second`."""
    low = min(max(first[0], second[0]), second[1])
    high = max(min(first[1], second[1]), second[0])
    return low, high


def is_idle(clamp: Clamp, quantisation: Quantisation) -> bool:
    """Whether int8 makes the clamp by itself in a tensor of this quantisation."""
    limits = integer_limits(clamp, quantisation.scale, quantisation.zero_point)
    return limits == (INT8_MIN, INT8_MAX)
