"""How a network is trained: one record, so that a run can be repeated from its file."""

from typing import Literal

from pydantic import Field

from automcu.datasets.record import Dataset
from automcu.datasets.source import plain_name
from automcu.records import Record
from automcu.training.augmentation import Augmentation

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


class Recipe(Record):
    """Everything that, with the seed, determines a training.

    `learning_rate` is the peak, reached after `warmup` (a fraction of the training) and lowered to
    zero along a cosine. `images_per_epoch` draws that many images anew each epoch, None all.
    `shift_pixels`, `rotation_degrees`, `zoom` and `flip` are those of `Augmentation`. `time_budget`
    (seconds) plans fewer epochs where the computer is too slow, so that the learning rate still
    reaches zero. `patience` stops after so many epochs without a better validation result.
    """

    epochs: int = Field(default=PASSES, ge=1)
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


TRANSFORMER_RATE = 2e-3
"""Five times below that of convolutional networks: attention without normalised weights diverges
or stalls at theirs."""


def transformer_recipe_for(dataset: Dataset, time_budget: float | None = None) -> Recipe:
    """Return the default recipe for a vision transformer of a few hundred thousand parameters."""
    recipe = recipe_for(dataset, time_budget)
    return recipe.model_copy(update={"learning_rate": TRANSFORMER_RATE})


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
