"""The cells that fit a device, and how many do not."""

from automcu.cost.records import Verdict
from automcu.networks.cells.skeleton import Skeleton
from automcu.networks.family import FamilyPlan
from automcu.records import Record


class FeasibleCell(Record):
    """A cell of the space that fits, with its accuracy prior and its modelled cost."""

    index: int
    architecture: str
    prior: float | None
    latency_ms: float
    flash_bytes: int
    ram_bytes: int


class SurveyOverview(Record):
    """All 15,625 cells in one skeleton on one device, but for the list of those that fit.

    `excluded` counts the cells that each limit rules out (a cell may break several); `smallest` is
    what the smallest connected network of the skeleton needs, so that a miss can be stated in
    bytes and milliseconds; its `latency_percent` is the error bar of every latency here.
    """

    device: str
    skeleton: Skeleton
    cells: int
    feasible: int
    disconnected: int
    excluded: dict[str, int]
    seconds: float
    front: tuple[FeasibleCell, ...]
    smallest: Verdict


class Survey(SurveyOverview):
    """The same with all cells that fit: `feasible_cells`, ordered by prior, best first."""

    feasible_cells: tuple[FeasibleCell, ...]


class SkeletonSurvey(Record):
    """How much of one skeleton fits: the counts of a survey without its thousands of cells."""

    skeleton: Skeleton
    cells: int
    feasible: int
    disconnected: int
    excluded: dict[str, int]
    seconds: float


class CellPlan(FamilyPlan):
    """What was judged of the cells, and the best of them.

    `space` counts cells x skeletons, `feasible` those that fit: all of `surveyed`, and all of
    `ruled_out`, of whose skeletons not even the lightest network fits. `unexplored` skeletons fit
    too, but promise less than the surveyed ones.
    """

    surveyed: tuple[SkeletonSurvey, ...] = ()
    ruled_out: tuple[Skeleton, ...] = ()
    unexplored: tuple[Skeleton, ...] = ()
