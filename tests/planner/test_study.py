import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from automcu.errors import ToolError, WrongInputError
from automcu.networks.cells.cell import Cell
from automcu.networks.cells.skeleton import Architecture, Skeleton
from automcu.networks.family import Observation, Proposal
from automcu.planner.study import Study, list_studies
from tests.planner.postgresql import needs_postgresql, postgresql_url

__all__ = ["postgresql_url"]

SKELETON = Skeleton(stem_channels=4, cells_per_stage=1, resolution=8)


def proposal_of(index: int, rank: int = 1) -> Proposal:
    return Proposal(
        rank=rank,
        architecture=Architecture(cell=str(Cell.from_index(index)), skeleton=SKELETON),
        cell_index=index,
        prior=None,
        score=0.0,
        latency_ms=1.0,
        flash_bytes=1,
        ram_bytes=1,
    )


def in_order(count: int = 100) -> Callable[[Sequence[Observation]], Proposal | None]:
    def choose(seen: Sequence[Observation]) -> Proposal | None:
        left = [
            index for index in range(count) if index not in {one.architecture.index for one in seen}
        ]
        return proposal_of(left[0]) if left else None

    return choose


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


def test_what_was_reported_is_seen_by_all_who_share_the_study(url: str) -> None:
    one, other = Study(url, "digits", "one"), Study(url, "digits", "other")
    first, second = one.claim(in_order()), other.claim(in_order())
    assert first and second
    assert (first.proposal.cell_index, second.proposal.cell_index) == (0, 1)
    one.finish(first.trial, 91.5)
    assert other.observations() == (
        Observation(architecture=proposal_of(0).architecture, accuracy_percent=91.5),
        Observation(architecture=proposal_of(1).architecture, accuracy_percent=None),
    )


def test_a_run_that_was_killed_takes_up_what_it_was_training(url: str) -> None:
    claimed = Study(url, "digits", "killed").claim(in_order())
    assert Study(url, "digits", "other").claim(in_order()) != claimed
    assert Study(url, "digits", "killed").claim(in_order()) == claimed


def test_a_run_knows_what_it_has_trained_and_not_what_others_have(url: str) -> None:
    mine, other = Study(url, "digits", "mine"), Study(url, "digits", "other")
    for study in (mine, other, mine):
        claim = study.claim(in_order())
        assert claim
        study.finish(claim.trial, 80.0)
    assert [claim.proposal.cell_index for claim in mine.finished()] == [0, 2]


def test_a_claim_that_came_to_nothing_is_not_chosen_again(url: str) -> None:
    study = Study(url, "digits", "run")
    claim = study.claim(in_order(1))
    assert claim
    study.fail(claim.trial)
    assert study.claim(in_order(1)) is None


def test_the_same_network_chosen_at_the_same_moment_is_trained_once(url: str) -> None:
    study = Study(url, "digits", "late")
    answers = iter([proposal_of(5), proposal_of(5), proposal_of(6)])
    first = study.claim(lambda seen: next(answers))
    assert first
    study.finish(first.trial, 70.0)
    second = study.claim(lambda seen: next(answers))
    assert second and second.proposal.cell_index == 6


_WORKER = """
import sys
from tests.planner.test_study import in_order
from automcu.planner.study import Study
study = Study(sys.argv[1], "shared", sys.argv[2])
for _ in range(15):
    claim = study.claim(in_order())
    study.finish(claim.trial, 50.0 + claim.proposal.cell_index)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def shared_url(request: pytest.FixtureRequest, url: str) -> str:
    """A database on this machine; PostgreSQL's server is started for the test."""
    return url if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


def test_two_processes_share_one_study_and_train_nothing_twice(shared_url: str) -> None:
    url = shared_url
    Study(url, "shared", "first")  # so that the tables are there
    command = [sys.executable, "-c", _WORKER, url]
    workers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [worker.wait(timeout=240) for worker in workers] == [0, 0]
    seen = Study(url, "shared", "a").observations()
    trained = [one.architecture.index for one in seen if one.accuracy_percent is not None]
    assert len(trained) == len(set(trained)) == 30
    (summary,) = list_studies(url)
    assert (summary.name, summary.trained, summary.running) == ("shared", 30, 0)
    assert summary.best_percent == 50.0 + max(trained)
    assert summary.runs == ("a", "b")


def test_an_address_that_is_none_is_reported_without_repeating_it() -> None:
    with pytest.raises(WrongInputError, match=r"no database URL. Give one like sqlite:///"):
        list_studies("secret")
    with pytest.raises(ToolError, match=r"mysql database .* cannot be opened") as caught:
        list_studies("mysql://user:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


def test_a_database_that_goes_away_is_an_error_and_no_traceback(url: str, tmp_path: Path) -> None:
    study = Study(url, "digits", "run")
    (tmp_path / "study.db").write_bytes(b"no longer a database, and long enough to be read" * 40)
    with pytest.raises(ToolError, match=r"no longer answers .* resume the run"):
        study.claim(in_order())
