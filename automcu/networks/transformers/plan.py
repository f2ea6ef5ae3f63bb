"""Which of the vision transformers that fit are worth training.

No table knows their accuracy. They are ranked by what they do with the time there is, the same
merit as that of a cell without a prior, and shapes with other patches come before more of the same.
"""

import numpy as np

from automcu.networks.score import ASSUMED_LATENCY_MS, merit
from automcu.networks.transformers.shape import TransformerShape
from automcu.networks.transformers.survey import FeasibleTransformer, TransformerSurvey
from automcu.records import Record

CAPACITY = "capacity (modelled work; no table of transformers)"
# As in the cells' plan: spare proposals, and the share of the latency limit that is kept free; more
# of it where a kernel's figures are a guess.
_SPARES = 2
_LATENCY_RESERVE = 0.05
_RESERVE_WITHOUT_FIGURES = 0.2
_SEED_JITTER = 0.01
# A shape with the same patches and pixels as one that is chosen teaches less.
_PRICE_OF_LIKENESS = 0.3


class TransformerProposal(Record):
    """A vision transformer worth training; latency and memory are modelled."""

    rank: int
    architecture: TransformerShape
    prior: None = None
    merit: float
    latency_ms: float
    flash_bytes: int
    ram_bytes: int


class TransformerPlan(Record):
    """What fits of the transformers' space, and the best of it; `prior` says how it was ranked."""

    prior: str = CAPACITY
    shapes: int
    feasible: int
    excluded: dict[str, int]
    proposals: tuple[TransformerProposal, ...]
    seconds: float


def plan_transformers(
    survey: TransformerSurvey, *, latency_limit_ms: float | None, budget: int, seed: int
) -> TransformerPlan:
    """Choose the transformers to train, best first; the same for the same seed.

    A plan of none says that none fits.
    """
    return TransformerPlan(
        shapes=survey.shapes,
        feasible=len(survey.feasible),
        excluded=survey.excluded,
        proposals=tuple(
            TransformerProposal(
                rank=rank,
                architecture=found.shape,
                merit=value,
                latency_ms=found.latency_ms,
                flash_bytes=found.flash_bytes,
                ram_bytes=found.ram_bytes,
            )
            for rank, (found, value) in enumerate(
                _chosen(survey, latency_limit_ms, budget + _SPARES, seed), start=1
            )
        ),
        seconds=survey.seconds,
    )


def _chosen(
    survey: TransformerSurvey, limit_ms: float | None, count: int, seed: int
) -> list[tuple[FeasibleTransformer, float]]:
    """Greedily by merit, less a price where the same patches are chosen already."""
    generator = np.random.default_rng(seed)
    fitted = survey.smallest and survey.smallest.estimate.latency_percent is not None
    reserve = _LATENCY_RESERVE if fitted else _RESERVE_WITHOUT_FIGURES
    safe_ms = (1.0 - reserve) * (limit_ms or ASSUMED_LATENCY_MS)
    within = [one for one in survey.feasible if one.latency_ms <= safe_ms]
    # Beyond the time that is assumed to be there, more work is worth nothing: the quickest first.
    left = [
        (one, merit(one, limit_ms) + float(generator.normal(0.0, _SEED_JITTER)))
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
