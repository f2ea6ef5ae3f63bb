"""What a run decided to train, and on which grounds: the plans of its families together.

Proposals pass gates before they may be trained, and how many passed each is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from automcu.cost.records import Verdict
from automcu.errors import WrongInputError
from automcu.networks.cells.family import FAMILY as CELLS
from automcu.networks.cells.skeleton import CellPlan, Skeleton, SkeletonSurvey
from automcu.networks.family import FamilyPlan, Network, Proposal, families, family_of
from automcu.networks.transformers.family import FAMILY as TRANSFORMERS
from automcu.records import Record

_FEWEST_TRAINED = 3


class Plan(Record):
    """The planner's answer, as plan.json holds it.

    `space` counts the networks that were judged and `feasible` those that fit, over all families;
    `prior` says how they were ranked. `surveyed`, `ruled_out`, `unexplored` and `proposals` are
    those of `CellPlan`, `transformers` is the plan of vision transformers, and `others` has those
    of further families by name.
    """

    seed: int
    budget: int
    prior: str
    surveyed: tuple[SkeletonSurvey, ...] = ()
    ruled_out: tuple[Skeleton, ...] = ()
    unexplored: tuple[Skeleton, ...] = ()
    space: int
    feasible: int
    proposals: tuple[Proposal, ...] = ()
    transformers: FamilyPlan | None = None
    others: dict[str, FamilyPlan] = Field(default_factory=dict, exclude_if=lambda plans: not plans)
    seconds: float

    @classmethod
    def of(cls, plans: Mapping[str, FamilyPlan], *, seed: int, budget: int) -> "Plan":
        """Put the plans of some families together, by name; what judged nothing is left out."""
        made = {name: plan for name, plan in plans.items() if plan.space}
        names = families()
        ranked = [f"{names[name].plural} by {plan.prior}" for name, plan in made.items()]
        cells = made.get(CELLS.name)
        of_cells = {key: getattr(cells, key) for key in _OF_CELLS} if cells else {}
        return cls(
            seed=seed,
            budget=budget,
            prior=", ".join(ranked) if len(made) > 1 else next(iter(made.values())).prior,
            **of_cells,
            space=sum(plan.space for plan in made.values()),
            feasible=sum(plan.feasible for plan in made.values()),
            transformers=made.get(TRANSFORMERS.name),
            others={name: plan for name, plan in made.items() if name not in _OWN_KEYS},
            seconds=sum(plan.seconds for plan in made.values()),
        )

    @property
    def families(self) -> dict[str, FamilyPlan]:
        """The plan of each family by name."""
        others = dict(self.others)
        if self.transformers is not None:
            others = {TRANSFORMERS.name: self.transformers, **others}
        cells = CellPlan(
            prior=self.prior,
            surveyed=self.surveyed,
            ruled_out=self.ruled_out,
            unexplored=self.unexplored,
            space=self.space - sum(plan.space for plan in others.values()),
            feasible=self.feasible - sum(plan.feasible for plan in others.values()),
            proposals=self.proposals,
            seconds=self.seconds - sum(plan.seconds for plan in others.values()),
        )
        return {CELLS.name: cells, **others} if cells.space else others

    @property
    def fewest_trained(self) -> int:
        """How many networks a run trains before agents may end it, whatever they think.

        Half of the budget, and no fewer than three; all of a smaller budget.
        """
        return min(self.budget, max(_FEWEST_TRAINED, -(-self.budget // 2)))


_OF_CELLS = ("surveyed", "ruled_out", "unexplored", "proposals")
_OWN_KEYS = (CELLS.name, TRANSFORMERS.name)


def how_much_fits(plan: Plan) -> str:
    """Say how many networks fit, and of which family they are where there are several."""
    share = 100 * plan.feasible / plan.space
    total = (
        f"{plan.feasible:,} of {plan.space:,} networks fit the board and the limits "
        f"({share:.1f} %), found in {plan.seconds:.0f} s."
    )
    if len(plan.families) == 1:
        return total
    titles = {name: family.title for name, family in families().items()}
    parts = (
        f"{one.feasible:,} of {one.space:,} {titles[name]}" for name, one in plan.families.items()
    )
    return f"{total[:-1]}: {' and '.join(parts)}."


def next_of_families(
    plan: Plan,
    tried: Sequence[Network],
    trained: Sequence[tuple[Network, float]],
    propose: Callable[[str, FamilyPlan], Proposal | None],
) -> Proposal | None:
    """Return the next network to train; None where nothing is left.

    Of several families, the one whose best network promises most begins, the others follow, and
    then whichever holds the best network so far goes on.

    Args:
        plan: the run's plan.
        tried: what was chosen so far.
        trained: what was trained, with its accuracy.
        propose: a family's next network, by its name and plan.
    """
    plans = {name: one for name, one in plan.families.items() if one.proposals}
    first = _whose_turn(plans, tried, trained)
    for name in sorted(plans, key=lambda name: name != first):
        found = propose(name, plans[name])
        if found:
            return found
    return None


def _whose_turn(
    plans: Mapping[str, FamilyPlan],
    tried: Sequence[Network],
    trained: Sequence[tuple[Network, float]],
) -> str | None:
    had_a_turn = {family_of(network).name for network in tried}
    waiting = [name for name in plans if name not in had_a_turn]
    if waiting:
        return max(waiting, key=lambda name: plans[name].proposals[0].score)
    if not trained:
        return next(iter(plans), None)
    best, _ = max(trained, key=lambda one: one[1])
    return family_of(best).name


class Counts(Record):
    """Proposals that passed each gate; every count includes only those that passed all before."""

    attempted: int = 0
    schema_valid: int = 0
    shape_valid: int = 0
    feasible: int = 0
    trained: int = 0
    deployed: int = 0

    def add(self, gate: str) -> "Counts":
        """Return the counts with one more at `gate`, the name of a field."""
        return self.model_copy(update={gate: getattr(self, gate) + 1})

    def at_least(self, other: "Counts") -> "Counts":
        """Return the larger of each two counts."""
        return Counts(
            **{gate: max(getattr(self, gate), getattr(other, gate)) for gate in Counts.model_fields}
        )


Gate = Literal["schema_valid", "shape_valid", "feasible"]


class Review(Record):
    """The gates that a proposal passed, and why it did not pass the next one."""

    passed: tuple[Gate, ...]
    reason: str | None
    verdict: Verdict | None

    @property
    def accepted(self) -> bool:
        """Whether the proposal may be trained."""
        return self.reason is None


def review(
    architecture: Network,
    *,
    input_channels: int,
    classes: int,
    judge: Callable[[Network], Verdict],
) -> Review:
    """Check a proposal again, independently of the survey that it came from."""
    try:
        objection = family_of(architecture).objection(architecture)
    except WrongInputError as error:
        return Review(passed=(), reason=str(error), verdict=None)
    if objection:
        return _stopped(("schema_valid",), objection)
    channels, class_count = architecture.input_shape[2], architecture.class_count
    if (channels, class_count) != (input_channels, classes):
        return _stopped(
            ("schema_valid",),
            f"it takes {channels} channels and tells {class_count} classes "
            f"apart, the data have {input_channels} and {classes}",
        )
    verdict = judge(architecture)
    if not verdict.fits:
        broken = ", ".join(limit.limit for limit in verdict.limits)
        return _stopped(("schema_valid", "shape_valid"), f"it breaks the limit: {broken}", verdict)
    return Review(passed=("schema_valid", "shape_valid", "feasible"), reason=None, verdict=verdict)


def _stopped(passed: tuple[Gate, ...], reason: str, verdict: Verdict | None = None) -> Review:
    return Review(passed=passed, reason=reason, verdict=verdict)
