"""Learning rate over a training, and how many epochs fit a time budget."""

import math

from automcu.training.recipe import Recipe


def learning_rate(recipe: Recipe, fraction: float) -> float:
    """Return the rate at `fraction` (0 to 1) of the training: linear warm-up, then a cosine.

    Source: Loshchilov and Hutter, SGDR, ICLR 2017, equation 5, without restarts.
    """
    if fraction < recipe.warmup:
        return recipe.learning_rate * fraction / recipe.warmup
    position = (fraction - recipe.warmup) / (1 - recipe.warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(position, 1.0)))


def planned_epochs(recipe: Recipe, done: int, seconds: float) -> int:
    """Return how many epochs the training shall have, given `done` epochs in `seconds`."""
    if recipe.time_budget is None or done == 0:
        return recipe.epochs
    remaining = (recipe.time_budget - seconds) / (seconds / done)
    return min(recipe.epochs, done + max(0, math.floor(remaining)))
