"""A labelled data set in memory, its splits, its size, and what every source of data offers.

Labelled images of any kind become one: checks, class numbers, missing splits, scaling.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError


@dataclass(frozen=True)
class Split:
    """`inputs` float32 [n, height, width, channels] in [0, 1]; `labels` int64 [n]."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def class_counts(self, classes: int) -> tuple[int, ...]:
        """Return how many inputs each class has."""
        return tuple(np.bincount(self.labels, minlength=classes).tolist())


@dataclass(frozen=True)
class Dataset:
    """Disjoint training, validation and test splits, drawn from a seed where the source has none.

    `notes` holds one sentence for each thing about the source that its owner should know, such as
    images that could not be read.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.train.inputs.shape[1:]
        return height, width, channels


def draw_by_class(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide the indices of `labels` at random into (kept, drawn), both sorted.

    About `fraction` of each class is drawn, at least one image and never the last one.

    Raises:
        WrongInputError: a class has a single image.
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            raise WrongInputError(
                f"Class number {label} has too few images to be divided. "
                "Add images to it or leave the class out."
            )
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        drawn.append(generator.permutation(members)[:count])
    chosen = np.sort(np.concatenate(drawn)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


BATCH = 4096


def resized(dataset: Dataset, height: int, width: int | None = None) -> Dataset:
    """Return `dataset` with inputs of this size, square without a width, antialiased bilinear."""
    size = height, height if width is None else width
    if dataset.input_shape[:2] == size:
        return dataset
    return Dataset(
        name=dataset.name,
        train=_resized_split(dataset.train, size),
        validation=_resized_split(dataset.validation, size),
        test=_resized_split(dataset.test, size),
        class_names=dataset.class_names,
        notes=dataset.notes,
    )


def _resized_split(split: Split, size: tuple[int, int]) -> Split:
    # Seconds to import, for which data of the right size need not wait.
    import torch
    from torch.nn.functional import interpolate

    images = torch.from_numpy(split.inputs).permute(0, 3, 1, 2)
    batches = [
        interpolate(batch, size=size, mode="bilinear", antialias=True).clamp(0, 1)
        for batch in torch.split(images, BATCH)
    ]
    inputs = torch.cat(batches).permute(0, 2, 3, 1).contiguous().numpy()
    return Split(inputs=inputs.astype(np.float32, copy=False), labels=split.labels)


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    `image_side` is the height and width in pixels that images shall have, None for the source's
    own; `window_channels` is the number of interleaved signals in a CSV window.
    """

    name: str
    seed: int = 0
    image_side: int | None = None
    window_channels: int = 1

    @property
    def path(self) -> Path:
        """The name read as a path."""
        return Path(self.name).expanduser()


@dataclass(frozen=True)
class Source:
    """One kind of data: the names it answers to for error messages, and two functions."""

    names: tuple[str, ...]
    recognises: Callable[[Request], bool]
    load: Callable[[Request], Dataset]


def plain_name(name: str) -> str:
    """Spell a data set's name in one way: `CIFAR-10`, `cifar_10` and `cifar10` are the same."""
    return "".join(character for character in name.lower() if character.isalnum())


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


TEST_FRACTION = 0.2
VALIDATION_FRACTION = 0.2
LARGEST_VALIDATION = 5000
"""More validation images than this cost time each epoch and tell nothing new."""

SMALLEST_CLASS = 3
"""One image each for training, validation and test."""


@dataclass(frozen=True)
class Labelled:
    """Images [n, h, w] or [n, h, w, c] of any numeric type, and one label for each."""

    images: NDArray[Any]
    labels: NDArray[Any]


def assemble(
    name: str,
    train: Labelled,
    *,
    seed: int,
    validation: Labelled | None = None,
    test: Labelled | None = None,
    class_names: tuple[str, ...] | None = None,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Check the parts, number the classes, draw the splits that are missing, scale to [0, 1].

    With `class_names`, integer labels are positions in it. Otherwise the classes are the labels
    that occur in `train`, sorted, whatever their values.

    Raises:
        WrongInputError: the arrays are not a classification data set; `name` begins the message.
    """
    parts = {"training": train, "validation": validation, "test": test}
    given = {part: _checked(data, name) for part, data in parts.items() if data is not None}
    _check_shapes(given, name)
    scale = unit_scale([data.images for data in given.values()], name)
    classes, class_names = _classes(given["training"].labels, class_names, name)
    numbered = {
        part: Labelled(data.images, _numbers(data.labels, classes, f"{name} ({part})"))
        for part, data in given.items()
    }
    _check_class_sizes(numbered["training"].labels, class_names, len(given), name)
    complete = _with_missing_splits(numbered, seed)
    return Dataset(
        name=name,
        train=_scaled(complete["training"], scale),
        validation=_scaled(complete["validation"], scale),
        test=_scaled(complete["test"], scale),
        class_names=class_names,
        notes=notes,
    )


def _checked(data: Labelled, name: str) -> Labelled:
    images = as_image_array(data.images, name)
    return Labelled(images, as_label_array(data.labels, len(images), name))


def _check_shapes(parts: dict[str, Labelled], name: str) -> None:
    expected = parts["training"].images.shape[1:]
    for part, data in parts.items():
        if data.images.shape[1:] != expected:
            raise WrongInputError(
                f"{name}: {part} images are {list(data.images.shape[1:])}, training images "
                f"{list(expected)}. Bring them to one size."
            )


def _classes(
    labels: NDArray[Any], class_names: tuple[str, ...] | None, name: str
) -> tuple[NDArray[Any], tuple[str, ...]]:
    found = np.unique(labels)
    if len(found) < 2:
        raise WrongInputError(
            f"{name} has images of one class only ({found[0]}). Add at least one other class."
        )
    if class_names is None or labels.dtype.kind == "U":
        return found, tuple(str(label) for label in found)
    return np.arange(len(class_names)), class_names


def _numbers(labels: NDArray[Any], classes: NDArray[Any], where: str) -> NDArray[np.int64]:
    known = np.isin(labels, classes)
    if not known.all():
        raise WrongInputError(
            f"{where}: label {labels[~known][0]} is not among the training classes. "
            "Remove those images or add that class to the training images."
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def _check_class_sizes(
    labels: NDArray[np.int64], class_names: tuple[str, ...], parts: int, name: str
) -> None:
    needed = max(1, SMALLEST_CLASS + 1 - parts)
    sizes = Counter(labels.tolist())
    for number, class_name in enumerate(class_names):
        if sizes[number] < needed:
            raise WrongInputError(
                f"{name}: class {class_name!r} has {sizes[number]} training images, too few for "
                f"the splits. Give it at least {needed}, or leave the class out."
            )


def _with_missing_splits(parts: dict[str, Labelled], seed: int) -> dict[str, Labelled]:
    complete = dict(parts)
    if "test" not in complete:
        _draw(complete, "test", TEST_FRACTION, seed)
    if "validation" not in complete:
        size = len(complete["training"].labels)
        fraction = min(VALIDATION_FRACTION, LARGEST_VALIDATION / size)
        _draw(complete, "validation", fraction, seed + 1)
    return complete


def _draw(parts: dict[str, Labelled], part: str, fraction: float, seed: int) -> None:
    whole = parts["training"]
    kept, drawn = draw_by_class(whole.labels, fraction, seed)
    parts["training"] = Labelled(whole.images[kept], whole.labels[kept])
    parts[part] = Labelled(whole.images[drawn], whole.labels[drawn])


def _scaled(data: Labelled, scale: float) -> Split:
    inputs = np.array(data.images, dtype=np.float32, order="C")
    if scale != 1:
        inputs *= np.float32(scale)
    return Split(inputs=inputs, labels=data.labels)
