"""Arrays that a model file stores."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Constant:
    """An array of the file; where it was quantised, integers less their zero point and `scales`.

    `scales` are float64, one for all or one for each index of `axis`.
    """

    values: NDArray[np.generic]
    scales: NDArray[np.float64] | None = None
    axis: int = 0

    def real(self) -> NDArray[np.float64]:
        """The real values."""
        values = self.values.astype(np.float64)
        if self.scales is None:
            return values
        if self.scales.size == 1:
            return values * self.scales.reshape(())
        shape = [1] * values.ndim
        shape[self.axis] = -1
        return values * self.scales.reshape(shape)

    def transposed(self, order: tuple[int, ...]) -> "Constant":
        """The array with its axes in another order."""
        axis = order.index(self.axis) if self.values.ndim else 0
        return replace(self, values=self.values.transpose(order), axis=axis)

    def reshaped(self, shape: tuple[int, ...]) -> "Constant":
        """The array with other axes.

        Raises:
            ValueError: its scales are along an axis that the new shape does not have.
        """
        values = self.values.reshape(shape)
        if self.scales is None or self.scales.size == 1:
            return replace(self, values=values)
        before = int(np.prod(self.values.shape[: self.axis]))
        length = self.values.shape[self.axis]
        for axis, size in enumerate(values.shape):
            if size == length and int(np.prod(values.shape[:axis])) == before:
                return replace(self, values=values, axis=axis)
        raise ValueError(f"scales along axis {self.axis} are lost in a reshape to {shape}")
