"""Quantised tensors: channels-last, without a batch dimension.

A tensor is (height, width, channels); a vector of n features is (1, 1, n), a time series
(1, length, channels).
"""

from dataclasses import dataclass
from math import prod

Shape = tuple[int, int, int]


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
