"""Runs and their studies, without training: what was trained is said by the test."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.networks.family import Proposal
from automcu.planner.plan import Plan
from automcu.planner.study import list_studies
from automcu.run.candidates import Chooser, make_plan, open_study, study_name, task_of
from automcu.run.job import Job, Silent, resume_job, start_job
from automcu.run.records import Settings


@pytest.fixture(scope="module")
def planned(brief: Brief, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planned") / "run"
    job = start_job(path, brief, Settings(budget=7), Silent())
    make_plan(job, task_of(job, load_dataset("digits")))
    return path


@pytest.fixture
def job(planned: Path, tmp_path: Path) -> Job:
    return resume_job(Path(shutil.copytree(planned, tmp_path / "run")), None, None, Silent())


def _train(job: Job, ranks: range) -> list[Proposal]:
    task = task_of(job, load_dataset("digits"))
    chooser = Chooser(job, Plan.load(job.folder.plan), task, open_study(job))
    found = []
    for rank in ranks:
        proposal = chooser.choose(rank, (), ())
        assert proposal
        chooser.report(proposal, 90.0 + proposal.cell_index % 5)
        found.append(proposal)
    return found


def test_seven_networks_are_chosen_and_all_differ(job: Job) -> None:
    found = _train(job, range(1, 8))
    plan = Plan.load(job.folder.plan)
    assert [one.cell_index for one in found[:4]] == [one.cell_index for one in plan.proposals[:4]]
    assert len({(one.cell_index, one.architecture.skeleton) for one in found}) == 7
    assert all(Proposal.load(job.folder.proposal(one.rank)) == one for one in found)


def test_a_run_that_was_stopped_and_moved_chooses_what_it_would_have_chosen(
    job: Job, planned: Path, tmp_path: Path
) -> None:
    at_once = _train(job, range(1, 8))
    other = Path(shutil.copytree(planned, tmp_path / "other"))
    _train(resume_job(other, None, None, Silent()), range(1, 6))
    moved = Path(shutil.move(other, tmp_path / "moved"))
    assert _train(resume_job(moved, None, None, Silent()), range(1, 8)) == at_once


def test_two_runs_of_one_brief_share_a_study_and_train_nothing_twice(
    planned: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    found = []
    for name in ("one", "two"):
        path = Path(shutil.copytree(planned, tmp_path / name))
        Settings(budget=7, study=url).save(path / "settings.json")
        found += _train(resume_job(path, None, None, Silent()), range(1, 4))
    assert len({(one.cell_index, one.architecture.skeleton) for one in found}) == 6
    (summary,) = list_studies(url)
    assert (summary.trained, len(summary.runs)) == (6, 2)


def test_other_limits_have_other_studies_and_other_words_do_not(job: Job, brief: Brief) -> None:
    faster = replace(job, brief=brief.model_copy(update={"max_latency_ms": 5.0}))
    said_otherwise = replace(
        job,
        brief=brief.model_copy(
            update={"text": "Digits, please", "unused": ("please",), "notes": {"latency": "said"}}
        ),
    )
    assert study_name(job).startswith("digits-stm32f407g-disc1-")
    assert study_name(faster) != study_name(job) == study_name(said_otherwise)


def test_the_width_of_an_error_bar_does_not_part_a_run_from_its_study(job: Job) -> None:
    wider = tuple(
        one.model_copy(update={"network_cycles": one.network_cycles + 1})
        for one in job.device.latency
    )
    device = job.device.model_copy(update={"latency": wider})
    assert study_name(replace(job, device=device)) == study_name(job)
    slower = job.device.model_copy(update={"clock_hz": job.device.clock_hz // 2})
    assert study_name(replace(job, device=slower)) != study_name(job)
