"""What arrays must look like before anything is trained on them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError

BYTE_MAXIMUM = 255


def as_image_array(array: NDArray[Any], where: str) -> NDArray[Any]:
    """Return `array` as [n, height, width, channels]; a missing channel axis is added.

    Raises:
        WrongInputError: not numbers, not images, or empty.
    """
    if array.dtype == object or array.dtype.kind not in "buif":
        raise WrongInputError(
            f"{where}: the images have type {array.dtype}, not numbers. "
            "Save them as one uint8 array [n, height, width, channels]."
        )
    if array.ndim not in (3, 4):
        raise WrongInputError(
            f"{where}: the images have shape {list(array.shape)}. "
            "Save them as [n, height, width] or [n, height, width, channels]."
        )
    if array.size == 0:
        raise WrongInputError(f"{where} holds no images. Save at least a few for each class.")
    if array.ndim == 3:
        return array[..., np.newaxis]
    return array


def unit_scale(arrays: list[NDArray[Any]], where: str) -> float:
    """Return the factor that brings the values of all `arrays` into [0, 1].

    Whole numbers and values above 1 are taken as bytes (1/255, so that int8 = byte - 128 loses
    nothing); values that never exceed 1 are kept.

    Raises:
        WrongInputError: values that are not finite, negative, or above 255.
    """
    lowest = min(float(array.min()) for array in arrays)
    highest = max(float(array.max()) for array in arrays)
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise WrongInputError(
            f"{where} contains NaN or infinite pixels. Remove or repair those images."
        )
    if lowest < 0 or highest > BYTE_MAXIMUM:
        raise WrongInputError(
            f"{where}: pixels run from {lowest:g} to {highest:g}. "
            "Scale them to 0..255 (uint8) or 0..1 (float)."
        )
    return 1.0 if highest <= 1 else 1 / BYTE_MAXIMUM


def as_label_array(array: NDArray[Any], images: int, where: str) -> NDArray[Any]:
    """Return one label per image, [n] of integers or strings; one-hot rows become class numbers.

    Raises:
        WrongInputError: wrong count, wrong shape, not finite, or not whole numbers.
    """
    if array.dtype == object or array.dtype.kind not in "buifU":
        raise WrongInputError(
            f"{where}: the labels have type {array.dtype}. "
            "Save one integer or one string for each image."
        )
    if array.ndim == 0 or len(array) != images:
        labels = len(array) if array.ndim else 1
        raise WrongInputError(
            f"{where}: {images} images but {labels} labels. Save exactly one label for each image."
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and _is_one_hot(array):
        array = array.argmax(axis=1)
    if array.ndim != 1:
        raise WrongInputError(
            f"{where}: the labels have shape {list(array.shape)}. "
            "Save one class number for each image, [n]."
        )
    if array.dtype.kind == "f":
        return _whole_numbers(array, where)
    return array.astype(np.int64) if array.dtype.kind in "bui" else array


def _is_one_hot(array: NDArray[Any]) -> bool:
    if array.dtype.kind == "U":
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _whole_numbers(array: NDArray[Any], where: str) -> NDArray[np.int64]:
    if not np.isfinite(array).all():
        raise WrongInputError(f"{where}: some labels are NaN. Give every image a class.")
    if (array != np.round(array)).any():
        raise WrongInputError(
            f"{where}: the labels are not whole numbers. Only classification is supported: "
            "save one class number for each image."
        )
    return array.astype(np.int64)
