"""Training what is proposed, one network after the other, each to a quantised ONNX file."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from automcu.datasets import Dataset, resized
from automcu.errors import DoesNotFitError
from automcu.export import export_onnx, onnx_accuracy, quantise_onnx
from automcu.models import build_network
from automcu.pipeline.advising import open_council
from automcu.pipeline.job import Job
from automcu.pipeline.language_models import save_used
from automcu.pipeline.planning import judge
from automcu.pipeline.records import TrainedCandidate
from automcu.pipeline.run_folder import load_if_valid, sha256
from automcu.pipeline.studying import next_in_run, open_study, tell
from automcu.planner import Counts, Plan, Proposal, Review, review
from automcu.space import count_live_macs, count_live_parameters
from automcu.training import Recipe, TrainingResult, accuracy, recipe_for, train

FLOAT_MODEL = "float.onnx"
INT8_MODEL = "int8.onnx"
_RECORD = "candidate.json"
_CHECKPOINT = "checkpoint.pt"
_CALIBRATION_INPUTS = 512
# Should a check or a training fail.
_SPARE_ATTEMPTS = 10


def train_candidates(job: Job, plan: Plan, dataset: Dataset) -> tuple[TrainedCandidate, ...]:
    """Review and train one network after the other, as many as the budget allows.

    Each is chosen in the light of what was trained before, by this run or by others that share
    its study. Resumed, the run takes its own networks again in their order.

    Raises:
        DoesNotFitError: no proposal passed its review.
    """
    study, council = open_study(job), open_council(job, plan)
    counts = Counts()
    trained: list[TrainedCandidate] = []
    for rank in range(1, job.settings.budget + _SPARE_ATTEMPTS + 1):
        if len(trained) == job.settings.budget:
            break
        proposal = next_in_run(job, plan, study, rank, council)
        used = save_used(job.folder, council.model, council.turns) if council else None
        if proposal is None:
            break
        reviewed = review(
            proposal.architecture,
            input_channels=dataset.input_shape[2],
            classes=len(dataset.class_names),
            judge=partial(judge, job),
        )
        counts = _counted(counts, reviewed)
        if reviewed.accepted:
            job.progress.begin(f"training {len(trained) + 1} of {job.settings.budget}")
            trained.append(_candidate(job, proposal, reviewed, dataset))
            counts = counts.add("trained")
            tell(job, study, proposal, 100.0 * trained[-1].int8_accuracy)
        else:
            job.folder.log("proposal rejected", rank=proposal.rank, reason=reviewed.reason)
            tell(job, study, proposal, None)
        lost = used.turns.lost if used else 0
        counts.model_copy(update={"attempted": counts.attempted + lost}).save(job.folder.counts)
    if not trained:
        raise DoesNotFitError(
            "None of the proposed networks passed its review; log.jsonl has the reasons. "
            "Loosen a limit or choose a larger board."
        )
    return tuple(trained)


def _counted(counts: Counts, reviewed: Review) -> Counts:
    for gate in ("attempted", *reviewed.passed):
        counts = counts.add(gate)
    return counts


def _candidate(
    job: Job, proposal: Proposal, reviewed: Review, dataset: Dataset
) -> TrainedCandidate:
    """Return the trained candidate, from its record if that and its model are still there."""
    folder = job.folder
    home = folder.candidate(proposal.rank)
    found = load_if_valid(TrainedCandidate, home / _RECORD)
    if found and found.proposal == proposal and found.model_sha256 == sha256(home / INT8_MODEL):
        folder.log("candidate reused", rank=proposal.rank)
        return found
    with folder.timed("training and quantisation"):
        candidate = _train(job, home, proposal, reviewed, dataset)
    candidate.save(home / _RECORD)
    folder.log(
        "candidate trained",
        rank=proposal.rank,
        float_accuracy=candidate.float_accuracy,
        int8_accuracy=candidate.int8_accuracy,
        seconds=candidate.training.seconds,
    )
    return candidate


def _train(
    job: Job, home: Path, proposal: Proposal, reviewed: Review, dataset: Dataset
) -> TrainedCandidate:
    architecture = proposal.architecture
    data = resized(dataset, architecture.skeleton.resolution)
    recipe = recipe_for(data, job.settings.training_seconds)
    torch.manual_seed(job.settings.seed)
    network = build_network(architecture)
    home.mkdir(parents=True, exist_ok=True)
    training = _fit(job, network, data, recipe, home / _CHECKPOINT)
    training.save(home / "training.json")
    export_onnx(network, data.input_shape, home / FLOAT_MODEL)
    quantise_onnx(home / FLOAT_MODEL, _calibration_inputs(data), home / INT8_MODEL)
    return TrainedCandidate(
        proposal=proposal,
        review=reviewed,
        recipe=recipe,
        training=training,
        float_accuracy=accuracy(network, data.validation),
        int8_accuracy=onnx_accuracy(home / INT8_MODEL, data.validation),
        macs=count_live_macs(architecture),
        parameters=count_live_parameters(architecture),
        model_sha256=sha256(home / INT8_MODEL),
    )


def _fit(
    job: Job, network: torch.nn.Module, data: Dataset, recipe: Recipe, checkpoint: Path
) -> TrainingResult:
    def after_epoch(epoch: int, epochs: int, _: float, correct: float, left: float) -> None:
        note = f"epoch {epoch}/{epochs}, validation {100 * correct:.1f} %"
        job.progress.update(epoch / epochs, note, left)

    return train(network, data, recipe, job.settings.seed, after_epoch, checkpoint=checkpoint)


def _calibration_inputs(data: Dataset) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return inputs spread evenly over the training split, so that all classes are among them."""
    step = max(1, len(data.train.labels) // _CALIBRATION_INPUTS)
    return data.train.inputs[::step][:_CALIBRATION_INPUTS]


def best_first(candidates: Sequence[TrainedCandidate]) -> tuple[TrainedCandidate, ...]:
    """Order by int8 accuracy on validation data; of equals the faster first."""
    return tuple(
        sorted(candidates, key=lambda c: (-c.int8_accuracy, c.proposal.latency_ms, c.proposal.rank))
    )
