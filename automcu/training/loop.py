"""Training a network: one loop, resumable after any epoch; augmented batches, accuracy, threads."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample
from torch.utils.flop_counter import FlopCounterMode

from automcu.datasets.record import Dataset, Split
from automcu.errors import WrongInputError
from automcu.training.records import (
    Augmentation,
    EpochResult,
    Recipe,
    StopReason,
    Training,
    TrainingResult,
    learning_rate,
    planned_epochs,
)
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


def augmented(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Resample images [n, channels, height, width] bilinearly; outside of an image is zero."""
    if not augmentation.changes_anything:
        return images
    maps = _affine_maps(images.shape, augmentation, generator).to(images.device)
    grid = affine_grid(maps, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False)


def _affine_maps(
    shape: torch.Size, augmentation: Augmentation, generator: torch.Generator
) -> Tensor:
    """Return [n, 2, 3]: from a pixel of the result to one of the source, both in units of -1 to 1.

    A turn is made in pixels: where images are not square, the off-diagonal terms carry the ratio.
    """
    count, _, height, width = shape

    def uniform(bound: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * bound

    angle = uniform(math.radians(augmentation.rotation_degrees))
    factor = torch.exp(uniform(math.log1p(augmentation.zoom)))
    right = uniform(augmentation.shift_pixels * 2 / width)
    down = uniform(augmentation.shift_pixels * 2 / height)
    mirror = torch.ones(count)
    if augmentation.flip:
        mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cosine, sine = factor * angle.cos(), factor * angle.sin()
    first = torch.stack([mirror * cosine, -sine * height / width, right], dim=1)
    second = torch.stack([mirror * sine * width / height, cosine, down], dim=1)
    return torch.stack([first, second], dim=1)


BATCH = 512

FLOPS_WORTH_THREADS = 2e9
"""Forward operations per step. Below, more threads gain little on idle cores, and make training
tens of times slower while another program holds a core: all threads meet at every layer."""


def accuracy(network: nn.Module, split: Split) -> float:
    """Return the fraction of `split` that the network classifies correctly."""
    height, width, channels = split.inputs.shape[1:]
    with suitable_threads(network, (height, width, channels), BATCH):
        logits = predict_logits(network, torch.from_numpy(split.inputs))
    return _fraction_correct(logits, torch.from_numpy(split.labels))


def loss_and_accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy; `images` is [n, height, width, channels]."""
    logits = predict_logits(network, images)
    labels = labels.to(logits.device)
    return float(cross_entropy(logits, labels)), _fraction_correct(logits, labels)


def predict_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Return logits [n, classes] of images [n, height, width, channels], in evaluation mode."""
    device = device_of(network)
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            return torch.cat(
                [
                    network(batch.to(device).permute(0, 3, 1, 2))
                    for batch in torch.split(images, BATCH)
                ]
            )
    finally:
        network.train(was_training)


def _fraction_correct(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels.to(logits.device)).double().mean())


def device_of(network: nn.Module) -> torch.device:
    """Return the device of the network's first parameter, the processor if it has none."""
    parameter = next(network.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


@contextmanager
def suitable_threads(
    network: nn.Module, input_shape: tuple[int, int, int], batch_size: int
) -> Iterator[None]:
    """Use one thread inside the block where the network is small, torch's own number where not.

    The choice depends on sizes only, never on timing: sums, and so results, differ with the number
    of threads.
    """
    before = torch.get_num_threads()
    if forward_flops(network, input_shape) * batch_size < FLOPS_WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forward_flops(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Return the floating-point operations of one image [height, width, channels]; 2 per MAC."""
    height, width, channels = input_shape
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, channels, height, width, device=device_of(network)))
    finally:
        network.train(was_training)
    return int(counter.get_total_flops())
