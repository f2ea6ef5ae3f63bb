"""How a network is trained, so that a run can be repeated from its file, and the result.

Recipes follow from the data: length, rates, augmentation, shares of a time budget.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from automcu.datasets.record import Dataset, plain_name
from automcu.records import Record


@dataclass(frozen=True)
class Augmentation:
    """How far images are moved at random, each uniformly from minus to plus these bounds.

    Shifts are in pixels, rotations in degrees, zooms a fraction of the size (0.1: from 1/1.1 to
    1.1 times). `flip` mirrors half of the images left to right.
    """

    shift_pixels: float = 0.0
    rotation_degrees: float = 0.0
    zoom: float = 0.0
    flip: bool = False

    @property
    def changes_anything(self) -> bool:
        """Whether any bound is not zero."""
        return bool(self.shift_pixels or self.rotation_degrees or self.zoom or self.flip)


class Recipe(Record):
    """Everything that, with the seed, determines a training.

    `learning_rate` is the peak, reached after `warmup` (a fraction of the training) and lowered to
    zero along a cosine. `images_per_epoch` draws that many images anew each epoch, None all.
    `shift_pixels`, `rotation_degrees`, `zoom` and `flip` are those of `Augmentation`. `time_budget`
    (seconds) plans fewer epochs where the computer is too slow, so that the learning rate still
    reaches zero. `patience` stops after so many epochs without a better validation result.
    """

    epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=64, ge=1)
    images_per_epoch: int | None = Field(default=None, ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-2, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.02, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    shift_pixels: float = Field(default=0.0, ge=0)
    rotation_degrees: float = Field(default=0.0, ge=0)
    zoom: float = Field(default=0.0, ge=0)
    flip: bool = False
    time_budget: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, ge=1)

    @property
    def augmentation(self) -> Augmentation:
        """The random changes that training images undergo."""
        return Augmentation(self.shift_pixels, self.rotation_degrees, self.zoom, self.flip)


class TernaryRecipe(Record):
    """Both phases: imitation at the first rate, recovery at the second, each along a cosine."""

    imitation: Recipe = Recipe(epochs=100, learning_rate=1e-4, weight_decay=0.0)
    recovery: Recipe = Recipe(epochs=20, learning_rate=1e-5, weight_decay=0.0)
    temperature: float = Field(default=1.0, gt=0)


StopReason = Literal["finished", "patience", "time budget", "diverged"]


class EpochResult(Record):
    """One point of the learning curve; accuracies are fractions of 1, of the averaged weights."""

    training_loss: float
    validation_loss: float
    validation_accuracy: float


class TrainingResult(Record):
    """The learning curve, the epoch (counted from 1) whose weights the network now holds, the time.

    `ending` says why the training stopped; `device` is torch's name of what it ran on.
    """

    curve: tuple[EpochResult, ...]
    best_epoch: int
    best_validation_accuracy: float
    seconds: float
    ending: StopReason
    device: str


class TernaryTraining(Record):
    """How a ternary network learned from its float teacher, in both phases."""

    recipe: TernaryRecipe
    imitation: TrainingResult
    recovery: TrainingResult


@dataclass(frozen=True)
class Training:
    """What a training is given: data in the network's input shape, and a folder for its files.

    `seconds` is the time that there is. `progress` is called with a fraction, a note and the
    seconds left.
    """

    data: Dataset
    seed: int
    seconds: float | None
    folder: Path
    progress: Callable[[float, str, float | None], None]


@dataclass(frozen=True)
class Trained:
    """What a training leaves beside its files; the accuracy is a fraction of the validation split.

    `recipe` and `training` are those of the float network; with `ternary` it is the teacher of
    the one that is deployed. `macs` are None where they are those of the compiled program.
    """

    recipe: Recipe
    training: TrainingResult
    float_accuracy: float
    parameters: int
    macs: int | None = None
    ternary: TernaryTraining | None = None


MIRRORED_DATA = ("cifar10", "cifar100", "fashionmnist")
"""Data in which left and right mean nothing. Unknown data may hold arrows or digits: no flips."""

SHIFT_FRACTION = 1 / 12
"""Of the shorter side: 0.7 pixels of the 8x8 digits, 2.7 pixels at 32x32."""

SMALL_SET = 10_000
ROTATION_DEGREES = 15.0
ZOOM = 0.15
"""Below so many images, turned and zoomed copies keep a network from learning them by heart."""

PASSES = 60
LARGEST_EPOCH = 10_000
MOST_IMAGES = 500_000
"""Small sets are seen 60 times over; large ones in epochs of 10,000 images, 50 of them."""

# Small networks that are trained for minutes learn from softened answers at rates near their
# teacher's; the teacher's own rate is for weights that need not jump from one integer to the next.
_RATE_OF_TEACHERS = 0.5
_RECOVERY_RATE = 0.1
_RECOVERY_SHARE = 0.2
_TEMPERATURE = 2.0
# Of the time for one network: what the teacher has not learned, no student can imitate.
_TEACHERS_SHARE = 0.6

TRANSFORMER_RATE = 2e-3
"""Five times below that of convolutional networks: attention without normalised weights diverges
or stalls at theirs."""


def recipe_for(dataset: Dataset, time_budget: float | None = None) -> Recipe:
    """Return the default recipe for a data set: length and augmentation follow from its size."""
    images = len(dataset.train.labels)
    per_epoch = min(images, LARGEST_EPOCH)
    height, width, _ = dataset.input_shape
    return Recipe(
        epochs=max(1, min(PASSES * images, MOST_IMAGES) // per_epoch),
        images_per_epoch=per_epoch if per_epoch < images else None,
        shift_pixels=min(height, width) * SHIFT_FRACTION,
        rotation_degrees=ROTATION_DEGREES if images < SMALL_SET and height > 1 else 0.0,
        zoom=ZOOM if images < SMALL_SET and height > 1 else 0.0,
        flip=plain_name(dataset.name) in MIRRORED_DATA,
        time_budget=time_budget,
    )


def transformer_recipe_for(dataset: Dataset, time_budget: float | None = None) -> Recipe:
    """Return the default recipe for a vision transformer of a few hundred thousand parameters."""
    recipe = recipe_for(dataset, time_budget)
    return recipe.model_copy(update={"learning_rate": TRANSFORMER_RATE})


def ternary_recipe_for(recipe: Recipe) -> TernaryRecipe:
    """Return the phases for a student whose teacher is trained by `recipe`.

    Imitation has as many epochs as the teacher's training, recovery a fifth of them at a tenth of
    the rate; a time budget is divided likewise.
    """
    budget = recipe.time_budget

    def phase(share: float, epochs: int, rate: float) -> Recipe:
        return recipe.model_copy(
            update={
                "epochs": epochs,
                "learning_rate": rate,
                "weight_decay": 0.0,
                "time_budget": None if budget is None else share * budget,
            }
        )

    rate = _RATE_OF_TEACHERS * recipe.learning_rate
    recovering = max(1, round(_RECOVERY_SHARE * recipe.epochs))
    return TernaryRecipe(
        imitation=phase(1 - _RECOVERY_SHARE, recipe.epochs, rate),
        recovery=phase(_RECOVERY_SHARE, recovering, _RECOVERY_RATE * rate),
        temperature=_TEMPERATURE,
    )


def teachers_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with the teacher's share of its time."""
    if recipe.time_budget is None:
        return recipe
    return recipe.model_copy(update={"time_budget": _TEACHERS_SHARE * recipe.time_budget})


def students_recipe(recipe: Recipe) -> TernaryRecipe:
    """Return the phases of a student that has the rest of the recipe's time."""
    if recipe.time_budget is None:
        return ternary_recipe_for(recipe)
    left = (1 - _TEACHERS_SHARE) * recipe.time_budget
    return ternary_recipe_for(recipe.model_copy(update={"time_budget": left}))


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
