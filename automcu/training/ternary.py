"""Ternary networks: layers whose weights are -1, 0 or 1 times a scale, and how they learn.

A weight is rounded after division by the mean magnitude (Ma et al., The era of 1-bit LLMs, 2024,
section 2); the float weights behind it are what is trained, with the gradient of the rounded ones
(Bengio, Leonard and Courville, 2013).

A ternary network starts from a float one of the same parameters and learns in two phases. First it
only imitates the frozen teacher (Kullback-Leibler divergence), then it recovers at a lower rate.
The paper's rates are 1e-4 and 1e-5, for networks trained on ImageNet; small networks that are
trained for minutes need larger ones. Distillation: Hinton, Vinyals and Dean, Distilling the
Knowledge in a Neural Network, 2015, section 2.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    conv2d,
    kl_div,
    layer_norm,
    linear,
    log_softmax,
)

from automcu.datasets.record import Dataset
from automcu.training.loop import Objective, Progress, epoch_notes, train
from automcu.training.records import (
    Recipe,
    TernaryRecipe,
    TernaryTraining,
    Training,
    TrainingResult,
    students_recipe,
)

_SMALLEST_SCALE = 1e-8
_CHECKPOINTS = "ternary"
Weighting = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(student logits, teacher logits, labels) to a scalar loss."""

TEMPERATURE = 4.0


def ternary_parts(weight: Tensor, per_channel: bool = False) -> tuple[Tensor, Tensor]:
    """Integers -1, 0, 1 in the shape of `weight`, and their scale: one, or one a first index."""
    magnitudes = weight.abs()
    dimensions = tuple(range(1, weight.ndim)) if per_channel else tuple(range(weight.ndim))
    scale = magnitudes.mean(dim=dimensions, keepdim=True).clamp_min(_SMALLEST_SCALE)
    return (weight / scale).round().clamp(-1, 1), scale


def ternary(weight: Tensor, per_channel: bool = False) -> Tensor:
    """The rounded weights, differentiable as if they were not rounded."""
    integers, scale = ternary_parts(weight, per_channel)
    return weight + (integers * scale - weight).detach()


class TernaryLinear(nn.Linear):
    """A linear layer with one scale for all weights; its bias stays real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to [..., out]."""
        return linear(inputs, ternary(self.weight), self.bias)


class TernaryConv2d(nn.Conv2d):
    """A convolution with a scale for each output channel; its bias stays real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Images [n, c, h, w]."""
        weight = ternary(self.weight, per_channel=True)
        return conv2d(inputs, weight, self.bias, self.stride, self.padding)


class TernaryLayerNorm(nn.LayerNorm):
    """A layer norm whose gains are ternary; its offsets stay real."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., channels], normalised over the last axis."""
        gains = ternary(self.weight)
        return layer_norm(inputs, list(self.normalized_shape), gains, self.bias, self.eps)


def integers_and_scales(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Integers and scales of a ternary layer's weights."""
    weight = layer.get_parameter("weight")
    with torch.no_grad():
        return ternary_parts(weight, isinstance(layer, TernaryConv2d))


def with_ternary_values(network: nn.Module) -> nn.Module:
    """Return a copy whose ternary convolutions are plain ones that hold the rounded weights.

    It computes the same. An exporter then sees constants, not the rounding.
    """
    plain = copy.deepcopy(network)
    for parent in list(plain.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, TernaryConv2d):
                setattr(parent, name, _plain(layer))
    return plain


def _plain(layer: TernaryConv2d) -> nn.Conv2d:
    height, width = layer.kernel_size
    plain = nn.Conv2d(
        layer.in_channels, layer.out_channels, (height, width), bias=layer.bias is not None
    )
    plain.stride, plain.padding = layer.stride, layer.padding
    with torch.no_grad():
        plain.weight.copy_(ternary(layer.weight, per_channel=True))
        if plain.bias is not None and layer.bias is not None:
            plain.bias.copy_(layer.bias)
    return plain


@dataclass(frozen=True)
class SoftTargets:
    """KL divergence to the teacher at a temperature, times its square to keep gradients' size."""

    temperature: float = TEMPERATURE

    def __call__(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; `labels` are not looked at."""
        return self.temperature**2 * kl_div(
            log_softmax(student / self.temperature, dim=1),
            log_softmax(teacher / self.temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )


def distillation_objective(teacher: nn.Module, weighting: Weighting) -> Objective:
    """Return an objective for `train`: a frozen `teacher` sees the same augmented images."""
    teacher.eval().requires_grad_(False)

    def objective(images: Tensor, student: Tensor, labels: Tensor) -> Tensor:
        teacher.to(images.device)
        with torch.no_grad():
            answers = teacher(images)
        return weighting(student, answers, labels)

    return objective


def train_ternary(
    student: nn.Module,
    teacher: nn.Module,
    dataset: Dataset,
    recipe: TernaryRecipe,
    seed: int,
    progress: Progress | None = None,
    *,
    start: nn.Module | None = None,
    checkpoints: Path | None = None,
) -> tuple[TrainingResult, TrainingResult]:
    """Train `student` in place, starting from the teacher's parameters; results of both phases.

    `start` is a network to start from instead, for a teacher that is built otherwise.
    With `checkpoints`, a folder, an interrupted training goes on from the phase and epoch that it
    had reached.

    Raises:
        WrongInputError: training diverged, or a checkpoint is of another training.
        RuntimeError: the student and what it starts from do not have the same parameters.
    """
    student.load_state_dict((start or teacher).state_dict())
    weighting: Weighting = SoftTargets(recipe.temperature)
    objective = distillation_objective(teacher, weighting)
    phases = (("imitation", recipe.imitation), ("recovery", recipe.recovery))
    first, second = (
        train(
            student,
            dataset,
            phase,
            seed + number,
            progress,
            checkpoint=checkpoints / f"{name}.pt" if checkpoints else None,
            objective=objective,
        )
        for number, (name, phase) in enumerate(phases)
    )
    return first, second


def fit_ternary(
    student: nn.Module, teacher: nn.Module, training: Training, recipe: Recipe
) -> TernaryTraining:
    """Train `student` from the trained `teacher`; `recipe` is that of both together."""
    phases = students_recipe(recipe)
    torch.manual_seed(training.seed)
    checkpoints = training.folder / _CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    imitation, recovery = train_ternary(
        student,
        teacher,
        training.data,
        phases,
        training.seed,
        epoch_notes(training, "ternary, "),
        checkpoints=checkpoints,
    )
    return TernaryTraining(recipe=phases, imitation=imitation, recovery=recovery)
