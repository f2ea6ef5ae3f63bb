"""Training a ternary network from a float one of the same parameters, in two phases.

First it only imitates the frozen teacher (Kullback-Leibler divergence), then it recovers at a
lower rate. The paper's rates are 1e-4 and 1e-5, for networks trained on ImageNet; small networks
that are trained for minutes need larger ones.
"""

from pydantic import Field
from torch import nn

from automcu.datasets import Dataset
from automcu.records import Record
from automcu.training.distillation import SoftTargets, Weighting, distillation_objective
from automcu.training.loop import Progress, train
from automcu.training.recipe import Recipe
from automcu.training.result import TrainingResult


class TernaryRecipe(Record):
    """Both phases: imitation at the first rate, recovery at the second, each along a cosine."""

    imitation: Recipe = Recipe(epochs=100, learning_rate=1e-4, weight_decay=0.0)
    recovery: Recipe = Recipe(epochs=20, learning_rate=1e-5, weight_decay=0.0)
    temperature: float = Field(default=1.0, gt=0)


def train_ternary(
    student: nn.Module,
    teacher: nn.Module,
    dataset: Dataset,
    recipe: TernaryRecipe,
    seed: int,
    progress: Progress | None = None,
) -> tuple[TrainingResult, TrainingResult]:
    """Train `student` in place, starting from the teacher's parameters; results of both phases.

    Raises:
        WrongInputError: training diverged.
        RuntimeError: the two networks do not have the same parameters.
    """
    student.load_state_dict(teacher.state_dict())
    weighting: Weighting = SoftTargets(recipe.temperature)
    objective = distillation_objective(teacher, weighting)
    first = train(student, dataset, recipe.imitation, seed, progress, objective=objective)
    second = train(student, dataset, recipe.recovery, seed + 1, progress, objective=objective)
    return first, second
