import importlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from automcu.run.candidates import best_first
from automcu.run.job import Job, Silent
from automcu.run.records import TrainedCandidate

# The package exports the function `design`, which hides its module of the same name.
stages = importlib.import_module("automcu.run.design")


def _candidate(rank: int, accuracy: float, latency_ms: float) -> TrainedCandidate:
    proposal = SimpleNamespace(rank=rank, latency_ms=latency_ms)
    return TrainedCandidate.model_construct(proposal=cast(Any, proposal), int8_accuracy=accuracy)


CANDIDATES = (_candidate(1, 0.97, 5), _candidate(2, 0.98, 9), _candidate(3, 0.98, 7))


def test_the_most_accurate_comes_first_and_of_equals_the_faster() -> None:
    assert [c.proposal.rank for c in best_first(CANDIDATES)] == [3, 2, 1]


def _deploy_where(keeps: set[int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Deploy with firmware that keeps its limits for some ranks only; return what was tried."""
    tried: list[int] = []

    def deploy(job: Any, plan: Any, all: Any, candidate: TrainedCandidate, data: Any) -> Any:
        tried.append(candidate.proposal.rank)
        return SimpleNamespace(build=None, measurement=candidate.proposal.rank)

    def broken(brief: Any, device: Any, build: Any, measurement: int) -> tuple[str, ...]:
        return () if measurement in keeps else ("Latency is 21 ms, 20 are allowed.",)

    monkeypatch.setattr(stages, "_deploy", deploy)
    monkeypatch.setattr(stages, "broken_limits", broken)
    folder = SimpleNamespace(log=lambda *_, **__: None)
    job = Job(cast(Any, folder), cast(Any, None), cast(Any, None), cast(Any, None), Silent())
    run = stages._deploy_best(job, None, CANDIDATES, None)
    assert run.measurement == tried[-1]
    return tried


def test_firmware_that_breaks_a_limit_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _deploy_where({2, 1}, monkeypatch) == [3, 2]


def test_where_all_break_a_limit_the_most_accurate_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _deploy_where(set(), monkeypatch) == [3, 2, 1, 3]
