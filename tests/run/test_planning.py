"""Planning where the accuracy table is missing: cells are ranked by their wiring instead."""

import sys
from pathlib import Path

import pytest

from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.prior import ZERO_COST
from automcu.run.candidates import make_plan, task_of
from automcu.run.job import Silent, start_job
from automcu.run.records import Settings


def _missing() -> None:
    raise ToolError("The package analog-nasbench is missing. Install it.")


@pytest.fixture
def small(brief: Brief) -> Brief:
    return brief.model_copy(update={"max_latency_ms": 1.0})


def test_without_the_embedded_table_cells_are_ranked_by_their_wiring(
    small: Brief, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automcu.networks.cells.accuracies.accuracy_prior", _missing)
    monkeypatch.setattr("automcu.networks.cells.survey.accuracy_prior", _missing)
    # One skeleton is enough, and quick.
    monkeypatch.setattr(sys.modules["automcu.networks.cells.plan"], "SURVEYS", 1)
    job = start_job(tmp_path / "run", small, Settings(budget=1), Silent())
    plan = make_plan(job, task_of(job, load_dataset("digits")))
    assert plan.prior == ZERO_COST
    assert plan.feasible > 0
    assert [proposal.prior for proposal in plan.proposals] == [None] * len(plan.proposals)


def test_a_named_table_that_cannot_be_read_stops_the_run(small: Brief, tmp_path: Path) -> None:
    settings = Settings(accuracy_table=str(tmp_path / "none.csv"))
    job = start_job(tmp_path / "run", small, settings, Silent())
    with pytest.raises(WrongInputError, match=r"none\.csv cannot be read"):
        make_plan(job, task_of(job, load_dataset("digits")))
