from hypothesis import given
from hypothesis import strategies as st

from automcu.planner import scout, skeleton_grid
from automcu.space import Cell, Skeleton

GRID = skeleton_grid((16, 16, 1), classes=10)
REFERENCE = Cell(("nor_conv_3x3",) * 6)


def _work(cell: Cell, skeleton: Skeleton) -> int:
    convolutions = 1 + sum(operation.startswith("nor_conv") for operation in cell.edges)
    area = skeleton.resolution**2
    return convolutions * skeleton.cells_per_stage * skeleton.stem_channels**2 * area


@given(st.integers(0, 10**9), st.integers(1, 8))
def test_every_skeleton_lands_in_one_group_and_surveys_keep_to_their_number(
    limit: int, surveys: int
) -> None:
    found = scout(GRID, REFERENCE, lambda cell, s: _work(cell, s) <= limit, surveys)
    groups = (found.promising, found.ruled_out, found.unexplored)
    assert sorted(map(repr, GRID)) == sorted(repr(s) for group in groups for s in group)
    assert len(found.promising) <= surveys


@given(st.integers(0, 10**8))
def test_a_skeleton_is_ruled_out_exactly_when_its_lightest_network_does_not_fit(
    limit: int,
) -> None:
    found = scout(GRID, REFERENCE, lambda cell, s: _work(cell, s) <= limit, 6)
    lightest = Cell(("none", "none", "none", "skip_connect", "none", "none"))
    assert set(found.ruled_out) == {s for s in GRID if _work(lightest, s) > limit}


def test_the_widest_skeletons_that_hold_the_reference_come_first() -> None:
    limit = _work(REFERENCE, GRID[0].model_copy(update={"stem_channels": 12}))
    found = scout(GRID, REFERENCE, lambda cell, s: _work(cell, s) <= limit, 6)
    assert found.promising[0].stem_channels == 12
    assert found.promising[0].cells_per_stage == 1


def test_scouting_probes_fewer_networks_than_the_grid_has_skeletons() -> None:
    probes: list[Skeleton] = []

    def fits(cell: Cell, skeleton: Skeleton) -> bool:
        probes.append(skeleton)
        return _work(cell, skeleton) <= 10**6

    scout(GRID, REFERENCE, fits, 6)
    assert len(probes) < len(GRID)


def test_no_skeleton_is_promising_where_nothing_fits() -> None:
    found = scout(GRID, REFERENCE, lambda cell, skeleton: False, 6)
    assert found.promising == ()
    assert found.ruled_out == GRID


def test_the_grid_holds_the_own_resolution_first_and_stays_large_enough_for_two_reductions() -> (
    None
):
    assert {s.resolution for s in skeleton_grid((8, 8, 1), 10)} == {8}
    assert next(s.resolution for s in skeleton_grid((32, 32, 3), 10)) == 32
    assert {s.resolution for s in skeleton_grid((32, 24, 3), 10)} == {32, 16, 8}
    assert max(s.resolution for s in skeleton_grid((480, 640, 3), 2)) == 96
