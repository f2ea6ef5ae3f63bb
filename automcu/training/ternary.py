"""Training a ternary network from a float one of the same parameters, in two phases.

First it only imitates the frozen teacher (Kullback-Leibler divergence), then it recovers at a
lower rate. The paper's rates are 1e-4 and 1e-5, for networks trained on ImageNet; small networks
that are trained for minutes need larger ones.
"""

from pathlib import Path

from pydantic import Field
from torch import nn

from automcu.datasets.record import Dataset
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


# Small networks that are trained for minutes learn from softened answers at rates near their
# teacher's; the teacher's own rate is for weights that need not jump from one integer to the next.
_RATE_OF_TEACHERS = 0.5
_RECOVERY_RATE = 0.1
_RECOVERY_SHARE = 0.2
_TEMPERATURE = 2.0


def ternary_recipe_for(recipe: Recipe) -> TernaryRecipe:
    """Return the phases for a student whose teacher is trained by `recipe`.

    Imitation has as many epochs as the teacher's training, recovery a fifth of them at a tenth of
    the rate; a time budget is divided likewise.
    """
    budget = recipe.time_budget

    def phase(share: float, epochs: int, rate: float) -> Recipe:
        return recipe.model_copy(
            update={
                "epochs": epochs,
                "learning_rate": rate,
                "weight_decay": 0.0,
                "time_budget": None if budget is None else share * budget,
            }
        )

    rate = _RATE_OF_TEACHERS * recipe.learning_rate
    recovering = max(1, round(_RECOVERY_SHARE * recipe.epochs))
    return TernaryRecipe(
        imitation=phase(1 - _RECOVERY_SHARE, recipe.epochs, rate),
        recovery=phase(_RECOVERY_SHARE, recovering, _RECOVERY_RATE * rate),
        temperature=_TEMPERATURE,
    )


def train_ternary(
    student: nn.Module,
    teacher: nn.Module,
    dataset: Dataset,
    recipe: TernaryRecipe,
    seed: int,
    progress: Progress | None = None,
    *,
    start: nn.Module | None = None,
    checkpoints: Path | None = None,
) -> tuple[TrainingResult, TrainingResult]:
    """Train `student` in place, starting from the teacher's parameters; results of both phases.

    `start` is a network to start from instead, for a teacher that is built otherwise.
    With `checkpoints`, a folder, an interrupted training goes on from the phase and epoch that it
    had reached.

    Raises:
        WrongInputError: training diverged, or a checkpoint is of another training.
        RuntimeError: the student and what it starts from do not have the same parameters.
    """
    student.load_state_dict((start or teacher).state_dict())
    weighting: Weighting = SoftTargets(recipe.temperature)
    objective = distillation_objective(teacher, weighting)
    phases = (("imitation", recipe.imitation), ("recovery", recipe.recovery))
    first, second = (
        train(
            student,
            dataset,
            phase,
            seed + number,
            progress,
            checkpoint=checkpoints / f"{name}.pt" if checkpoints else None,
            objective=objective,
        )
        for number, (name, phase) in enumerate(phases)
    )
    return first, second
