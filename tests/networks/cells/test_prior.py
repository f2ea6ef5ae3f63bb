import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from automcu.networks.cells.cell import Cell, all_cells
from automcu.networks.cells.prior import cell_work, expected_synflow, rank_cells, zero_cost_rating
from automcu.networks.cells.skeleton import (
    Architecture,
    FeasibleCell,
    Skeleton,
    Survey,
    count_live_macs,
)
from automcu.networks.estimate import score
from benchmarks.zero_cost_proxies import zero_cost_scores

SYNFLOW = expected_synflow(Skeleton())
CONNECTED = np.flatnonzero(np.isfinite(SYNFLOW))
WORK = cell_work()


@given(st.sets(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=60))
def test_what_fits_is_ranked_and_nothing_else_is(feasible: set[int]) -> None:
    rating = zero_cost_rating(SYNFLOW, sorted(feasible))
    assert set(np.flatnonzero(np.isfinite(rating)).tolist()) == feasible


@given(st.sets(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=60))
def test_the_cell_that_works_most_is_among_the_first_two(feasible: set[int]) -> None:
    cells = sorted(feasible)
    rating = zero_cost_rating(SYNFLOW, cells)
    first = sorted(cells, key=lambda index: -rating[index])[:2]
    assert max(WORK[first]) == max(WORK[cells])


@given(st.lists(st.sampled_from(CONNECTED.tolist()), min_size=3, max_size=40, unique=True))
def test_more_flow_and_more_work_is_never_rated_lower(feasible: list[int]) -> None:
    rating, work = zero_cost_rating(SYNFLOW, feasible), WORK
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
    slope, offset = np.polyfit(WORK[drawn], macs, 1)
    np.testing.assert_allclose(slope * WORK[drawn] + offset, macs, rtol=1e-9)


def _survey(priors: dict[int, float | None]) -> Survey:
    cells = tuple(
        FeasibleCell(
            index=index, architecture="", prior=prior, latency_ms=50.0, flash_bytes=1, ram_bytes=1
        )
        for index, prior in priors.items()
    )
    return Survey.model_construct(skeleton=Skeleton(), feasible_cells=cells)


def test_a_known_accuracy_is_all_that_counts() -> None:
    survey = _survey({int(index): 60.0 + at for at, index in enumerate(CONNECTED[:30])})
    ranked = rank_cells(survey, 100.0)
    assert ranked.scores == {
        cell.index: score(cell, 100.0, cell.prior) for cell in survey.feasible_cells
    }
    assert ranked.by_score == survey.feasible_cells[::-1]


def test_without_accuracies_cells_of_equal_cost_stand_in_the_order_of_flow_and_work() -> None:
    ranked = rank_cells(_survey({int(index): None for index in CONNECTED[::40]}), 100.0)
    rating = zero_cost_rating(SYNFLOW, CONNECTED[::40].tolist())
    # Cells that differ in dead edges alone are equal in both.
    in_order = [rating[cell.index] for cell in ranked.by_score]
    assert in_order == sorted(in_order, reverse=True)


def test_a_cell_that_the_table_lacks_stands_among_the_others_by_its_wiring() -> None:
    """Of three cells without an accuracy, each with more flow and work is rated higher."""
    weak, middle, strong = CONNECTED[np.argsort(SYNFLOW[CONNECTED])[[100, 8000, -1]]].tolist()
    known = {int(index): 88.0 for index in CONNECTED[:400]}
    ranked = rank_cells(_survey({**known, weak: None, middle: None, strong: None}), 100.0)
    median = ranked.scores[int(CONNECTED[0])]
    assert ranked.scores[strong] > ranked.scores[middle] > ranked.scores[weak]
    assert ranked.scores[strong] > median > ranked.scores[weak]


SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)


def test_it_ranks_cells_as_networks_with_drawn_weights_do() -> None:
    generator = np.random.default_rng(5)
    connected = [index for index, cell in enumerate(all_cells()) if cell.is_connected]
    chosen = generator.choice(connected, 60, replace=False)
    batch = generator.random((4, 8, 8, 3), dtype=np.float32)
    designs = [Architecture(cell=str(Cell.from_index(int(i))), skeleton=SKELETON) for i in chosen]
    drawn = [score.synflow for score in zero_cost_scores(designs, batch, 0)]
    agreement = spearmanr(drawn, expected_synflow(SKELETON)[chosen]).statistic
    assert agreement > 0.97


def test_only_disconnected_cells_have_no_flow() -> None:
    flow = expected_synflow(SKELETON)
    assert flow.shape == (15625,)
    connected = np.array([cell.is_connected for cell in all_cells()])
    assert np.array_equal(np.isfinite(flow), connected)


def test_an_edge_that_nothing_reads_changes_nothing() -> None:
    flow = expected_synflow(Skeleton())
    plain = Cell(("none", "none", "none", "nor_conv_3x3", "none", "none"))
    unread = Cell(("nor_conv_3x3", "none", "none", "nor_conv_3x3", "none", "none"))
    assert flow[plain.index] == flow[unread.index]


def test_ten_cells_of_the_benchmarks_own_skeleton_that_rank_first_are_the_known_ones() -> None:
    flow = expected_synflow(Skeleton())
    first = np.argsort(-flow, kind="stable")[:10]
    # Index 1462 has a 3x3 convolution on every edge; 9930 is the best known cell on CIFAR-100.
    assert first[0] == 1462
    assert 9930 in first
