from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from automcu.datasets.record import Dataset
from automcu.training.evaluation import accuracy
from automcu.training.loop import train
from automcu.training.records import Recipe
from automcu.training.ternary import HardAndSoftTargets, SoftTargets, distillation_objective

LABELS = torch.tensor([0, 1])
LOGITS = torch.tensor([[2.0, -1.0, 0.0], [0.5, 0.1, -3.0]])


def test_agreeing_with_the_teacher_costs_nothing() -> None:
    assert SoftTargets()(LOGITS, LOGITS + 5.0, LABELS).item() == pytest.approx(0.0, abs=1e-5)
    assert SoftTargets()(LOGITS, -LOGITS, LABELS).item() > 0.1


def test_the_mix_goes_from_labels_only_to_teacher_only() -> None:
    teacher = -LOGITS
    hard = HardAndSoftTargets(hard_weight=1.0)(LOGITS, teacher, LABELS)
    soft = HardAndSoftTargets(hard_weight=0.0)(LOGITS, teacher, LABELS)
    middle = HardAndSoftTargets(hard_weight=0.5)(LOGITS, teacher, LABELS)
    assert hard.item() == pytest.approx(cross_entropy(LOGITS, LABELS).item())
    assert soft.item() == pytest.approx(SoftTargets()(LOGITS, teacher, LABELS).item())
    assert middle.item() == pytest.approx((hard.item() + soft.item()) / 2)


def test_gradients_keep_their_size_at_any_temperature() -> None:
    sizes = []
    for temperature in (4.0, 40.0):
        student = LOGITS.clone().requires_grad_()
        SoftTargets(temperature)(student, -LOGITS, LABELS).backward()  # type: ignore[no-untyped-call]
        assert student.grad is not None
        sizes.append(student.grad.abs().mean().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.3)


def test_a_student_learns_from_its_teacher_alone(
    build: Callable[..., nn.Module], corners: Dataset
) -> None:
    recipe = Recipe(epochs=15, batch_size=16, learning_rate=0.02, ema_decay=0.9)
    teacher, student = build(0), build(1)
    train(teacher, corners, recipe, seed=0)
    before = [parameter.clone() for parameter in teacher.parameters()]
    objective = distillation_objective(teacher, SoftTargets())
    train(student, corners, recipe, seed=0, objective=objective)
    assert accuracy(student, corners.test) > 0.9
    assert all(map(torch.equal, before, teacher.parameters()))
