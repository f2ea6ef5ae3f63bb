"""What an executor is given, and what it gives back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from automcu.datasets.record import Dataset
from automcu.networks.family import Proposal
from automcu.planner.review import Review
from automcu.run.job import Job
from automcu.run.records import TrainedCandidate


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
