from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automcu.cost.records import Estimate, Limit, Verdict
from automcu.errors import DoesNotFitError
from automcu.networks.cells.accuracies import AccuracyTable, accuracy_prior
from automcu.networks.cells.cell import Cell, canonical_form
from automcu.networks.cells.plan import plan, scout, search
from automcu.networks.cells.prior import ZERO_COST, rank_cells
from automcu.networks.cells.skeleton import (
    Architecture,
    FeasibleCell,
    Skeleton,
    Survey,
    count_macs,
    skeleton_grid,
)
from automcu.networks.estimate import score
from automcu.planner.plan import Counts, Plan

GRID = skeleton_grid((8, 8, 1), classes=10)
LIMIT_MS = 20.0
MACS_PER_MS = 84_000.0


def _latency_ms(cell: Cell, skeleton: Skeleton) -> float:
    return count_macs(Architecture(cell=str(cell), skeleton=skeleton)) / MACS_PER_MS


def _survey(limit_ms: float, table: AccuracyTable | None = None) -> Callable[[Skeleton], Survey]:
    """Survey every 40th cell with a plain latency model; `table` defaults to the embedded one."""

    def survey(skeleton: Skeleton) -> Survey:
        cells = [Cell.from_index(index) for index in range(0, 15625, 40)]
        prior = table or accuracy_prior()
        feasible = tuple(
            FeasibleCell(
                index=cell.index,
                architecture=str(cell),
                prior=prior.accuracy(cell),
                latency_ms=_latency_ms(cell, skeleton),
                flash_bytes=10_000,
                ram_bytes=10_000,
            )
            for cell in cells
            if cell.is_connected and _latency_ms(cell, skeleton) <= limit_ms
        )
        return Survey(
            device="f4",
            skeleton=skeleton,
            cells=len(cells),
            feasible=len(feasible),
            disconnected=0,
            excluded={"latency": len(cells) - len(feasible)},
            seconds=0.1,
            feasible_cells=feasible,
            front=(),
            smallest=_verdict(limit_ms),
        )

    return survey


def _verdict(limit_ms: float, needed: float = 1.5) -> Verdict:
    return Verdict(
        device="f4",
        fits=needed <= limit_ms,
        limits=(Limit(limit="latency", needed=needed, available=limit_ms),)
        if needed > limit_ms
        else (),
        estimate=Estimate(
            device="f4",
            flash_bytes=1,
            weight_bytes=1,
            code_bytes=1,
            ram_bytes=1,
            arena_bytes=1,
            stack_bytes=1,
            cycles=1,
            latency_ms=needed,
            energy_millijoule=1,
            macs=1,
            layers=(),
        ),
    )


def _search(limit_ms: float = LIMIT_MS, budget: int = 3, seed: int = 0) -> Plan:
    found, _ = search(
        GRID,
        accuracy_prior(),
        probe=lambda cell, skeleton: _verdict(limit_ms, _latency_ms(cell, skeleton)),
        survey=_survey(limit_ms),
        latency_limit_ms=limit_ms,
        budget=budget,
        seed=seed,
    )
    return found


def test_everything_that_is_proposed_keeps_to_the_limit() -> None:
    found = _search()
    assert len(found.proposals) == 5
    assert all(proposal.latency_ms <= LIMIT_MS for proposal in found.proposals)
    assert [proposal.rank for proposal in found.proposals] == [1, 2, 3, 4, 5]


def test_what_is_proposed_leaves_a_reserve_for_the_error_of_the_estimate() -> None:
    assert max(proposal.latency_ms for proposal in _search().proposals) <= 0.95 * LIMIT_MS


def test_without_any_reserve_the_closest_are_proposed_all_the_same() -> None:
    skeleton = GRID[2]
    cell = FeasibleCell(
        index=0,
        architecture=str(Cell.from_index(11472)),
        prior=90.0,
        latency_ms=19.9,
        flash_bytes=1,
        ram_bytes=1,
    )
    survey = _survey(LIMIT_MS)(skeleton).model_copy(update={"feasible_cells": (cell,)})
    proposals = plan([rank_cells(survey, LIMIT_MS)], budget=1, seed=0)
    assert [proposal.latency_ms for proposal in proposals] == [19.9]


def test_the_same_seed_gives_the_same_plan() -> None:
    assert _search(seed=4).proposals == _search(seed=4).proposals


def test_another_seed_reorders_near_equals() -> None:
    plans = {_search(seed=seed).proposals for seed in range(6)}
    assert len(plans) > 1


def test_proposals_are_good_cells_that_use_the_board() -> None:
    best = _search().proposals[0]
    assert best.prior is not None and best.prior > 92.0
    assert best.latency_ms > LIMIT_MS / 4


def test_no_two_proposals_are_the_same_network() -> None:
    proposals = _search(budget=6).proposals
    names = {
        (canonical_form(Cell.parse(p.architecture.cell)), p.architecture.skeleton)
        for p in proposals
    }
    assert len(names) == len(proposals)
    assert len({p.architecture.skeleton for p in proposals}) > 1


def test_judged_and_feasible_networks_are_counted_exactly() -> None:
    found = _search(limit_ms=3.0)
    assert found.feasible == sum(survey.feasible for survey in found.surveyed)
    assert found.space == 391 * (len(found.surveyed) + len(found.ruled_out))
    assert len(found.surveyed) + len(found.ruled_out) + len(found.unexplored) == len(GRID)


def test_a_board_on_which_nothing_fits_is_reported_with_what_is_missing() -> None:
    with pytest.raises(DoesNotFitError, match=r"latency limit by 1\.5 ms.*Raise that") as caught:
        _search(limit_ms=0.001)
    assert caught.value.exit_code == 1


def test_without_a_table_flow_and_work_rank() -> None:
    table = AccuracyTable("nothing", np.full(15625, np.nan))
    found, surveys = search(
        GRID,
        table,
        probe=lambda cell, skeleton: _verdict(LIMIT_MS, _latency_ms(cell, skeleton)),
        survey=_survey(LIMIT_MS, table),
        latency_limit_ms=LIMIT_MS,
        budget=2,
        seed=0,
    )
    assert found.prior == ZERO_COST
    best = found.proposals[0]
    ranked = rank_cells(surveys[best.architecture.skeleton], LIMIT_MS)
    assert best.cell_index in [cell.index for cell in ranked.by_score[:10]]


def _cell(latency_ms: float, prior: float | None) -> FeasibleCell:
    return FeasibleCell(
        index=0, architecture="", prior=prior, latency_ms=latency_ms, flash_bytes=1, ram_bytes=1
    )


@given(
    st.floats(0.01, 1000), st.floats(0.01, 1000), st.floats(10, 99), st.none() | st.floats(1, 500)
)
def test_the_score_never_falls_with_capacity_or_prior(
    one: float, other: float, prior: float, limit: float | None
) -> None:
    low, high = sorted((one, other))
    assert score(_cell(low, prior), limit, prior) <= score(_cell(high, prior), limit, prior)
    assert score(_cell(one, prior), limit, prior) <= score(_cell(one, prior), limit, prior + 0.5)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 8), st.integers(0, 100))
def test_any_budget_gives_that_many_proposals_and_two_spares(budget: int, seed: int) -> None:
    ranked = rank_cells(_survey(LIMIT_MS)(GRID[2]), LIMIT_MS)
    proposals = plan([ranked], budget=budget, seed=seed)
    assert len(proposals) == budget + 2


def test_counts_grow_one_gate_at_a_time() -> None:
    counts = Counts().add("attempted").add("attempted").add("feasible")
    assert (counts.attempted, counts.feasible, counts.trained) == (2, 1, 0)


def test_a_table_with_gaps_still_names_its_best_cell() -> None:
    accuracies = np.full(15625, np.nan)
    accuracies[40] = 90.0
    found, _ = search(
        GRID[:2],
        AccuracyTable("one cell", accuracies),
        probe=lambda cell, skeleton: _verdict(1e9),
        survey=_survey(LIMIT_MS),
        latency_limit_ms=None,
        budget=1,
        seed=0,
    )
    assert found.prior == "one cell"
    assert found.unexplored == (GRID[0],)


GRID_SCOUT = skeleton_grid((16, 16, 1), classes=10)
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
    found = scout(GRID_SCOUT, REFERENCE, _probe(limit), surveys)
    groups = (found.promising, found.ruled_out, found.unexplored)
    assert sorted(map(repr, GRID_SCOUT)) == sorted(repr(s) for group in groups for s in group)
    assert len(found.promising) <= surveys


@given(st.integers(0, 10**8))
def test_a_skeleton_is_ruled_out_exactly_when_its_lightest_network_does_not_fit(
    limit: int,
) -> None:
    found = scout(GRID_SCOUT, REFERENCE, _probe(limit), 6)
    lightest = Cell(("none", "none", "none", "skip_connect", "none", "none"))
    assert set(found.ruled_out) == {s for s in GRID_SCOUT if _work(lightest, s) > limit}


def test_the_widest_skeletons_that_hold_the_reference_come_first() -> None:
    limit = _work(REFERENCE, GRID_SCOUT[0].model_copy(update={"stem_channels": 12}))
    found = scout(GRID_SCOUT, REFERENCE, _probe(limit), 6)
    anchors = [s for s in found.promising if _work(REFERENCE, s) <= limit]
    assert found.promising[: len(anchors)] == tuple(anchors)
    assert _work(REFERENCE, anchors[0]) == limit


def test_scouting_probes_fewer_networks_than_the_grid_has_skeletons() -> None:
    probes: list[Skeleton] = []

    def probe(cell: Cell, skeleton: Skeleton) -> Verdict:
        probes.append(skeleton)
        return _probe(10**6)(cell, skeleton)

    scout(GRID_SCOUT, REFERENCE, probe, 6)
    assert len(probes) < len(GRID_SCOUT)


def test_no_skeleton_is_promising_where_nothing_fits() -> None:
    found = scout(GRID_SCOUT, REFERENCE, _probe(-1), 6)
    assert found.promising == ()
    assert found.ruled_out == GRID_SCOUT


def test_the_grid_holds_the_own_resolution_first_and_stays_large_enough_for_two_reductions() -> (
    None
):
    assert {s.resolution for s in skeleton_grid((8, 8, 1), 10)} == {8}
    assert next(s.resolution for s in skeleton_grid((32, 32, 3), 10)) == 32
    assert {s.resolution for s in skeleton_grid((32, 24, 3), 10)} == {32, 16, 8}
    assert max(s.resolution for s in skeleton_grid((480, 640, 3), 2)) == 96
