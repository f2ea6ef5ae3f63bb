"""Learning from a teacher: one objective, into which a weighting of its answers is plugged.

Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, section 2.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from automcu.training.objective import Objective

Weighting = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(student logits, teacher logits, labels) to a scalar loss."""

TEMPERATURE = 4.0


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


@dataclass(frozen=True)
class HardAndSoftTargets:
    """`hard_weight` of the labels' cross-entropy, the rest of the teacher's soft targets."""

    hard_weight: float = 0.5
    temperature: float = TEMPERATURE

    def __call__(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Return the weighted sum of both losses."""
        soft = SoftTargets(self.temperature)(student, teacher, labels)
        return self.hard_weight * cross_entropy(student, labels) + (1 - self.hard_weight) * soft


def distillation_objective(teacher: nn.Module, weighting: Weighting) -> Objective:
    """Return an objective for `train`: a frozen `teacher` sees the same augmented images."""
    teacher.eval().requires_grad_(False)

    def objective(images: Tensor, student: Tensor, labels: Tensor) -> Tensor:
        teacher.to(images.device)
        with torch.no_grad():
            answers = teacher(images)
        return weighting(student, answers, labels)

    return objective
