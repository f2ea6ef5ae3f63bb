from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from automcu.cost.records import Estimate, Verdict
from automcu.networks.cells.architecture import Skeleton
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.grid import skeleton_grid
from automcu.networks.cells.scout import scout

GRID = skeleton_grid((16, 16, 1), classes=10)
REFERENCE = Cell(("nor_conv_3x3",) * 6)


def _work(cell: Cell, skeleton: Skeleton) -> int:
    convolutions = 1 + sum(operation.startswith("nor_conv") for operation in cell.edges)
    area = skeleton.resolution**2
    return convolutions * skeleton.cells_per_stage * skeleton.stem_channels**2 * area


def _probe(limit: int) -> Callable[[Cell, Skeleton], Verdict]:
    def probe(cell: Cell, skeleton: Skeleton) -> Verdict:
        work = _work(cell, skeleton)
        estimate = Estimate.model_construct(latency_ms=float(work))
        return Verdict.model_construct(fits=work <= limit, estimate=estimate)

    return probe


@given(st.integers(0, 10**9), st.integers(1, 8))
def test_every_skeleton_lands_in_one_group_and_surveys_keep_to_their_number(
    limit: int, surveys: int
) -> None:
    found = scout(GRID, REFERENCE, _probe(limit), surveys)
    groups = (found.promising, found.ruled_out, found.unexplored)
    assert sorted(map(repr, GRID)) == sorted(repr(s) for group in groups for s in group)
    assert len(found.promising) <= surveys


@given(st.integers(0, 10**8))
def test_a_skeleton_is_ruled_out_exactly_when_its_lightest_network_does_not_fit(
    limit: int,
) -> None:
    found = scout(GRID, REFERENCE, _probe(limit), 6)
    lightest = Cell(("none", "none", "none", "skip_connect", "none", "none"))
    assert set(found.ruled_out) == {s for s in GRID if _work(lightest, s) > limit}


def test_the_widest_skeletons_that_hold_the_reference_come_first() -> None:
    limit = _work(REFERENCE, GRID[0].model_copy(update={"stem_channels": 12}))
    found = scout(GRID, REFERENCE, _probe(limit), 6)
    anchors = [s for s in found.promising if _work(REFERENCE, s) <= limit]
    assert found.promising[: len(anchors)] == tuple(anchors)
    assert _work(REFERENCE, anchors[0]) == limit


def test_scouting_probes_fewer_networks_than_the_grid_has_skeletons() -> None:
    probes: list[Skeleton] = []

    def probe(cell: Cell, skeleton: Skeleton) -> Verdict:
        probes.append(skeleton)
        return _probe(10**6)(cell, skeleton)

    scout(GRID, REFERENCE, probe, 6)
    assert len(probes) < len(GRID)


def test_no_skeleton_is_promising_where_nothing_fits() -> None:
    found = scout(GRID, REFERENCE, _probe(-1), 6)
    assert found.promising == ()
    assert found.ruled_out == GRID


def test_the_grid_holds_the_own_resolution_first_and_stays_large_enough_for_two_reductions() -> (
    None
):
    assert {s.resolution for s in skeleton_grid((8, 8, 1), 10)} == {8}
    assert next(s.resolution for s in skeleton_grid((32, 32, 3), 10)) == 32
    assert {s.resolution for s in skeleton_grid((32, 24, 3), 10)} == {32, 16, 8}
    assert max(s.resolution for s in skeleton_grid((480, 640, 3), 2)) == 96
