"""From labelled images of any kind to a Dataset: checks, class numbers, missing splits, scaling."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.datasets.checks import as_image_array, as_label_array, unit_scale
from automcu.datasets.record import Dataset, Split
from automcu.datasets.splits import draw_by_class
from automcu.errors import WrongInputError

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
