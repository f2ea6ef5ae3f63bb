"""A labelled data set in memory, its splits, its size, and what every source of data offers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
