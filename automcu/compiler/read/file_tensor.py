"""A model file's tensors: what they may hold, and how their axes lie in the memory of one of ours.

Files transpose, reshape, slice and repeat; most of it only renames what is already in memory. A
`View` follows such steps without moving anything, so that a copy is made only where an operator
needs another order (and none at all for the NHWC/NCHW pairs that converters insert).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.compiler.graph import Quantisation, Shape
from automcu.errors import UnsupportedModelError, WrongInputError

LARGEST_FILE = 64 << 20
MOST_ELEMENTS = 1 << 24  # of one tensor: a bound on what a hostile file can make us allocate
_SMALLEST_SCALE = float(np.finfo(np.float32).tiny)
_LARGEST_SCALE = 2.0**50


def read_content(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        WrongInputError: it cannot be read, or is larger than any model for a small board.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WrongInputError(f"{path} is larger than 64 MB. Give a model for a small board.")
        return path.read_bytes()
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Check its name."
        ) from error


def checked_shape(shape: Shape, layer: str) -> Shape:
    """The shape, if a tensor may have it.

    Raises:
        UnsupportedModelError: a size is below 1, or the tensor is larger than any device.
    """
    sizes = "x".join(map(str, shape))
    if min(shape) < 1:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {sizes}: its window is larger than its input. "
            "Use a larger input resolution."
        )
    if prod(shape) > MOST_ELEMENTS:
        raise UnsupportedModelError(
            f"layer {layer} has an output of {sizes} values, more than any microcontroller holds. "
            "Use a smaller input."
        )
    return shape


def check_scales(scales: NDArray[np.float64], name: str) -> None:
    """See that the scales of `name` are such that a step of them can mean something.

    Raises:
        UnsupportedModelError: one is not finite, negative, denormal as a float32, or astronomical.
    """
    for index, scale in enumerate(scales.reshape(-1)):
        if not _SMALLEST_SCALE <= scale <= _LARGEST_SCALE:
            where = f" for channel {index}" if scales.size > 1 else ""
            raise UnsupportedModelError(
                f"{name} has a scale of {float(scale):.3g}{where}: a scale is finite, and from "
                f"{_SMALLEST_SCALE:.2g} to {_LARGEST_SCALE:.2g}. Quantise the model again."
            )


def check_scales_of(
    integers: NDArray[np.int64], scales: NDArray[np.float64], axis: int, name: str
) -> None:
    """The same for a constant; the scale of a channel of zeros has only to be a number, or is 0.

    `scales` are one for all, or one for each index of `axis`.

    Raises:
        UnsupportedModelError: as above.
    """
    others = tuple(other for other in range(integers.ndim) if other != axis)
    used = integers.any(axis=others) if scales.size > 1 else np.array(integers.any())
    harmless = ~np.reshape(used, scales.shape) & np.isfinite(scales) & (scales >= 0)
    check_scales(np.where(harmless | (scales == 0), 1.0, scales), name)


def checked_quantisation(scale: float, zero_point: int, name: str) -> Quantisation:
    """A quantisation whose scale means something and whose zero point is an int8."""
    check_scales(np.array([scale]), name)
    if not -128 <= zero_point <= 127:
        raise UnsupportedModelError(
            f"{name} is quantised with scale {scale} and zero point {zero_point}, "
            "which is not int8. Quantise the model again."
        )
    return Quantisation(scale, zero_point)


Parts = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class View:
    """Each axis is (size, stride) parts, outermost first; strides and `offset` are in values."""

    axes: tuple[Parts, ...]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes, as the file has them."""
        return tuple(prod(size for size, _ in parts) for parts in self.axes)

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def parts(self) -> Parts:
        """All parts in the order of the axes, joined where one steps on where the next ends."""
        return joined(part for parts in self.axes for part in parts)

    def is_dense(self, size: int) -> bool:
        """Whether the view covers each of the `size` values of its tensor once."""
        expected = 1
        for length, stride in sorted(self.parts, key=lambda part: part[1]):
            if stride != expected:
                return False
            expected *= length
        return self.offset == 0 and expected == size

    def addresses(self) -> NDArray[np.int64]:
        """Where each value lies, in the shape of the view."""
        result = np.full(1, self.offset, np.int64)
        for parts in self.axes:
            for size, stride in parts:
                result = (result[:, None] + np.arange(size, dtype=np.int64) * stride).reshape(-1)
        return result.reshape(self.shape)

    def memory_order(self) -> tuple[int, ...]:
        """The axes from the largest stride to the smallest: keeping to it, a copy moves least."""
        reach = [max((abs(stride) for _, stride in parts), default=0) for parts in self.axes]
        return tuple(sorted(range(len(reach)), key=lambda a: (-reach[a], -self.shape[a], a)))

    def transposed(self, order: tuple[int, ...]) -> "View":
        """The axes in another order."""
        if sorted(order) != list(range(len(self.axes))):
            raise ValueError(f"{order} is no order of {len(self.axes)} axes")
        return View(tuple(self.axes[axis] for axis in order), self.offset)

    def reshaped(self, shape: tuple[int, ...]) -> "View | None":
        """The same values in the same order with other axes; None where that needs a copy."""
        if prod(shape) != self.size:
            raise ValueError(f"{self.shape} cannot be reshaped to {shape}")
        remaining = list(self.parts)
        axes = []
        for size in shape:
            taken = _take(remaining, size)
            if taken is None:
                return None
            axes.append(taken)
        return View(tuple(axes), self.offset)

    def sliced(self, axis: int, first: int, count: int, step: int) -> "View | None":
        """`count` values of an axis, every `step`-th from `first`; None where that needs a copy."""
        size = self.shape[axis]
        last = first + (count - 1) * step
        if count < 1 or not (0 <= first < size and 0 <= last < size):
            raise ValueError(f"{count} values from {first} by {step} of {size}")
        parts = joined(self.axes[axis]) or ((1, 1),)
        if len(parts) > 1:
            return None
        stride = parts[0][1]
        return self._with_axis(axis, ((count, stride * step),), self.offset + first * stride)

    def repeated(self, axis: int, times: int) -> "View":
        """Each value of an axis `times` times in a row."""
        return self._with_axis(axis, (*self.axes[axis], (times, 0)), self.offset)

    def tiled(self, axis: int, times: int) -> "View":
        """All of an axis `times` times in a row."""
        return self._with_axis(axis, ((times, 0), *self.axes[axis]), self.offset)

    def broadcast(self, shape: tuple[int, ...]) -> "View":
        """Repeat axes of size 1 to fill `shape`, with new axes in front, as numpy does."""
        axes: list[Parts] = [((1, 0),)] * (len(shape) - len(self.axes)) + list(self.axes)
        if len(axes) != len(shape):
            raise ValueError(f"{self.shape} cannot be broadcast to {shape}")
        for axis, size in enumerate(shape):
            own = prod(n for n, _ in axes[axis])
            if own != size and own != 1:
                raise ValueError(f"{self.shape} cannot be broadcast to {shape}")
            if own != size:
                axes[axis] = ((size, 0),)
        return View(tuple(axes), self.offset)

    def _with_axis(self, axis: int, parts: Parts, offset: int) -> "View":
        return View((*self.axes[:axis], parts, *self.axes[axis + 1 :]), offset)


def natural(shape: tuple[int, ...]) -> View:
    """The view of a tensor whose values lie in the order of the file's axes."""
    axes, stride = [], prod(shape)
    for size in shape:
        stride //= size
        axes.append(((size, stride),))
    return View(tuple(axes))


def in_order(shape: tuple[int, ...], order: tuple[int, ...]) -> View:
    """The view of a tensor whose values lie in the order of the axes `order`."""
    inner = natural(tuple(shape[axis] for axis in order))
    axes: list[Parts] = [()] * len(shape)
    for place, axis in enumerate(order):
        axes[axis] = inner.axes[place]
    return View(tuple(axes))


def joined(parts: Iterable[tuple[int, int]]) -> Parts:
    """Parts without those of size 1, and with neighbours made one where they step alike."""
    result: list[tuple[int, int]] = []
    for size, stride in parts:
        if size == 1:
            continue
        if result and result[-1][1] == size * stride:
            result[-1] = (result[-1][0] * size, stride)
        else:
            result.append((size, stride))
    return tuple(result)


def refined(parts: Parts, sizes: tuple[int, ...]) -> Parts | None:
    """The parts cut into exactly these sizes; None where they do not divide so."""
    remaining = list(joined(parts))
    result: list[tuple[int, int]] = []
    for size in sizes:
        taken = _take(remaining, size)
        if taken is None or len(joined(taken)) > 1:
            return None
        result.append((size, taken[-1][1]))
    return tuple(result)


def positive_axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


def _take(remaining: list[tuple[int, int]], size: int) -> Parts | None:
    """Take parts of `size` values in all from the front of `remaining`."""
    if size == 1:
        return ((1, remaining[0][0] * remaining[0][1] if remaining else 1),)
    taken = []
    while size > 1:
        if not remaining:
            return None
        length, stride = remaining.pop(0)
        if size % length == 0:
            taken.append((length, stride))
            size //= length
        elif length % size == 0:
            taken.append((size, stride * (length // size)))
            remaining.insert(0, (length // size, stride))
            size = 1
        else:
            return None
    return tuple(taken)
