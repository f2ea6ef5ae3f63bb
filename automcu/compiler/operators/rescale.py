"""The same values on another scale, perhaps clamped: a ReLU that stands alone, a requantisation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.operators.clamp import NO_CLAMP, Clamp


@dataclass(frozen=True)
class Rescale:
    """Element by element; `clamp` is real."""

    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class RescaleIntegers:
    """Each value minus `input_zero_point` is an accumulator."""

    scaling: fixed_point.Requantisation
    input_zero_point: int


def reference(inputs: tuple[NDArray[np.int8], ...], integers: RescaleIntegers) -> NDArray[np.int8]:
    """The rescaled values."""
    return fixed_point.requantise(
        inputs[0].astype(np.int64) - integers.input_zero_point, integers.scaling
    )
