"""Sum of two tensors of one shape, each on its own scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from automcu.compiler import fixed_point
from automcu.compiler.operators.clamp import NO_CLAMP, Clamp


@dataclass(frozen=True)
class Add:
    """`sign` -1 subtracts the second operand."""

    clamp: Clamp = NO_CLAMP
    sign: int = 1


def reference(
    inputs: tuple[NDArray[np.int8], ...], scaling: fixed_point.AddScaling
) -> NDArray[np.int8]:
    """The sum in integers."""
    return fixed_point.add(inputs[0], inputs[1], scaling)
