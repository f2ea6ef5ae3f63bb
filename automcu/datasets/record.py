"""A labelled data set in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
