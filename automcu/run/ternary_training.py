"""A ternary network in a run: a float teacher of the same parameters first, then the student."""

from pathlib import Path

import torch
from torch import nn

from automcu.datasets.record import Dataset
from automcu.run.job import Job
from automcu.run.records import TernaryTraining
from automcu.training.loop import Progress, train
from automcu.training.recipe import Recipe
from automcu.training.result import TrainingResult
from automcu.training.ternary import TernaryRecipe, ternary_recipe_for, train_ternary

CHECKPOINT = "checkpoint.pt"
_STUDENT_CHECKPOINTS = "ternary"
# Of the time for one candidate: what the teacher has not learned, no student can imitate.
_TEACHERS_SHARE = 0.6


def fit(
    job: Job, network: nn.Module, data: Dataset, recipe: Recipe, checkpoint: Path, what: str = ""
) -> TrainingResult:
    """Train a float network, telling of each epoch."""
    return train(
        network, data, recipe, job.settings.seed, _teller(job, what), checkpoint=checkpoint
    )


def teachers_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe with the teacher's share of its time."""
    if recipe.time_budget is None:
        return recipe
    return recipe.model_copy(update={"time_budget": _TEACHERS_SHARE * recipe.time_budget})


def fit_ternary(
    job: Job, student: nn.Module, teacher: nn.Module, data: Dataset, recipe: Recipe, home: Path
) -> TernaryTraining:
    """Train `student` from the trained `teacher`; `recipe` is that of both together."""
    phases = _students_recipe(recipe)
    torch.manual_seed(job.settings.seed)
    checkpoints = home / _STUDENT_CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    imitation, recovery = train_ternary(
        student,
        teacher,
        data,
        phases,
        job.settings.seed,
        _teller(job, "ternary, "),
        checkpoints=checkpoints,
    )
    return TernaryTraining(recipe=phases, imitation=imitation, recovery=recovery)


def _students_recipe(recipe: Recipe) -> TernaryRecipe:
    if recipe.time_budget is None:
        return ternary_recipe_for(recipe)
    left = (1 - _TEACHERS_SHARE) * recipe.time_budget
    return ternary_recipe_for(recipe.model_copy(update={"time_budget": left}))


def _teller(job: Job, what: str) -> Progress:
    def after_epoch(epoch: int, epochs: int, _: float, correct: float, left: float) -> None:
        note = f"{what}epoch {epoch}/{epochs}, validation {100 * correct:.1f} %"
        job.progress.update(epoch / epochs, note, left)

    return after_epoch
