"""Training what is proposed, one network after the other, each to a quantised ONNX file."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from automcu.datasets.record import Dataset
from automcu.datasets.resize import resized
from automcu.errors import DoesNotFitError
from automcu.export.evaluation import onnx_accuracy
from automcu.export.float_onnx import export_onnx
from automcu.export.quantise import quantise_onnx
from automcu.export.ternary_convolutions import write_ternary_weights
from automcu.networks.cells.architecture import Architecture
from automcu.networks.cells.counting import count_live_macs, count_live_parameters
from automcu.networks.cells.torch import build_network
from automcu.networks.records import Plan
from automcu.networks.transformers.plan import TransformerProposal
from automcu.planner.counts import Counts
from automcu.planner.review import Review, review
from automcu.run.advising import open_council
from automcu.run.candidate_files import (
    FLOAT_MODEL,
    INT8_MODEL,
    TERNARY_MODEL,
    calibration_inputs,
)
from automcu.run.executors import EXECUTORS, round_size
from automcu.run.families import AnyProposal, next_of_families
from automcu.run.job import Job
from automcu.run.language_models import save_used
from automcu.run.planning import judge
from automcu.run.records import TrainedCandidate
from automcu.run.run_folder import load_if_valid, sha256
from automcu.run.studying import next_in_run, open_study, tell
from automcu.run.ternary_training import CHECKPOINT, fit, fit_ternary, teachers_recipe
from automcu.run.training_task import TrainAll, TrainingTask
from automcu.run.transformer_candidates import train_transformer
from automcu.training.evaluation import accuracy
from automcu.training.recipe import recipe_for
from automcu.training.ternary_layers import with_ternary_values

_RECORD = "candidate.json"
# Should a check or a training fail.
_SPARE_ATTEMPTS = 10


def train_candidates(job: Job, plan: Plan, dataset: Dataset) -> tuple[TrainedCandidate, ...]:
    """Review and train as many networks as the budget allows, one after the other or some at once.

    Each is chosen in the light of what was trained before, by this run or by others that share
    its study. Resumed, the run takes its own networks again in their order.

    Raises:
        DoesNotFitError: no proposal passed its review.
    """
    with EXECUTORS[job.settings.executor](job, dataset, _train) as train_all:
        trained = _rounds(job, plan, dataset, train_all)
    if not trained:
        raise DoesNotFitError(
            "None of the proposed networks passed its review; log.jsonl has the reasons. "
            "Loosen a limit or choose a larger board."
        )
    return tuple(sorted(trained, key=lambda candidate: candidate.proposal.rank))


def _rounds(job: Job, plan: Plan, dataset: Dataset, train_all: TrainAll) -> list[TrainedCandidate]:
    """Choose some networks, train them, and choose the next in their light."""
    study, council = open_study(job), open_council(job, plan)
    counts, lost = Counts(), 0
    trained: list[TrainedCandidate] = []
    tried: list[AnyProposal] = []
    waiting: list[TrainingTask] = []

    # A resumed run takes its own networks again; what it counted of them before stays meanwhile.
    before = load_if_valid(Counts, job.folder.counts) or Counts()

    def save_counts() -> None:
        attempted = counts.model_copy(update={"attempted": counts.attempted + lost})
        attempted.at_least(before).save(job.folder.counts)

    def train_those_waiting() -> None:
        nonlocal counts
        for candidate in _trained(job, waiting, train_all):
            trained.append(candidate)
            tell(job, study, candidate.proposal, 100.0 * candidate.int8_accuracy)
            counts = counts.add("trained")
            save_counts()
        waiting.clear()

    for rank in range(1, job.settings.budget + _SPARE_ATTEMPTS + 1):
        if len(trained) + len(waiting) == job.settings.budget:
            break
        with job.folder.timed("choosing networks"):
            next_cell = partial(next_in_run, job, plan, study, rank, council)
            proposal = next_of_families(plan, rank, tried, trained, next_cell)
        if council:
            lost = save_used(job.folder, council.model, council.turns).turns.lost
        if proposal is None and not waiting:
            break
        if proposal is None:
            train_those_waiting()
            continue
        tried.append(proposal)
        if isinstance(proposal, TransformerProposal):
            _note(job, proposal)
        reviewed = review(
            proposal.architecture,
            input_channels=dataset.input_shape[2],
            classes=len(dataset.class_names),
            judge=partial(judge, job),
        )
        counts = _counted(counts, reviewed)
        save_counts()
        if not reviewed.accepted:
            job.folder.log("proposal rejected", rank=proposal.rank, reason=reviewed.reason)
            tell(job, study, proposal, None)
            continue
        waiting.append(TrainingTask(len(trained) + len(waiting) + 1, proposal, reviewed))
        if len(waiting) >= round_size(job.settings, job.brief.family, len(trained)):
            train_those_waiting()
    train_those_waiting()
    save_counts()  # a turn may have been lost since the last network
    return trained


def _note(job: Job, proposal: TransformerProposal) -> None:
    """Write down a proposal that no study holds, once."""
    path = job.folder.proposal(proposal.rank)
    if load_if_valid(TransformerProposal, path) != proposal:
        proposal.save(path)
        shape = proposal.architecture.model_dump()
        job.folder.log("proposed", rank=proposal.rank, transformer=shape)


def _counted(counts: Counts, reviewed: Review) -> Counts:
    for gate in ("attempted", *reviewed.passed):
        counts = counts.add(gate)
    return counts


def _trained(
    job: Job, tasks: Sequence[TrainingTask], train_all: TrainAll
) -> Iterator[TrainedCandidate]:
    """Yield candidates as they come, first those whose record and model are still there."""
    missing = []
    for task in tasks:
        found = _reused(job, task.proposal)
        if found:
            yield found
        else:
            missing.append(task)
    if not missing:
        return
    with job.folder.timed("training and quantisation"):
        for candidate in train_all(missing):
            _keep(job, candidate)
            yield candidate


def _reused(job: Job, proposal: AnyProposal) -> TrainedCandidate | None:
    home = job.folder.candidate(proposal.rank)
    found = load_if_valid(TrainedCandidate, home / _RECORD)
    if found and found.proposal == proposal and found.model_sha256 == sha256(home / INT8_MODEL):
        job.folder.log("candidate reused", rank=proposal.rank)
        return found
    return None


def _keep(job: Job, candidate: TrainedCandidate) -> None:
    rank = candidate.proposal.rank
    candidate.save(job.folder.candidate(rank) / _RECORD)
    job.folder.log(
        "candidate trained",
        rank=rank,
        float_accuracy=candidate.float_accuracy,
        int8_accuracy=candidate.int8_accuracy,
        seconds=candidate.training_seconds,
    )


def _train(
    job: Job, home: Path, proposal: AnyProposal, reviewed: Review, dataset: Dataset
) -> TrainedCandidate:
    if isinstance(proposal, TransformerProposal):
        return train_transformer(job, home, proposal, reviewed, dataset)
    architecture = proposal.architecture
    data = resized(dataset, architecture.skeleton.resolution)
    recipe = recipe_for(data, job.settings.training_seconds)
    is_ternary = architecture.skeleton.ternary
    first = teachers_recipe(recipe) if is_ternary else recipe
    torch.manual_seed(job.settings.seed)
    network = build_network(_with_ternary(architecture, False))
    home.mkdir(parents=True, exist_ok=True)
    training = fit(job, network, data, first, home / CHECKPOINT, "float, " if is_ternary else "")
    training.save(home / "training.json")
    export_onnx(network, data.input_shape, home / FLOAT_MODEL)
    deployed, ternary, unquantised = network, None, home / FLOAT_MODEL
    if is_ternary:
        deployed, unquantised = build_network(architecture), home / TERNARY_MODEL
        ternary = fit_ternary(job, deployed, network, data, recipe, home)
        export_onnx(with_ternary_values(deployed), data.input_shape, unquantised)
    quantise_onnx(unquantised, calibration_inputs(data), home / INT8_MODEL)
    if is_ternary:
        write_ternary_weights(home / INT8_MODEL)
    return TrainedCandidate(
        proposal=proposal,
        review=reviewed,
        recipe=first,
        training=training,
        ternary=ternary,
        float_accuracy=accuracy(network, data.validation),
        int8_accuracy=onnx_accuracy(home / INT8_MODEL, data.validation),
        macs=count_live_macs(architecture),
        parameters=count_live_parameters(architecture),
        model_sha256=sha256(home / INT8_MODEL),
    )


def _with_ternary(architecture: Architecture, ternary: bool) -> Architecture:
    skeleton = architecture.skeleton.model_copy(update={"ternary": ternary})
    return architecture.model_copy(update={"skeleton": skeleton})


def best_first(candidates: Sequence[TrainedCandidate]) -> tuple[TrainedCandidate, ...]:
    """Order by int8 accuracy on validation data; of equals the faster first."""
    return tuple(
        sorted(candidates, key=lambda c: (-c.int8_accuracy, c.proposal.latency_ms, c.proposal.rank))
    )
