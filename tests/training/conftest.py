from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from automcu.datasets.record import Dataset, Split


def _network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


def _split(count: int, seed: int) -> Split:
    """Images whose brightest quarter is the class; noisy enough to be learnt over some epochs."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    inputs = generator.random((count, 6, 6, 1)) * 0.8
    corners = np.array([(0, 0), (0, 3), (3, 0)])
    for image, (row, column) in zip(inputs, corners[labels], strict=True):
        image[row : row + 3, column : column + 3] += 0.2
    return Split(inputs=inputs.astype(np.float32), labels=labels.astype(np.int64))


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    return _network


@pytest.fixture(scope="session")
def corners() -> Dataset:
    return Dataset(
        name="corners",
        train=_split(120, 0),
        validation=_split(60, 1),
        test=_split(60, 2),
        class_names=("a", "b", "c"),
    )
