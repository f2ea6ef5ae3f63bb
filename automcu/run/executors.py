"""Where networks are trained: here, one after the other, or side by side on a Ray cluster.

An executor leaves the same files and the same record, whichever it is. The cluster is the one that
RAY_ADDRESS names, or one that is started for the run: a worker gets the data from Ray's object
store, trains in a folder of its own, and sends the files back, so that a cluster needs no shared
disk, only Ray and automcu. Each training uses as many threads as it would here, because sums, and
so results, differ with their number.
"""

import importlib.util
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from automcu.datasets.record import Dataset
from automcu.errors import AutomcuError, ToolError
from automcu.networks.family import FIRST_PROPOSALS, Proposal
from automcu.planner.plan import Review
from automcu.records import write_atomically
from automcu.run.job import Job, Silent
from automcu.run.records import ExecutorName, Settings, TrainedCandidate
from automcu.training.loop import FLOPS_WORTH_THREADS


@dataclass(frozen=True)
class TrainingTask:
    """A network to train: the `number`th of the run that passed its review, from 1."""

    number: int
    proposal: Proposal
    reviewed: Review


TrainOne = Callable[[Job, Path, Proposal, Review, Dataset], TrainedCandidate]
"""Trains in a folder that it makes, from a checkpoint where one lies there."""

TrainAll = Callable[[Sequence[TrainingTask]], Iterator[TrainedCandidate]]
"""Trains tasks in any order; files lie in the candidate's folder when its record comes."""


# Nobody is told of the run, and a node without a GPU is no reason for a warning.
_SILENCE = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_SECONDS_BETWEEN_LOOKS = 1.0
_BATCH = 64

Files = dict[str, bytes]


@contextmanager
def ray_executor(job: Job, dataset: Dataset, train: TrainOne) -> Iterator[TrainAll]:
    """Connect to the cluster, or start one that ends with the run.

    Raises:
        ToolError: Ray is missing, or the cluster cannot be reached.
    """
    if importlib.util.find_spec("ray") is None:
        raise ToolError("The package ray is missing. Install it: pip install automcu[ray]")
    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    import ray

    is_ours = not ray.is_initialized()
    try:
        if is_ours:
            _connect()
        shared = ray.put(dataset)

        def train_all(tasks: Sequence[TrainingTask]) -> Iterator[TrainedCandidate]:
            yield from _train_all(job, shared, train, tasks)

        yield train_all
    finally:
        if is_ours:
            ray.shutdown()


def _connect() -> None:
    import ray

    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        address = os.environ.get("RAY_ADDRESS")
        where = (
            f"The Ray cluster at {address} cannot be reached" if address else "Ray did not start"
        )
        raise ToolError(
            f"{where} ({type(error).__name__}). Check RAY_ADDRESS, or leave out --executor ray."
        ) from error
    finally:
        # Ray's own handler would end this process without a word.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _train_all(
    job: Job, dataset: Any, train: TrainOne, tasks: Sequence[TrainingTask]
) -> Iterator[TrainedCandidate]:
    """Yield each candidate as it comes, its files in place."""
    import ray

    job.progress.begin(_stage(job, tasks))
    quiet = replace(job, progress=Silent())
    remote = ray.remote(_train_far_away)
    homes = {
        remote.options(num_cpus=_processors(task)).remote(
            quiet, train, task, dataset, _checkpoints(job, task), torch.get_num_threads()
        ): job.folder.candidate(task.proposal.rank)
        for task in tasks
    }
    waiting = list(homes)
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=_SECONDS_BETWEEN_LOOKS)
        for reference in ready:
            candidate, files = _fetched(reference)
            for name, content in files.items():
                write_atomically(homes[reference] / name, content)
            yield candidate
        done = len(homes) - len(waiting)
        job.progress.update(done / len(homes), f"{done} of {len(homes)} are back")


def _stage(job: Job, tasks: Sequence[TrainingTask]) -> str:
    first, last = tasks[0].number, tasks[-1].number
    numbers = f"{first}" if first == last else f"{first} to {last}"
    return f"training {numbers} of {job.settings.budget} on Ray"


def _fetched(reference: Any) -> tuple[TrainedCandidate, Files]:
    """Return what a worker sent.

    Raises:
        AutomcuError: what the training raised.
        ToolError: the worker was lost, more often than Ray starts it anew.
    """
    import ray

    try:
        candidate, files = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AutomcuError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ToolError(
            f"A Ray worker was lost while it trained ({type(error).__name__}). "
            "Resume the run; what was trained is kept."
        ) from error
    return candidate, files


def _processors(task: TrainingTask) -> int:
    """Return how many processors the training asks for: the threads that it will use."""
    verdict = task.reviewed.verdict
    assert verdict is not None, "only reviewed candidates are trained"
    if 2 * verdict.estimate.macs * _BATCH < FLOPS_WORTH_THREADS:
        return 1
    import ray

    largest = max((node["Resources"].get("CPU", 0) for node in ray.nodes()), default=0)
    return max(1, min(torch.get_num_threads(), int(largest)))


def _checkpoints(job: Job, task: TrainingTask) -> Files:
    """Return what an earlier attempt, here, left of the training."""
    return _files(job.folder.candidate(task.proposal.rank), "*.pt")


def _files(folder: Path, pattern: str = "*") -> Files:
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _train_far_away(
    job: Job, train: TrainOne, task: TrainingTask, dataset: Dataset, left: Files, threads: int
) -> tuple[TrainedCandidate, Files]:
    """Train on a worker, which may be another machine, and return the files too."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for name, content in left.items():
            write_atomically(home / name, content)
        candidate = train(job, home, task.proposal, task.reviewed, dataset)
        return candidate, _files(home)


@contextmanager
def local_executor(job: Job, dataset: Dataset, train: TrainOne) -> Iterator[TrainAll]:
    """Train in this process."""

    def train_all(tasks: Sequence[TrainingTask]) -> Iterator[TrainedCandidate]:
        for task in tasks:
            job.progress.begin(f"training {task.number} of {job.settings.budget}")
            home = job.folder.candidate(task.proposal.rank)
            yield train(job, home, task.proposal, task.reviewed, dataset)

    yield train_all


Executor = Callable[[Job, Dataset, TrainOne], AbstractContextManager[TrainAll]]

EXECUTORS: Mapping[ExecutorName, Executor] = {
    "local": local_executor,
    "ray": ray_executor,
}


def round_size(settings: Settings, families: int, trained: int) -> int:
    """Return how many networks are chosen before they are trained.

    The offline planner chooses its first few of one family without looking at results: to train
    them at once changes nothing. After that it is as many as the settings say.

    Args:
        settings: of the run.
        families: how many families have a plan.
        trained: how many were trained so far.
    """
    side_by_side = settings.executor != "local" or settings.parallel > 1
    needs_no_results = settings.planner == "offline" and families == 1 and trained == 0
    if needs_no_results and side_by_side:
        return max(FIRST_PROPOSALS, settings.parallel)
    return settings.parallel
