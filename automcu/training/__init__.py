"""Training: recipe, loop with checkpoints, distillation, accuracy."""

from automcu.training.distillation import (
    HardAndSoftTargets,
    SoftTargets,
    Weighting,
    distillation_objective,
)
from automcu.training.evaluation import accuracy
from automcu.training.loop import Progress, train
from automcu.training.objective import Objective
from automcu.training.recipe import Recipe, recipe_for, transformer_recipe_for
from automcu.training.result import EpochResult, TrainingResult
from automcu.training.ternary import TernaryRecipe, ternary_recipe_for, train_ternary

__all__ = [
    "EpochResult",
    "HardAndSoftTargets",
    "Objective",
    "Progress",
    "Recipe",
    "SoftTargets",
    "TernaryRecipe",
    "TrainingResult",
    "Weighting",
    "accuracy",
    "distillation_objective",
    "recipe_for",
    "ternary_recipe_for",
    "train",
    "train_ternary",
    "transformer_recipe_for",
]
