"""How a network is trained, so that a run can be repeated from its file, and the result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from automcu.datasets.record import Dataset
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
