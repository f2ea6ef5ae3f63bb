"""Where networks are trained: here, one after the other, or side by side on a Ray cluster.

An executor leaves the same files and the same record, whichever it is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from automcu.datasets.record import Dataset
from automcu.networks.family import FIRST_PROPOSALS
from automcu.run.job import Job
from automcu.run.ray_executor import ray_executor
from automcu.run.records import ExecutorName, Settings, TrainedCandidate
from automcu.run.training_task import TrainAll, TrainingTask, TrainOne


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
