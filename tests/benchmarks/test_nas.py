import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from automcu.errors import WrongInputError
from automcu.models import expected_synflow
from automcu.space import Skeleton
from benchmarks.nas import Problem, _row, main, run
from benchmarks.nas_agents import agents_search
from benchmarks.nas_searches import SEARCHES, Oracle, OutOfQueriesError
from tests.planner.agents.conftest import say, serve

__all__ = ["say", "serve"]

RATING = expected_synflow(Skeleton())
FEASIBLE = np.flatnonzero(np.isfinite(RATING))[::20].tolist()
ACCURACIES = np.random.default_rng(7).uniform(20, 90, len(RATING))
PROBLEM = Problem("CIFAR-10", None, FEASIBLE, ACCURACIES, ACCURACIES - 1.0, RATING)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_uses_exactly_the_queries_that_it_has(name: str) -> None:
    assert len(run(SEARCHES[name], PROBLEM, 14, seed=1)) == 14


@pytest.mark.parametrize("name", sorted(SEARCHES.keys() - {"offline planner without feasibility"}))
def test_searches_that_know_what_fits_train_nothing_else_and_nothing_twice(name: str) -> None:
    trained = run(SEARCHES[name], PROBLEM, 14, seed=2)
    assert set(trained) <= set(FEASIBLE)
    if name != "regularised evolution":  # which may draw a child again, as published
        assert len(set(trained)) == 14


def test_a_search_has_not_seen_what_it_did_not_train() -> None:
    seen = run(SEARCHES["offline planner"], PROBLEM, 12, seed=0)
    hidden = np.full_like(ACCURACIES, np.nan)
    hidden[seen] = ACCURACIES[seen]
    blind = Problem("CIFAR-10", None, FEASIBLE, hidden, ACCURACIES, RATING)
    assert run(SEARCHES["offline planner"], blind, 12, seed=0) == seen


def test_a_cell_that_does_not_fit_costs_a_query_and_tells_nothing() -> None:
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
    serve: Any, say: Callable[..., None]
) -> None:
    """The model proposes cells of op_a alone, whichever operation that is."""
    answer = json.dumps({"proposals": [{"skeleton": 1, "cell": ["op_a"] * 6}]})

    def script(handler: Any, body: dict[str, Any], count: int) -> None:
        is_critic = "# Critic" in body["messages"][0]["content"]
        say(handler, "{}" if is_critic else answer if count % 3 else "I do not know.")

    server = serve(script)
    search = agents_search("llm", "m", server.url, blind=True)
    trained = run(search, PROBLEM, 6, seed=0)
    assert len(trained) == len(set(trained)) == 6 and set(trained) <= set(FEASIBLE)
    assert (search.proposed + search.lost, search.proposed > 0) == (6, True)
    assert search.problems <= {"the answer was no ArchitectAnswer"}
    assert "nor_conv_3x3" not in json.dumps(server.requests)


def test_a_search_without_a_language_model_cannot_be_blind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["nas", "--blind"])
    with pytest.raises(WrongInputError, match="Add --planner llm or local"):
        main()
