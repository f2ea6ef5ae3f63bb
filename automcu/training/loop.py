"""Training a network: one loop, resumable after any epoch."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from automcu.datasets.record import Dataset, Split
from automcu.errors import WrongInputError
from automcu.training.augmentation import augmented
from automcu.training.evaluation import loss_and_accuracy, suitable_threads
from automcu.training.recipe import learning_rate, planned_epochs
from automcu.training.records import EpochResult, Recipe, StopReason, Training, TrainingResult
from automcu.training.state import (
    AveragedNetwork,
    State,
    checkpoint_of,
    fingerprint,
    load_checkpoint,
    restore,
    save_checkpoint,
)

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images [n, c, h, w], the network's logits [n, classes], labels [n]) to a scalar loss."""

Progress = Callable[[int, int, float, float, float], None]
"""(epoch, epochs, training loss, validation accuracy, seconds left), after each epoch."""

SGD_MOMENTUM = 0.9
_CHECKPOINT = "checkpoint.pt"
_CURVE = "training.json"


@dataclass(frozen=True)
class _Images:
    """A split as two tensors on the training device, [n, height, width, channels] and [n]."""

    inputs: Tensor
    labels: Tensor


def train(
    network: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    progress: Progress | None = None,
    *,
    checkpoint: Path | None = None,
    objective: Objective | None = None,
) -> TrainingResult:
    """Train `network` in place and leave it holding the averaged weights that validated best.

    With `checkpoint`, the state is saved there after each epoch, and training goes on from there if
    the file exists: an interrupted training, continued, ends with the same weights. On the same
    processor and number of threads, equal network, data, recipe and seed give equal weights, unless
    a time budget cuts the training short. Ctrl-C leaves the best weights so far in `network`, which
    is always handed back on the CPU and in evaluation mode. Runs on a GPU where torch has one.

    Raises:
        WrongInputError: the checkpoint is of another training; or the loss became infinite at once.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    objective = objective or label_objective(recipe.label_smoothing)
    with suitable_threads(network, dataset.input_shape, recipe.batch_size), torch.random.fork_rng():
        torch.manual_seed(seed)
        identity = fingerprint(network, dataset, recipe, seed)
        run = _start(network, recipe, seed, device)
        if checkpoint is not None and checkpoint.exists():
            restore(run, load_checkpoint(checkpoint, identity))
        try:
            training, validation = _on(dataset.train, device), _on(dataset.validation, device)
            while run.ending is None:
                _run_epoch(run, training, validation, recipe, objective, progress)
                if checkpoint is not None:
                    save_checkpoint(checkpoint, checkpoint_of(run, identity))
        finally:
            if run.best_weights:
                network.load_state_dict(run.best_weights)
            network.to("cpu").eval()
    if not run.best_weights:
        raise WrongInputError(
            "Training diverged in its first epoch: the loss is not a number. "
            "Lower the learning rate, or check the images."
        )
    return _result(run, device)


def _start(network: nn.Module, recipe: Recipe, seed: int, device: torch.device) -> State:
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return State(
        network=network,
        averaged=AveragedNetwork(network, recipe.ema_decay),
        optimizer=_optimizer(network, recipe),
        generator=torch.Generator().manual_seed(seed),
    )


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Decay only weight matrices: shrinking biases and normalisation parameters does harm."""
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=recipe.learning_rate, momentum=SGD_MOMENTUM, nesterov=True, fused=True
        )
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def _on(split: Split, device: torch.device) -> _Images:
    inputs, labels = torch.from_numpy(split.inputs), torch.from_numpy(split.labels)
    return _Images(inputs.to(device), labels.to(device))


def _run_epoch(
    run: State,
    training: _Images,
    validation: _Images,
    recipe: Recipe,
    objective: Objective,
    progress: Progress | None,
) -> None:
    started = time.monotonic()
    training_loss = _train_epoch(run, training, recipe, objective, started)
    loss, accuracy = loss_and_accuracy(run.averaged.network, validation.inputs, validation.labels)
    run.seconds += time.monotonic() - started
    if not (math.isfinite(training_loss) and math.isfinite(loss)):
        run.ending = "diverged"
        return
    _record(
        run,
        EpochResult(
            training_loss=training_loss, validation_loss=loss, validation_accuracy=accuracy
        ),
    )
    run.ending = _stop_reason(run, recipe)
    if progress is not None:
        done = len(run.curve)
        epochs = done if run.ending else planned_epochs(recipe, done, run.seconds)
        progress(done, epochs, training_loss, accuracy, (epochs - done) * run.seconds / done)


def _train_epoch(
    run: State, training: _Images, recipe: Recipe, objective: Objective, started: float
) -> float:
    """Run one epoch's steps, fewer where the time budget ends; return the mean loss."""
    order = torch.randperm(len(training.labels), generator=run.generator)
    batches = _batches(order[: recipe.images_per_epoch], recipe.batch_size)
    done = len(run.curve)
    epochs = max(done + 1, planned_epochs(recipe, done, run.seconds))
    run.network.train()
    total, images = 0.0, 0
    for position, indices in enumerate(batches):
        rate = learning_rate(recipe, (done + position / len(batches)) / epochs)
        total += len(indices) * _step(run, training, indices, recipe, objective, rate)
        images += len(indices)
        spent = run.seconds + time.monotonic() - started
        if recipe.time_budget is not None and spent > recipe.time_budget:
            break
    return total / images


def _batches(order: Tensor, size: int) -> list[Tensor]:
    """Divide the drawn images; a last batch of one is left out, as it has no variance."""
    batches = list(torch.split(order, size))
    return batches[:-1] if len(batches) > 1 and len(batches[-1]) == 1 else batches


def _step(
    run: State,
    training: _Images,
    indices: Tensor,
    recipe: Recipe,
    objective: Objective,
    rate: float,
) -> float:
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    indices = indices.to(training.labels.device)
    images = augmented(
        training.inputs[indices].permute(0, 3, 1, 2), recipe.augmentation, run.generator
    )
    loss = objective(images, run.network(images), training.labels[indices])
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    run.averaged.update()
    return loss.item()


def _record(run: State, point: EpochResult) -> None:
    """Add a point to the curve, and keep the weights where it is the best so far.

    The loss decides: accuracy on a few hundred images is too coarse to tell epochs apart.
    """
    run.curve.append(point)
    if not run.best_epoch or point.validation_loss < run.curve[run.best_epoch - 1].validation_loss:
        run.best_epoch = len(run.curve)
        run.best_weights = copy.deepcopy(run.averaged.network.state_dict())


def _stop_reason(run: State, recipe: Recipe) -> StopReason | None:
    done = len(run.curve)
    if done >= recipe.epochs:
        return "finished"
    if recipe.patience is not None and done - run.best_epoch >= recipe.patience:
        return "patience"
    return "time budget" if planned_epochs(recipe, done, run.seconds) <= done else None


def _result(run: State, device: torch.device) -> TrainingResult:
    assert run.ending is not None
    return TrainingResult(
        curve=tuple(run.curve),
        best_epoch=run.best_epoch,
        best_validation_accuracy=run.curve[run.best_epoch - 1].validation_accuracy,
        seconds=run.seconds,
        ending=run.ending,
        device=str(device),
    )


def label_objective(label_smoothing: float) -> Objective:
    """Return cross-entropy with the labels, smoothed."""

    def objective(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(logits, labels, label_smoothing=label_smoothing)

    return objective


def fit(network: nn.Module, training: Training, recipe: Recipe, what: str = "") -> TrainingResult:
    """Train a float network as a family is asked to; its checkpoint and curve stay in the folder.

    `what` stands before the notes on each epoch.
    """
    training.folder.mkdir(parents=True, exist_ok=True)
    result = train(
        network,
        training.data,
        recipe,
        training.seed,
        epoch_notes(training, what),
        checkpoint=training.folder / _CHECKPOINT,
    )
    result.save(training.folder / _CURVE)
    return result


def epoch_notes(training: Training, what: str = "") -> Progress:
    """Return what writes a note on each epoch to the training's progress."""

    def after_epoch(epoch: int, epochs: int, _: float, correct: float, left: float) -> None:
        note = f"{what}epoch {epoch}/{epochs}, validation {100 * correct:.1f} %"
        training.progress(epoch / epochs, note, left)

    return after_epoch
