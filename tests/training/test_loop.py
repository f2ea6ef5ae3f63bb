import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from automcu.datasets.record import Dataset
from automcu.errors import WrongInputError
from automcu.training.loop import accuracy, label_objective, train
from automcu.training.records import Recipe, TrainingResult

Build = Callable[..., nn.Module]

RECIPE = Recipe(
    epochs=6, batch_size=16, learning_rate=0.02, shift_pixels=1, ema_decay=0.9, zoom=0.1
)


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def _same_apart_from_time(first: TrainingResult, second: TrainingResult) -> bool:
    ignored = {"seconds"}
    return first.model_dump(exclude=ignored) == second.model_dump(exclude=ignored)


def test_training_learns_and_leaves_the_weights_that_validated_best(
    build: Build, corners: Dataset
) -> None:
    network = build()
    before = accuracy(network, corners.test)
    recipe = RECIPE.model_copy(update={"epochs": 15, "shift_pixels": 0})
    result = train(network, corners, recipe, seed=0)
    losses = [point.validation_loss for point in result.curve]
    assert result.ending == "finished"
    assert len(losses) == 15
    assert losses[result.best_epoch - 1] == min(losses)
    assert result.best_validation_accuracy == accuracy(network, corners.validation)
    assert accuracy(network, corners.test) > max(0.9, before)
    assert not network.training


def test_equal_seeds_give_equal_weights_and_others_do_not(build: Build, corners: Dataset) -> None:
    networks = [build(dropout=0.2) for _ in range(3)]
    first, second, third = (
        train(network, corners, RECIPE, seed)
        for network, seed in zip(networks, (7, 7, 8), strict=True)
    )
    assert _same_apart_from_time(first, second)
    assert torch.equal(_weights(networks[0]), _weights(networks[1]))
    assert not torch.equal(_weights(networks[0]), _weights(networks[2]))
    assert first.curve != third.curve


def test_training_leaves_torch_as_it_found_it(build: Build, corners: Dataset) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    network = build()
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(network, corners, RECIPE.model_copy(update={"epochs": 1}), seed=0)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("step", [0, 3, 20, 47])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    build: Build, corners: Dataset, tmp_path: Path, step: int
) -> None:
    whole, interrupted, resumed = (build(dropout=0.2) for _ in range(3))
    expected = train(whole, corners, RECIPE, seed=1)
    steps = 0

    def stop_here(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        nonlocal steps
        if steps == step:
            raise KeyboardInterrupt
        steps += 1
        return label_objective(RECIPE.label_smoothing)(images, logits, labels)

    checkpoint = tmp_path / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, corners, RECIPE, 1, checkpoint=checkpoint, objective=stop_here)
    assert checkpoint.exists() == (step >= 8)  # 120 images make 8 steps an epoch

    torch.manual_seed(99)
    result = train(resumed, corners, RECIPE, 1, checkpoint=checkpoint)
    assert _same_apart_from_time(result, expected)
    assert torch.equal(_weights(resumed), _weights(whole))
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_ctrl_c_leaves_the_best_weights_so_far(build: Build, corners: Dataset) -> None:
    def stop_in_third_epoch(epoch: int, *_: float) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    network, reference = build(), build()
    with pytest.raises(KeyboardInterrupt):
        train(network, corners, RECIPE, 1, stop_in_third_epoch)
    points: list[float] = []
    train(reference, corners, RECIPE, 1, lambda *values: points.append(values[3]))
    assert accuracy(network, corners.validation) in points[:3]


def test_a_finished_checkpoint_answers_without_training_again(
    build: Build, corners: Dataset, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "training.pt"
    first, second = build(), build()
    expected = train(first, corners, RECIPE, 1, checkpoint=checkpoint)
    epochs: list[int] = []
    result = train(
        second, corners, RECIPE, 1, lambda epoch, *_: epochs.append(epoch), checkpoint=checkpoint
    )
    assert result == expected
    assert epochs == []
    assert torch.equal(_weights(first), _weights(second))


@pytest.mark.parametrize("difference", ["recipe", "seed", "network", "dataset"])
def test_the_checkpoint_of_another_training_is_refused(
    build: Build, corners: Dataset, tmp_path: Path, difference: str
) -> None:
    checkpoint = tmp_path / "training.pt"
    short = RECIPE.model_copy(update={"epochs": 1})
    train(build(), corners, short, 1, checkpoint=checkpoint)
    other_network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    other_data = Dataset("x", corners.train, corners.validation, corners.test, ("a", "b", "c"))
    with pytest.raises(WrongInputError, match=f"its {difference} differs"):
        train(
            other_network if difference == "network" else build(),
            other_data if difference == "dataset" else corners,
            RECIPE if difference == "recipe" else short,
            2 if difference == "seed" else 1,
            checkpoint=checkpoint,
        )


def test_a_damaged_checkpoint_is_named(build: Build, corners: Dataset, tmp_path: Path) -> None:
    checkpoint = tmp_path / "training.pt"
    short = RECIPE.model_copy(update={"epochs": 1})
    train(build(), corners, short, 1, checkpoint=checkpoint)
    content = checkpoint.read_bytes()
    for damaged in (b"", b"text", content[: len(content) // 2]):
        checkpoint.write_bytes(damaged)
        with pytest.raises(WrongInputError, match=r"training\.pt is not a readable checkpoint"):
            train(build(), corners, short, 1, checkpoint=checkpoint)


def test_progress_counts_epochs_up_and_seconds_down(build: Build, corners: Dataset) -> None:
    calls: list[tuple[int, int, float, float, float]] = []
    result = train(build(), corners, RECIPE, 0, lambda *values: calls.append(values))
    assert [call[:2] for call in calls] == [(epoch, 6) for epoch in range(1, 7)]
    assert [call[2] for call in calls] == [point.training_loss for point in result.curve]
    assert [call[3] for call in calls] == [point.validation_accuracy for point in result.curve]
    assert all(call[4] > 0 for call in calls[:-1])
    assert calls[-1][4] == 0


def test_training_stops_when_the_learning_curve_is_flat(build: Build, corners: Dataset) -> None:
    frozen = RECIPE.model_copy(
        update={"learning_rate": 1e-30, "weight_decay": 0.0, "patience": 2, "epochs": 50}
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    result = train(network, corners, frozen, 0)
    assert result.ending == "patience"
    assert len(result.curve) == result.best_epoch + 2 < 50


def test_a_time_budget_ends_training_even_within_an_epoch(build: Build, corners: Dataset) -> None:
    def slow(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        time.sleep(0.05)
        return label_objective(0.0)(images, logits, labels)

    budget = RECIPE.model_copy(update={"time_budget": 0.2, "batch_size": 4})
    result = train(build(), corners, budget, 0, objective=slow)
    assert result.ending == "time budget"
    assert len(result.curve) == 1


def test_a_generous_time_budget_changes_nothing(build: Build, corners: Dataset) -> None:
    free, budgeted = build(), build()
    train(free, corners, RECIPE, 0)
    train(budgeted, corners, RECIPE.model_copy(update={"time_budget": 600.0}), 0)
    assert torch.equal(_weights(free), _weights(budgeted))


def test_an_infinite_loss_is_an_error_with_advice(build: Build, corners: Dataset) -> None:
    def infinite(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.sum() * float("inf")

    with pytest.raises(WrongInputError, match="Lower the learning rate"):
        train(build(), corners, RECIPE, 0, objective=infinite)


def test_an_epoch_can_be_a_part_of_the_images(build: Build, corners: Dataset) -> None:
    seen = 0

    def count(images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        nonlocal seen
        seen += len(labels)
        return label_objective(0.0)(images, logits, labels)

    part = RECIPE.model_copy(update={"images_per_epoch": 50, "epochs": 3})
    train(build(), corners, part, 0, objective=count)
    assert seen == 150


def test_a_last_batch_of_one_image_is_left_out(corners: Dataset) -> None:
    network = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(1, 3)
    )
    recipe = Recipe(epochs=1, batch_size=17)  # 120 = 7 * 17 + 1, and one pixel has no variance
    assert train(network, corners, recipe, 0).ending == "finished"


def test_sgd_learns_too(build: Build, corners: Dataset) -> None:
    network = build()
    recipe = RECIPE.model_copy(update={"optimizer": "sgd", "learning_rate": 0.1, "epochs": 20})
    train(network, corners, recipe, seed=0)
    assert accuracy(network, corners.test) > 0.85
