import time

import numpy as np
import pytest

from automcu.cost.records import Estimate, Verdict
from automcu.networks.cells.accuracies import accuracy_prior
from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.prior import CellPool, RankedCells, expected_synflow, rank_cells
from automcu.networks.cells.search import next_cell, next_proposal
from automcu.networks.cells.skeleton import FeasibleCell, Skeleton, Survey
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


FLOW = expected_synflow(Skeleton())
CONNECTED = np.flatnonzero(np.isfinite(FLOW)).tolist()
GOAL = Cell(
    ("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "skip_connect", "none", "avg_pool_3x3")
)


def _accuracy(index: int) -> float:
    """Share of the goal's operations, so that one edit after the other leads there."""
    edges = all_cells()[index].edges
    return 50.0 + 8.0 * sum(a == b for a, b in zip(edges, GOAL.edges, strict=True))


def _search(pool: CellPool, queries: int, seed: int) -> dict[int, float]:
    trained: dict[int, float] = {}
    while len(trained) < queries:
        index = next_cell(pool, trained, seed)
        assert index is not None
        trained[index] = _accuracy(index)
    return trained


@pytest.fixture(scope="module")
def pool() -> CellPool:
    return CellPool.rated(CONNECTED, FLOW)


def test_the_first_cells_are_those_that_promise_most(pool: CellPool) -> None:
    first = list(_search(pool, 4, seed=0))
    rank = np.argsort(-FLOW[CONNECTED], kind="stable").argsort()
    assert all(rank[pool.position[index]] < 10 for index in first)


def test_it_climbs_where_a_blind_draw_would_not(pool: CellPool) -> None:
    blind = np.random.default_rng(0).choice(CONNECTED, 60)
    found = max(_search(pool, 60, seed=1).values())
    assert found > max(_accuracy(int(index)) for index in blind)
    assert found == pytest.approx(98.0)


def test_the_same_seed_and_records_give_the_same_cell(pool: CellPool) -> None:
    trained = _search(pool, 7, seed=3)
    resumed = dict(list(trained.items())[:4])
    while len(resumed) < 7:
        index = next_cell(CellPool.rated(CONNECTED, FLOW), resumed, 3)
        assert index is not None
        resumed[index] = _accuracy(index)
    assert resumed == trained


def test_only_cells_of_the_pool_are_chosen_and_no_network_twice() -> None:
    few = CellPool.rated(CONNECTED[::50], FLOW)
    trained = _search(few, 40, seed=0)
    assert set(trained) <= set(CONNECTED[::50])
    networks = {all_cells()[index].without_dead_edges() for index in trained}
    assert len(networks) == len(trained)


def test_what_others_are_training_is_not_chosen(pool: CellPool) -> None:
    first = next_cell(pool, {}, 0)
    assert first is not None
    assert next_cell(pool, {}, 0, pending=[first]) != first


def test_nothing_is_left_when_every_network_was_tried() -> None:
    pool = CellPool.rated(CONNECTED[:3], FLOW)
    trained: dict[int, float] = {}
    while (index := next_cell(pool, trained, 0)) is not None:
        trained[index] = _accuracy(index)
    networks = {all_cells()[index].without_dead_edges() for index in CONNECTED[:3]}
    assert len(trained) == len(networks)
    assert next_cell(CellPool.rated([], FLOW), {}, 0) is None


def test_ten_choices_among_all_cells_take_less_than_five_seconds() -> None:
    started = time.process_time()
    _search(CellPool.rated(CONNECTED, expected_synflow(Skeleton())), 10, seed=0)
    assert time.process_time() - started < 5.0
