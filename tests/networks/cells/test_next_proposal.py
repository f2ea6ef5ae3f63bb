from automcu.cost.records import Estimate, Verdict
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.next_proposal import next_proposal
from automcu.networks.cells.prior import RankedCells, rank_cells
from automcu.networks.cells.records import FeasibleCell, Survey
from automcu.networks.family import Observation
from tests.planner.test_study import proposal_of

SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)
CELLS = [index for index in range(0, 15625, 25) if Cell.from_index(index).is_connected]


def _ranked(skeleton: Skeleton) -> RankedCells:
    nothing = Estimate.model_construct()
    survey = Survey.model_construct(
        skeleton=skeleton,
        feasible_cells=tuple(
            FeasibleCell(
                index=index,
                architecture=str(Cell.from_index(index)),
                prior=accuracy_prior().accuracy(Cell.from_index(index)),
                latency_ms=1.0,
                flash_bytes=1,
                ram_bytes=1,
            )
            for index in CELLS
        ),
        smallest=Verdict.model_construct(estimate=nothing),
    )
    return rank_cells(survey, 10.0)


PLANNED = [CELLS[at] for at in (3, 30, 60, 90, 120, 150)]
PROPOSALS = tuple(proposal_of(index, rank) for rank, index in enumerate(PLANNED, 1))


def _next(seen: list[Observation], rank: int = 9) -> int:
    found = next_proposal(PROPOSALS, _ranked, seen, seed=0, rank=rank)
    assert found and found.rank == rank
    return found.cell_index


def _seen(index: int, percent: float | None) -> Observation:
    return Observation(architecture=proposal_of(index).architecture, accuracy_percent=percent)


def test_the_first_four_are_the_plans_own() -> None:
    seen: list[Observation] = []
    for index in PLANNED[:4]:
        assert _next(seen) == index
        seen.append(_seen(index, 80.0))
    assert _next(seen) not in PLANNED[:4]


def test_from_then_on_cells_evolve_among_those_that_fit() -> None:
    seen = [_seen(index, 80.0 + rank) for rank, index in enumerate(PLANNED[:4])]
    for _ in range(5):
        index = _next(seen)
        assert index in CELLS and index not in {one.architecture.index for one in seen}
        seen.append(_seen(index, 82.0))


def test_where_nothing_could_be_trained_the_plan_goes_on() -> None:
    assert _next([_seen(index, None) for index in PLANNED[:5]]) == PLANNED[5]
    rest = [_seen(index, None) for index in PLANNED]
    assert next_proposal(PROPOSALS, _ranked, rest, seed=0, rank=7) is None


def test_the_same_observations_give_the_same_proposal() -> None:
    seen = [_seen(index, 70.0 + index % 7) for index in PLANNED[:5]]
    assert _next(seen) == _next(list(seen))
