"""The two phases of training a ternary network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from automcu.datasets.record import Dataset, Split
from automcu.networks.transformers.family import TransformerShape
from automcu.networks.transformers.torch import build_vision_transformer
from automcu.training.loop import accuracy, train
from automcu.training.records import Recipe, TernaryRecipe, ternary_recipe_for
from automcu.training.ternary import (
    SoftTargets,
    distillation_objective,
    train_ternary,
)

SHAPE = TransformerShape(resolution=8, patch=4, dim=8, depth=1, heads=2, classes=2)


def bright_and_dark(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    inputs = generator.random((count, 8, 8, 1), dtype=np.float32) * 0.5
    return Split(inputs + labels[:, None, None, None].astype(np.float32) * 0.5, labels)


def test_the_student_learns_the_teachers_answers_and_the_teacher_stays() -> None:
    torch.manual_seed(0)
    data = Dataset(
        "brightness",
        *(bright_and_dark(count, seed) for seed, count in enumerate((256, 64, 64))),
        ("dark", "bright"),
    )
    teacher = build_vision_transformer(SHAPE, ternary=False)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student = build_vision_transformer(SHAPE, ternary=True)
    recipe = TernaryRecipe(
        imitation=Recipe(epochs=6, learning_rate=3e-3, batch_size=32),
        recovery=Recipe(epochs=2, learning_rate=3e-4, batch_size=32),
    )
    first, second = train_ternary(student, teacher, data, recipe, seed=1)
    assert len(first.curve) == 6 and len(second.curve) == 2
    assert first.curve[-1].training_loss < first.curve[0].training_loss
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert any(not torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    data = Dataset(
        "brightness",
        *(bright_and_dark(count, seed) for seed, count in enumerate((64, 32, 32))),
        ("dark", "bright"),
    )
    torch.manual_seed(0)
    teacher = build_vision_transformer(SHAPE, ternary=False)
    recipe = ternary_recipe_for(Recipe(epochs=3, learning_rate=2e-3, batch_size=32))
    assert recipe.imitation.epochs == 3 and recipe.recovery.epochs == 1
    assert recipe.recovery.learning_rate < recipe.imitation.learning_rate
    students = [build_vision_transformer(SHAPE, ternary=True) for _ in range(2)]
    whole = train_ternary(students[0], teacher, data, recipe, seed=1)

    def stop(epoch: int, *_: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ternary(students[1], teacher, data, recipe, 1, stop, checkpoints=tmp_path)
    again = train_ternary(students[1], teacher, data, recipe, seed=1, checkpoints=tmp_path)
    assert [len(one.curve) for one in again] == [len(one.curve) for one in whole] == [3, 1]
    for name, value in students[0].state_dict().items():
        assert torch.equal(value, students[1].state_dict()[name]), name


def test_the_papers_rates_are_the_usual_ones() -> None:
    recipe = TernaryRecipe()
    assert recipe.imitation.learning_rate == 1e-4 and recipe.recovery.learning_rate == 1e-5


LABELS = torch.tensor([0, 1])
LOGITS = torch.tensor([[2.0, -1.0, 0.0], [0.5, 0.1, -3.0]])


def test_agreeing_with_the_teacher_costs_nothing() -> None:
    assert SoftTargets()(LOGITS, LOGITS + 5.0, LABELS).item() == pytest.approx(0.0, abs=1e-5)
    assert SoftTargets()(LOGITS, -LOGITS, LABELS).item() > 0.1


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
