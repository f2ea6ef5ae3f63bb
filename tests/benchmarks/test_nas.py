import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.accuracies import AccuracyTable, accuracy_prior, unknown_accuracies
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.prior import expected_synflow, rank_cells
from automcu.networks.cells.skeleton import FeasibleCell, Skeleton, Survey
from automcu.run.candidates import Chooser, make_plan, open_study
from automcu.run.candidates import task_of as wanted_of
from automcu.run.job import Silent, start_job
from automcu.run.records import Settings
from benchmarks.nas import DATASETS, LIMITS, Problem, _row, main, run, searches_of, task_of
from benchmarks.nas_agents import agents_search
from benchmarks.nas_searches import (
    NEED_A_TABLE,
    SEARCHES,
    Oracle,
    OutOfQueriesError,
    Task,
    planner_with_table,
    planner_without_table,
)
from tests.planner.conftest import reply, serve

__all__ = ["reply", "serve"]

CONNECTED = np.flatnonzero(np.isfinite(expected_synflow(Skeleton()))).tolist()
FEASIBLE = CONNECTED[::20]
ACCURACIES = np.random.default_rng(7).uniform(20, 90, 15625)


def _survey(indices: list[int], table: AccuracyTable) -> Survey:
    cells = tuple(
        FeasibleCell(
            index=index,
            architecture=str(Cell.from_index(index)),
            prior=table.accuracy(Cell.from_index(index)),
            latency_ms=1.0 + index % 50,
            flash_bytes=1,
            ram_bytes=1,
        )
        for index in indices
    )
    return Survey.model_construct(device="a board", skeleton=Skeleton(), feasible_cells=cells)


TASK = Task(
    with_table=_survey(FEASIBLE, accuracy_prior()),
    without_table=_survey(FEASIBLE, unknown_accuracies()),
    whole_space=_survey(CONNECTED, unknown_accuracies()),
    latency_limit_ms=None,
)
PROBLEM = Problem("CIFAR-100", None, TASK, ACCURACIES, ACCURACIES - 1.0)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_uses_exactly_the_queries_that_it_has(name: str) -> None:
    assert len(run(SEARCHES[name], PROBLEM, 14, seed=1)) == 14


@pytest.mark.parametrize("name", sorted(SEARCHES.keys() - {"offline planner without feasibility"}))
def test_searches_that_know_what_fits_train_nothing_else_and_nothing_twice(name: str) -> None:
    trained = run(SEARCHES[name], PROBLEM, 14, seed=2)
    assert set(trained) <= set(FEASIBLE)
    if name != "regularised evolution":  # which may draw a child again, as published
        assert len(set(trained)) == 14


@pytest.mark.parametrize("name", [name for name in SEARCHES if name.startswith("offline")])
def test_a_search_has_not_seen_what_it_did_not_train(name: str) -> None:
    seen = run(SEARCHES[name], PROBLEM, 12, seed=0)
    trained = [index for index in seen if index is not None]
    hidden = np.full_like(ACCURACIES, np.nan)
    hidden[trained] = ACCURACIES[trained]
    blind = Problem("CIFAR-100", None, TASK, hidden, ACCURACIES)
    assert run(SEARCHES[name], blind, 12, seed=0) == seen


def _missing() -> AccuracyTable:
    raise ToolError("The package analog-nasbench is missing. Install it.")


@pytest.mark.parametrize("has_table", [True, False])
def test_a_run_of_design_chooses_the_cells_that_the_benchmark_measures(
    has_table: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both entry points, from what they know to six networks, two of them evolved."""
    monkeypatch.setattr(sys.modules["automcu.networks.cells.plan"], "SURVEYS", 1)
    if not has_table:
        monkeypatch.setattr("automcu.networks.cells.accuracies.accuracy_prior", _missing)
    brief = Brief(text="", device="stm32f407g-disc1", dataset="digits", max_latency_ms=1.0)
    settings = Settings(budget=6, seed=3)
    job = start_job(tmp_path / "run", brief, settings, Silent())
    wanted = wanted_of(job, load_dataset("digits"))
    chooser, chosen = Chooser(job, make_plan(job, wanted), wanted, open_study(job)), []
    for rank in range(1, settings.budget + 1):
        proposal = chooser.choose(rank, (), ())
        assert proposal
        chooser.report(proposal, float(ACCURACIES[proposal.cell_index]))
        chosen.append(proposal)

    survey = Survey.load(job.folder.surveys / "1.json")
    assert {cell.prior is not None for cell in survey.feasible_cells} == {has_table}
    task = Task(survey, survey, survey, latency_limit_ms=brief.max_latency_ms)
    search = planner_with_table if has_table else planner_without_table
    problem = Problem("CIFAR-100", None, task, ACCURACIES, ACCURACIES)
    assert run(search, problem, 6, settings.seed) == [one.cell_index for one in chosen]
    scores = rank_cells(survey, brief.max_latency_ms).scores
    assert [one.score for one in chosen[4:]] == [scores[one.cell_index] for one in chosen[4:]]


def test_the_table_of_a_data_set_is_never_the_prior_of_its_own_rows() -> None:
    for dataset in DATASETS:
        task = task_of(LIMITS[1], dataset)
        problem = Problem(dataset, "a board", task, ACCURACIES, ACCURACIES)
        is_own = dataset == "CIFAR-10"
        assert (task.with_table is None) == is_own
        assert bool(NEED_A_TABLE & set(searches_of(problem))) != is_own
        assert all(cell.prior is None for cell in task.without_table.feasible_cells)


def test_a_cell_that_does_not_fit_costs_a_query_and_yields_nothing() -> None:
    oracle = Oracle(ACCURACIES, FEASIBLE, 2)
    misfit = next(index for index in range(100) if index not in FEASIBLE)
    assert oracle.train(misfit) is None
    assert oracle.train(FEASIBLE[0]) == ACCURACIES[FEASIBLE[0]]
    with pytest.raises(OutOfQueriesError):
        oracle.train(FEASIBLE[1])


def test_rows_choose_by_validation_and_report_test_accuracy() -> None:
    best = max(FEASIBLE[:5], key=lambda index: ACCURACIES[index])
    row = _row(PROBLEM, "random", 5, [FEASIBLE[:5], [*FEASIBLE[:4], None]])
    second = max(FEASIBLE[:4], key=lambda index: ACCURACIES[index])
    expected = (ACCURACIES[best] + ACCURACIES[second]) / 2 - 1.0
    assert row.test_mean == pytest.approx(expected, abs=1e-3)
    assert row.regret == pytest.approx(max(ACCURACIES[FEASIBLE]) - 1.0 - expected, abs=2e-3)
    assert (row.seeds, row.queries, row.device) == (2, 5, None)


def test_agents_choose_what_fits_and_a_blind_model_sees_no_operations_name(
    serve: Any, reply: Callable[..., None]
) -> None:
    """The model proposes cells of op_a alone; the first cell is the offline planner's."""
    answer = json.dumps({"proposals": [{"skeleton": 1, "cell": ["op_a"] * 6}]})

    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        is_critic = "# Critic" in body["messages"][0]["content"]
        reply(handler, "{}" if is_critic else answer if count % 3 else "I do not know.")

    server = serve(script)
    search = agents_search("llm", "m", server.url, blind=True)
    trained = run(search, PROBLEM, 6, seed=0)
    assert len(trained) == len(set(trained)) == 6 and set(trained) <= set(FEASIBLE)
    assert (search.proposed + search.lost, search.proposed > 0) == (5, True)
    assert search.problems <= {"the answer was no ArchitectAnswer"}
    assert "nor_conv_3x3" not in json.dumps(server.requests)


def test_a_search_without_a_language_model_cannot_be_blind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["nas", "--blind"])
    with pytest.raises(WrongInputError, match="Add --planner llm or local"):
        main()
