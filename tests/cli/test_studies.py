import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automcu.cli.app import app
from automcu.planner.study import Study
from tests.planner.test_study import in_order


def _run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["studies", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "1").mkdir(parents=True)
    study = Study("sqlite:///runs/1/study.db", "digits-f407", "1")
    claim = study.claim(in_order())
    assert claim
    study.finish(claim.trial, 97.25)
    return Path("runs/1")


@pytest.mark.parametrize("where", [(), ("runs/1",), ("sqlite:///runs/1/study.db",)])
def test_studies_are_listed_with_what_they_trained(run: Path, where: tuple[str, ...]) -> None:
    code, out, _ = _run(*where, "--json")
    (study,) = json.loads(out)["studies"]
    assert code == 0
    assert (study["study"], study["trained"], study["best_percent"]) == ("digits-f407", 1, 97.25)
    assert "97.2 %" in _run(*where)[1]


def test_without_a_run_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run()[0] == 0
    assert "No studies yet" in _run()[1]


def test_what_is_not_there_is_named_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "There is no database none.db" in _run("sqlite:///none.db")[2]
    code, _, problem = _run("nowhere")
    assert code == 2 and "nowhere holds no study" in problem
    assert not list(tmp_path.iterdir())
