"""Which of the vision transformers that fit are worth training.

No table knows their accuracy. They are ranked by what they do with the time there is, the same
score as that of a cell without a prior, and shapes with other patches come before more of the same.
"""

import numpy as np

from automcu.cost.verdict import miss
from automcu.networks.family import FamilyPlan, propose
from automcu.networks.score import ASSUMED_LATENCY_MS, score
from automcu.networks.transformers.shape import TransformerShape
from automcu.networks.transformers.survey import FeasibleTransformer, TransformerSurvey

CAPACITY = "capacity (modelled work; no table of transformers)"
# As in the cells' plan: spare proposals, and the share of the latency limit that is kept free; more
# of it where a kernel's figures are a guess.
_SPARES = 2
_LATENCY_RESERVE = 0.05
_RESERVE_WITHOUT_FIGURES = 0.2
_SEED_JITTER = 0.01
# A shape with the same patches and pixels as one that is chosen teaches less.
_PRICE_OF_LIKENESS = 0.3


def plan_transformers(
    survey: TransformerSurvey, *, latency_limit_ms: float | None, budget: int, seed: int
) -> FamilyPlan:
    """Choose the transformers to train, best first; the same for the same seed.

    A plan of none says that none fits.
    """
    chosen = _chosen(survey, latency_limit_ms, budget + _SPARES, seed)
    return FamilyPlan(
        prior=CAPACITY,
        space=survey.shapes,
        feasible=len(survey.feasible),
        excluded=survey.excluded,
        proposals=tuple(
            propose(rank, found.shape, found, value)
            for rank, (found, value) in enumerate(chosen, start=1)
        ),
        seconds=survey.seconds,
        miss="" if chosen else _smallest_miss(survey),
    )


def _smallest_miss(survey: TransformerSurvey) -> str:
    """Say which limits even the quickest transformer breaks, and by how much."""
    misses = [miss(limit) for limit in survey.smallest.limits] if survey.smallest else []
    return (
        f"No vision transformer fits {survey.device}: the quickest one misses "
        f"{' and '.join(misses)}. Raise that limit, choose a larger board, or try --family cnn."
    )


def _chosen(
    survey: TransformerSurvey, limit_ms: float | None, count: int, seed: int
) -> list[tuple[FeasibleTransformer, float]]:
    """Greedily by score, less a price where the same patches are chosen already."""
    generator = np.random.default_rng(seed)
    fitted = survey.smallest and survey.smallest.estimate.latency_percent is not None
    reserve = _LATENCY_RESERVE if fitted else _RESERVE_WITHOUT_FIGURES
    safe_ms = (1.0 - reserve) * (limit_ms or ASSUMED_LATENCY_MS)
    within = [one for one in survey.feasible if one.latency_ms <= safe_ms]
    # Beyond the time that is assumed to be there, more work is worth nothing: the quickest first.
    left = [
        (one, score(one, limit_ms) + float(generator.normal(0.0, _SEED_JITTER)))
        for one in within or sorted(survey.feasible, key=lambda one: one.latency_ms)[:count]
    ]
    chosen: list[tuple[FeasibleTransformer, float]] = []
    while left and len(chosen) < count:
        taken = [_cut(one.shape) for one, _ in chosen]
        best = max(
            left, key=lambda pair: pair[1] - _PRICE_OF_LIKENESS * taken.count(_cut(pair[0].shape))
        )
        chosen.append(best)
        left.remove(best)
    return chosen


def _cut(shape: TransformerShape) -> tuple[int, int]:
    return shape.resolution, shape.patch
