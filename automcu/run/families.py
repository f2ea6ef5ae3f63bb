"""Two families of networks in one run: what fits of each, and whose turn it is to be trained."""

from collections.abc import Callable, Mapping, Sequence

from automcu.datasets.record import Dataset
from automcu.errors import DoesNotFitError, UnsupportedModelError
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.grid import resolutions
from automcu.networks.cells.plan import miss
from automcu.networks.cells.records import Survey
from automcu.networks.records import Plan, Proposal
from automcu.networks.transformers.plan import (
    TransformerPlan,
    TransformerProposal,
    plan_transformers,
)
from automcu.networks.transformers.space import transformer_shapes
from automcu.networks.transformers.survey import TransformerSurvey, survey_transformers
from automcu.run.job import Job
from automcu.run.records import TrainedCandidate

AnyProposal = Proposal | TransformerProposal
_KINDS = {"cnn": "cells in skeletons", "vit": "vision transformers"}
Planned = tuple[Plan, Mapping[Skeleton, Survey]]


def plan_families(job: Job, dataset: Dataset, plan_cells: Callable[[], Planned]) -> Planned:
    """Plan the families that the brief names; of two, one that does not fit is left out.

    Raises:
        DoesNotFitError: nothing fits; says by how much the smallest network misses.
    """
    if job.brief.family == "cnn":
        return plan_cells()
    survey = _survey(job, dataset)
    transformers = plan_transformers(
        survey,
        latency_limit_ms=job.milliseconds_allowed,
        budget=job.settings.budget,
        seed=job.settings.seed,
    )
    if job.brief.family == "vit":
        if not transformers.proposals:
            raise DoesNotFitError(_smallest_miss(survey))
        return _without_cells(job, transformers), {}
    try:
        plan, surveys = plan_cells()
    except DoesNotFitError:
        if not transformers.proposals:
            raise
        return _without_cells(job, transformers), {}
    return plan.model_copy(
        update={
            "transformers": transformers,
            "prior": f"cells by {plan.prior}, transformers by {transformers.prior}",
            "space": plan.space + transformers.shapes,
            "feasible": plan.feasible + transformers.feasible,
            "seconds": plan.seconds + transformers.seconds,
        }
    ), surveys


def how_much_fits(plan: Plan) -> str:
    """Say how many networks fit, and of which family they are where there are two."""
    share = 100 * plan.feasible / plan.space
    total = (
        f"{plan.feasible:,} of {plan.space:,} networks fit the board and the limits "
        f"({share:.1f} %), found in {plan.seconds:.0f} s."
    )
    families = families_of(plan)
    if len(families) == 1:
        return total
    parts = (f"{fit:,} of {space:,} {_KINDS[name]}" for name, (space, fit) in families.items())
    return f"{total[:-1]}: {' and '.join(parts)}."


def families_of(plan: Plan) -> dict[str, tuple[int, int]]:
    """Return for each family of the plan how many networks it has and how many of them fit."""
    found = {}
    vit = plan.transformers
    space, feasible = (vit.shapes, vit.feasible) if vit else (0, 0)
    if plan.space > space:
        found["cnn"] = (plan.space - space, plan.feasible - feasible)
    if vit:
        found["vit"] = (space, feasible)
    return found


def next_of_families(
    plan: Plan,
    rank: int,
    tried: Sequence[AnyProposal],
    trained: Sequence[TrainedCandidate],
    next_cell: Callable[[], Proposal | None],
) -> AnyProposal | None:
    """Return the next network to train; None where nothing is left.

    Of two families, the one whose best network promises more begins, the other follows, and then
    whichever holds the best network so far goes on.
    """
    transformer = _next_transformer(plan, rank, tried)
    if transformer is None:
        return next_cell() if plan.proposals else None
    if not plan.proposals or _is_transformers_turn(plan, transformer, tried, trained):
        return transformer
    return next_cell() or transformer


def _is_transformers_turn(
    plan: Plan,
    transformer: TransformerProposal,
    tried: Sequence[AnyProposal],
    trained: Sequence[TrainedCandidate],
) -> bool:
    families = {isinstance(proposal, TransformerProposal) for proposal in tried}
    if not families:
        return transformer.merit > plan.proposals[0].merit
    if len(families) == 1:
        return families == {False}
    if not trained:
        return False
    best = max(trained, key=lambda candidate: candidate.int8_accuracy)
    return isinstance(best.proposal, TransformerProposal)


def _next_transformer(
    plan: Plan, rank: int, tried: Sequence[AnyProposal]
) -> TransformerProposal | None:
    """The first of the plan that was not tried, with its number in the run."""
    taken = {proposal.architecture for proposal in tried}
    proposals = plan.transformers.proposals if plan.transformers else ()
    fresh = (one for one in proposals if one.architecture not in taken)
    found = next(fresh, None)
    return found and found.model_copy(update={"rank": rank})


def _survey(job: Job, dataset: Dataset) -> TransformerSurvey:
    height, width, channels = dataset.input_shape
    shapes = transformer_shapes(resolutions((height, width)), channels, len(dataset.class_names))
    if not shapes:
        raise UnsupportedModelError(
            f"Images of {height}x{width} pixels are too small to be cut into patches. "
            "Use --family cnn, or larger images."
        )

    def tell(judged: int, total: int, fit: int) -> None:
        job.progress.update(judged / total, f"{fit:,} of {judged:,} transformers fit")

    return survey_transformers(
        job.device,
        shapes,
        job.brief.limits,
        told=tell,
    )


def _without_cells(job: Job, transformers: TransformerPlan) -> Plan:
    return Plan(
        seed=job.settings.seed,
        budget=job.settings.budget,
        prior=transformers.prior,
        surveyed=(),
        ruled_out=(),
        unexplored=(),
        space=transformers.shapes,
        feasible=transformers.feasible,
        proposals=(),
        transformers=transformers,
        seconds=transformers.seconds,
    )


def _smallest_miss(survey: TransformerSurvey) -> str:
    """Say which limits even the quickest transformer breaks, and by how much."""
    misses = [miss(limit) for limit in survey.smallest.limits] if survey.smallest else []
    return (
        f"No vision transformer fits {survey.device}: the quickest one misses "
        f"{' and '.join(misses)}. Raise that limit, choose a larger board, or try --family cnn."
    )
