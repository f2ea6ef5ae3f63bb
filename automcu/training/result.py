"""What a training leaves behind besides the weights."""

from typing import Literal

from automcu.records import Record

Ending = Literal["finished", "patience", "time budget", "diverged"]


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
    ending: Ending
    device: str
