"""Inputs for a model that somebody else made, from whatever form of data its owner has.

`--calibrate` and `bench --data` take the same: a data set by name, a folder of pictures, a CSV of
windows, or arrays in a `.npz` or `.npy`, with labels or without.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.datasets import Dataset, load_dataset, load_pictures, resized
from automcu.datasets.npz_archive import array_names, read_array, read_arrays
from automcu.errors import WrongInputError

_INPUTS = ("x", "inputs", "images", "data", "x_train")
_LABELS = {"x": "y", "inputs": "labels", "images": "labels", "data": "target", "x_train": "y_train"}
_IMAGE_CHANNELS = (1, 3)
_BYTE_MAXIMUM = np.float32(255)


@dataclass(frozen=True)
class ModelInputs:
    """Inputs [n, ...] that calibrate, and those that are compared, perhaps with their classes.

    They are the same array where the data has no test split. Pixels are in [0, 1] and
    channels-last; integers of type int8 are the compiled network's own; other values are as the
    model takes them. `notes` tell what was done to the data.
    """

    calibrating: NDArray[np.generic]
    compared: NDArray[np.generic]
    labels: NDArray[np.int64] | None
    are_pixels: bool
    notes: tuple[str, ...] = ()

    @property
    def has_test_split(self) -> bool:
        """Whether nothing that calibrates is compared."""
        return self.compared is not self.calibrating

    @property
    def are_integers(self) -> bool:
        """Whether the inputs are int8, as the compiled network takes them."""
        return self.compared.dtype == np.int8


def load_model_inputs(name_or_path: str, shape: tuple[int, ...]) -> ModelInputs:
    """Load data for a model whose input has this shape, without the batch.

    Raises:
        WrongInputError: there is no such data, or it cannot be read.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix.lower() == ".npy" and path.is_file():
        return _of_arrays(path, read_array(path), None)
    if path.suffix.lower() == ".npz" and path.is_file():
        names = array_names(path)
        inputs = next((name for name in _INPUTS if name in names), None)
        if inputs is not None:
            values = read_arrays(path, (inputs,))[inputs]
            label = _LABELS[inputs]
            if values.dtype != np.uint8 or label not in names:
                stored = read_arrays(path, (label,))[label] if label in names else None
                return _of_arrays(path, values, stored)
    image = _image(shape)
    if path.is_dir() and image is not None and not _has_folders(path):
        pictures, notes = load_pictures(path, image[0], image[2])
        pixels = pictures.astype(np.float32) / _BYTE_MAXIMUM
        return ModelInputs(pixels, pixels, None, True, notes)
    side = image[0] if path.is_dir() and image is not None and image[0] == image[1] else None
    signals = _signals(path, shape)
    return _of_dataset(load_dataset(name_or_path, image_side=side, window_channels=signals), image)


def _of_arrays(
    path: Path, values: NDArray[np.generic], labels: NDArray[np.generic] | None
) -> ModelInputs:
    """Arrays of the owner's; bytes are pixels, and int8 is what the compiled network takes."""
    if values.dtype.kind not in "buif" or values.ndim < 2:
        raise WrongInputError(
            f"{path} holds an array of type {values.dtype} and shape {list(values.shape)}. "
            "Save the inputs as one array of numbers, [n, ...]."
        )
    if not len(values):
        raise WrongInputError(f"{path} holds no inputs. Save some hundred.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise WrongInputError(f"{path} holds values that are not finite. Repair or remove them.")
    if labels is not None:
        labels = _classes(path, labels, len(values))
    are_pixels = values.dtype == np.uint8
    if are_pixels:
        values = values.astype(np.float32) / _BYTE_MAXIMUM
    return ModelInputs(values, values, labels, are_pixels)


def _classes(path: Path, labels: NDArray[np.generic], count: int) -> NDArray[np.int64] | None:
    """One class number for each input; None where they are targets of another kind."""
    if labels.shape[:1] != (count,):
        raise WrongInputError(
            f"{path} holds {count} inputs and {len(labels) if labels.ndim else 1} labels. "
            "Save one label for each input."
        )
    if labels.dtype.kind in "ui" and labels.size == count:
        return labels.reshape(-1).astype(np.int64)
    return None


def _of_dataset(dataset: Dataset, image: tuple[int, int, int] | None) -> ModelInputs:
    notes = dataset.notes
    height, width, _ = dataset.input_shape
    if image is not None and height > 1 and (height, width) != image[:2] and image[0] == image[1]:
        dataset = resized(dataset, image[0])
        notes += (f"{dataset.name}: images of {width}x{height} were resized to {image[0]}.",)
    return ModelInputs(dataset.train.inputs, dataset.test.inputs, dataset.test.labels, True, notes)


def _image(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of an input that is an image, however it is laid out."""
    if len(shape) != 3:
        return None
    is_channels_last = shape[2] in _IMAGE_CHANNELS and shape[0] not in _IMAGE_CHANNELS
    height, width, channels = shape if is_channels_last else (*shape[1:], shape[0])
    return (height, width, channels) if min(height, width) > 1 else None


def _signals(path: Path, shape: tuple[int, ...]) -> int:
    """How many signals a window in a CSV file holds: the shorter of the model's two sizes."""
    lengths = [size for size in shape if size > 1]
    is_windows = path.suffix.lower() == ".csv" and len(lengths) == 2
    return min(lengths) if is_windows else 1


def _has_folders(path: Path) -> bool:
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())
