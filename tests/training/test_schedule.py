import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.training.recipe import learning_rate, planned_epochs
from automcu.training.records import Recipe

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
