from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset, Split
from automcu.training.records import Recipe, learning_rate, planned_epochs, recipe_for


def test_digits_are_shifted_by_less_than_a_pixel_and_never_mirrored() -> None:
    recipe = recipe_for(load_dataset("digits"), time_budget=30)
    assert 0.5 < recipe.shift_pixels < 1
    assert recipe.rotation_degrees > 0
    assert not recipe.flip
    assert recipe.time_budget == 30


def test_photographs_known_to_be_symmetric_are_mirrored(corners: Dataset) -> None:
    assert recipe_for(replace(corners, name="cifar10")).flip
    assert not recipe_for(corners).flip


def test_large_data_is_seen_in_short_epochs(corners: Dataset) -> None:
    many = Split(np.zeros((60_000, 1, 1, 1), np.float32), np.zeros(60_000, np.int64))
    recipe = recipe_for(replace(corners, train=many))
    assert recipe.images_per_epoch == 10_000
    assert recipe.epochs * recipe.images_per_epoch == 500_000


def test_a_recipe_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, patience=2)
    recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == recipe


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": -1}, {"ema_decay": 1}])
def test_impossible_recipes_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


RECIPE = Recipe(epochs=10, learning_rate=0.5, warmup=0.2)


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    assert learning_rate(RECIPE, 0.0) == 0.0
    assert learning_rate(RECIPE, 0.2) == pytest.approx(0.5)
    assert learning_rate(RECIPE, 0.6) == pytest.approx(0.25)
    assert learning_rate(RECIPE, 1.0) == pytest.approx(0.0)


@settings(deadline=None)
@given(first=st.floats(0.2, 1.0), second=st.floats(0.2, 1.0))
def test_after_warm_up_the_rate_never_rises(first: float, second: float) -> None:
    earlier, later = sorted((first, second))
    assert learning_rate(RECIPE, earlier) >= learning_rate(RECIPE, later) >= 0


def test_without_warm_up_training_begins_at_the_peak() -> None:
    assert learning_rate(RECIPE.model_copy(update={"warmup": 0.0}), 0.0) == 0.5


def test_a_budget_plans_as_many_epochs_as_fit() -> None:
    hurried = RECIPE.model_copy(update={"time_budget": 10.0})
    assert planned_epochs(hurried, done=0, seconds=0.0) == 10
    assert planned_epochs(hurried, done=2, seconds=4.0) == 5
    assert planned_epochs(hurried, done=2, seconds=0.2) == 10
    assert planned_epochs(hurried, done=2, seconds=11.0) == 2
    assert planned_epochs(RECIPE, done=2, seconds=1e9) == 10
