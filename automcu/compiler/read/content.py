"""What a model file may hold: its size, and the shapes and scales of its tensors."""

import math
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
    if math.prod(shape) > MOST_ELEMENTS:
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
