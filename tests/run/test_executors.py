"""Training here and on a Ray cluster of this machine: the same networks, files and records."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from automcu.brief import Brief
from automcu.datasets.load import load_dataset
from automcu.errors import ToolError
from automcu.planner.plan import Plan
from automcu.run.candidates import make_plan, task_of, train_candidates
from automcu.run.executors import round_size
from automcu.run.job import Job, Silent, resume_job, start_job
from automcu.run.records import Settings, TrainedCandidate

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs pip install automcu[ray]"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stripes and squares, so few that a training takes seconds."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = generator.integers(0, 90, (120, 8, 8), dtype=np.uint8)
    images[labels == 1, ::2] += 100
    images[labels == 2, 2:6, 2:6] += 100
    path = tmp_path_factory.mktemp("data") / "shapes.npz"
    np.savez(path, x=images, y=labels)
    return path


@pytest.fixture(scope="module")
def planned(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("planned") / "run"
    brief = Brief(text="", device="stm32f407g-disc1", dataset=str(data), max_latency_ms=1.0)
    job = start_job(path, brief, Settings(), Silent())
    make_plan(job, task_of(job, load_dataset(data)))
    return path


def job_of(planned: Path, path: Path, settings: Settings) -> Job:
    shutil.copytree(planned, path)
    settings.save(path / "settings.json")
    return resume_job(path, None, None, Silent())


def trained(job: Job) -> tuple[TrainedCandidate, ...]:
    dataset = load_dataset(job.brief.dataset, job.settings.seed)
    plan = Plan.load(job.folder.plan)
    return train_candidates(job, plan, task_of(job, dataset), dataset)


def without_seconds(candidate: TrainedCandidate) -> dict[str, object]:
    return candidate.model_dump(exclude={"training": {"seconds"}})


@needs_ray
def test_ray_trains_the_same_networks_to_the_same_bytes(planned: Path, tmp_path: Path) -> None:
    here = job_of(planned, tmp_path / "here", Settings(budget=5))
    there = job_of(planned, tmp_path / "there", Settings(budget=5, executor="ray"))
    expected, found = trained(here), trained(there)
    assert [without_seconds(one) for one in found] == [without_seconds(one) for one in expected]
    for rank in range(1, 6):
        ours, theirs = here.folder.candidate(rank), there.folder.candidate(rank)
        names = {path.name for path in ours.iterdir()}
        assert {path.name for path in theirs.iterdir()} == names
        assert (theirs / "int8.onnx").read_bytes() == (ours / "int8.onnx").read_bytes()
    assert there.folder.counts.read_text() == here.folder.counts.read_text()
    assert trained(resume_job(there.folder.path, None, None, Silent())) == found


def test_what_is_chosen_at_once_is_trained_and_differs(planned: Path, tmp_path: Path) -> None:
    found = trained(job_of(planned, tmp_path / "run", Settings(budget=6, parallel=2)))
    assert [one.proposal.rank for one in found] == [1, 2, 3, 4, 5, 6]
    assert len({one.proposal.architecture for one in found}) == 6


@pytest.mark.parametrize(
    ("settings", "trained", "size"),
    [
        (Settings(), 0, 1),
        (Settings(executor="ray"), 0, 4),  # the first four need no results
        (Settings(executor="ray"), 4, 1),
        (Settings(parallel=3), 0, 4),
        (Settings(parallel=8), 0, 8),
        (Settings(parallel=3), 4, 3),
        (Settings(executor="ray", planner="llm", parallel=2), 0, 2),
    ],
)
def test_as_many_are_chosen_at_once(settings: Settings, trained: int, size: int) -> None:
    assert round_size(settings, 1, trained) == size


def test_with_two_families_each_network_is_chosen_by_the_results_so_far() -> None:
    assert round_size(Settings(executor="ray"), 2, 0) == 1


def test_without_ray_the_error_says_how_to_get_it(
    planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(planned, tmp_path / "run", Settings(executor="ray"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"ray is missing. Install it: pip install automcu\[ray\]"):
        trained(job)


@needs_ray
def test_an_error_of_a_training_is_reported_without_rays_words(
    planned: Path, tmp_path: Path
) -> None:
    job = job_of(planned, tmp_path / "run", Settings(budget=1, executor="ray"))
    dataset = load_dataset(job.brief.dataset)
    from automcu.networks.estimate import judge
    from automcu.planner.plan import Review
    from automcu.run.candidates import Chooser, open_study
    from automcu.run.executors import TrainingTask, ray_executor

    plan = Plan.load(job.folder.plan)
    chooser = Chooser(job, plan, task_of(job, dataset), open_study(job))
    proposal = chooser.choose(1, (), ())
    assert proposal
    verdict = judge(proposal.architecture, job.device, job.brief.limits)
    task = TrainingTask(1, proposal, Review(passed=(), reason=None, verdict=verdict))
    with ray_executor(job, dataset, refuse) as train_all, pytest.raises(ToolError) as caught:
        list(train_all([task]))
    assert str(caught.value) == "The disk is full. Free some space."


def refuse(*_: object) -> TrainedCandidate:
    raise ToolError("The disk is full. Free some space.")


@needs_ray
def test_ctrl_c_leaves_no_process_behind_and_stdout_is_ours(data: Path, tmp_path: Path) -> None:
    mark = f"AUTOMCU_TEST={uuid.uuid4()}"
    flags = ("--device", "stm32f407g-disc1", "--data", str(data), "--budget", "40")
    command = [sys.executable, "-m", "automcu", "design", *flags, "--executor", "ray", "--json"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")],
        env={**os.environ, **dict([mark.split("=")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: any("ray::_train" in name for name in marked(mark)), 240)
    process.send_signal(signal.SIGINT)
    answer, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert json.loads(answer)["exit_code"] == 130
    wait_for(lambda: not marked(mark), 90)


def marked(mark: str) -> list[str]:
    """Return the command lines of running processes with this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return found


def wait_for(happened: object, seconds: float) -> None:
    assert callable(happened)
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
