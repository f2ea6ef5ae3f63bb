"""What the planner decided, and on which grounds."""

from automcu.networks.cells.architecture import Architecture, Skeleton
from automcu.networks.cells.records import FeasibleCell
from automcu.networks.transformers.plan import TransformerPlan
from automcu.records import Record

_FEWEST_TRAINED = 3


class Proposal(Record):
    """An architecture worth training, with what is known of it before training.

    `prior` is the cell's known accuracy in percent (None where the table has none), `merit` the
    score that ranked it; latency and memory are modelled.
    """

    rank: int
    architecture: Architecture
    cell_index: int
    prior: float | None
    merit: float
    latency_ms: float
    flash_bytes: int
    ram_bytes: int


def propose(skeleton: Skeleton, cell: FeasibleCell, rank: int, merit: float) -> Proposal:
    """Return a surveyed cell as the proposal with this number."""
    return Proposal(
        rank=rank,
        architecture=Architecture(cell=cell.architecture, skeleton=skeleton),
        cell_index=cell.index,
        prior=cell.prior,
        merit=merit,
        latency_ms=cell.latency_ms,
        flash_bytes=cell.flash_bytes,
        ram_bytes=cell.ram_bytes,
    )


class Observation(Record):
    """A network that a study has chosen; the accuracy is None while it trains, and if it failed."""

    skeleton: Skeleton
    cell_index: int
    accuracy_percent: float | None


class SkeletonSurvey(Record):
    """How much of one skeleton fits: the counts of a survey without its thousands of cells."""

    skeleton: Skeleton
    cells: int
    feasible: int
    disconnected: int
    excluded: dict[str, int]
    seconds: float


class Plan(Record):
    """The offline planner's answer.

    `space` counts the networks that were judged (cells x skeletons) and `feasible` those that
    fit: all of `surveyed`, and all of `ruled_out`, of whose skeletons not even the lightest
    network fits. `unexplored` skeletons fit too, but promise less than the surveyed ones. With
    `transformers`, both counts hold theirs as well.
    """

    seed: int
    budget: int
    prior: str
    surveyed: tuple[SkeletonSurvey, ...]
    ruled_out: tuple[Skeleton, ...]
    unexplored: tuple[Skeleton, ...]
    space: int
    feasible: int
    proposals: tuple[Proposal, ...]
    transformers: TransformerPlan | None = None
    seconds: float

    @property
    def fewest_trained(self) -> int:
        """How many networks a run trains before agents may end it, whatever they think.

        Half of the budget, and no fewer than three; all of a smaller budget.
        """
        return min(self.budget, max(_FEWEST_TRAINED, -(-self.budget // 2)))
