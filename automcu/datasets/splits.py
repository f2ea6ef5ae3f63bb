"""Stratified splits: every class is divided in the same proportion."""

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError


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
