import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from automcu.models import expected_synflow
from automcu.planner import zero_cost_rating
from automcu.planner.cell_pool import cell_work
from automcu.space import Architecture, Cell, Skeleton, count_live_macs

SYNFLOW = expected_synflow(Skeleton())
CONNECTED = np.flatnonzero(np.isfinite(SYNFLOW))


@given(st.sets(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=60))
def test_what_fits_is_ranked_and_nothing_else_is(feasible: set[int]) -> None:
    rating = zero_cost_rating(SYNFLOW, sorted(feasible))
    assert set(np.flatnonzero(np.isfinite(rating)).tolist()) == feasible


@given(st.sets(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=60))
def test_the_cell_that_works_most_is_among_the_first_two(feasible: set[int]) -> None:
    cells = sorted(feasible)
    rating = zero_cost_rating(SYNFLOW, cells)
    first = sorted(cells, key=lambda index: -rating[index])[:2]
    work = cell_work()
    assert max(work[first]) == max(work[cells])


@given(st.lists(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=40, unique=True))
def test_more_flow_and_more_work_is_never_rated_lower(feasible: list[int]) -> None:
    rating, work = zero_cost_rating(SYNFLOW, feasible), cell_work()
    heaviest = max(work[feasible])
    for one in feasible:
        for other in feasible:
            better = SYNFLOW[one] > SYNFLOW[other] and work[one] > work[other]
            if better and work[other] < heaviest:
                assert rating[one] > rating[other]


def test_work_grows_as_a_skeletons_multiplications_do() -> None:
    drawn = np.random.default_rng(0).choice(CONNECTED, 60, replace=False).tolist()
    skeleton = Skeleton(stem_channels=8, cells_per_stage=2, resolution=16)
    macs = [
        count_live_macs(Architecture(cell=str(Cell.from_index(index)), skeleton=skeleton))
        for index in drawn
    ]
    slope, offset = np.polyfit(cell_work()[drawn], macs, 1)
    np.testing.assert_allclose(slope * cell_work()[drawn] + offset, macs, rtol=1e-9)
