from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset, Split
from automcu.training.recipe import recipe_for
from automcu.training.records import Recipe


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
