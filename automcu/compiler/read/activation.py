"""What a model file's activation is: a view of one of our tensors, perhaps through a function."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.ops.clamp import Clamp, intersect
from automcu.compiler.read.view import View


@dataclass(frozen=True, eq=False)
class RealFunction:
    """A real function of a quantised tensor, as its results for the 256 values that can occur.

    Between DequantizeLinear and QuantizeLinear a file computes in real numbers. Whatever it does
    there to one tensor, element by element, is such a function, and one table once it is
    quantised. `clamp` is set while the function does nothing but clamp, which needs no table.
    """

    name: str
    values: NDArray[np.float64]
    clamp: Clamp | None = None

    def clamped(self, clamp: Clamp, name: str) -> "RealFunction":
        """The function with its results clamped."""
        values = np.clip(self.values, *clamp)
        if self.clamp is None:
            return RealFunction(self.name, values)
        return RealFunction(name, values, intersect(self.clamp, clamp))


@dataclass(frozen=True)
class Activation:
    """The values of our `tensor` in the order of `view`, put through `function` if there is one.

    `layer` and `step` are the file's name and kind of what last changed the view: they name the
    copy, should one be needed.
    """

    tensor: str
    view: View
    function: RealFunction | None = None
    layer: str = ""
    step: str = "reshape"

    def viewed(self, view: View, layer: str, step: str) -> "Activation":
        """The same tensor in another view."""
        return replace(self, view=view, layer=layer, step=step)
