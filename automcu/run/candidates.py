"""Training what is proposed, one network after the other, each to a quantised ONNX file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from automcu.datasets.record import Dataset, resized
from automcu.errors import DoesNotFitError
from automcu.export.evaluation import onnx_accuracy
from automcu.networks.estimate import judge
from automcu.networks.family import INT8_MODEL, Network, Proposal, Task, family_of
from automcu.planner.plan import Plan
from automcu.planner.review import Counts, Review, review
from automcu.run.advising import open_council
from automcu.run.executors import EXECUTORS, round_size
from automcu.run.job import Job
from automcu.run.language_models import save_used
from automcu.run.records import TrainedCandidate
from automcu.run.run_folder import load_if_valid, sha256
from automcu.run.studying import Chooser, open_study
from automcu.run.training_task import TrainAll, TrainingTask
from automcu.training.records import Training

_RECORD = "candidate.json"
# Should a check or a training fail.
_SPARE_ATTEMPTS = 10


def train_candidates(
    job: Job, plan: Plan, task: Task, dataset: Dataset
) -> tuple[TrainedCandidate, ...]:
    """Review and train as many networks as the budget allows, one after the other or some at once.

    Each is chosen in the light of what was trained before, by this run or by others that share
    its study. Resumed, the run takes its own networks again in their order.

    Raises:
        DoesNotFitError: no proposal passed its review.
    """
    with EXECUTORS[job.settings.executor](job, dataset, _train) as train_all:
        trained = _rounds(job, plan, task, train_all)
    if not trained:
        raise DoesNotFitError(
            "None of the proposed networks passed its review; log.jsonl has the reasons. "
            "Loosen a limit or choose a larger board."
        )
    return tuple(sorted(trained, key=lambda candidate: candidate.proposal.rank))


def _rounds(job: Job, plan: Plan, task: Task, train_all: TrainAll) -> list[TrainedCandidate]:
    """Choose some networks, train them, and choose the next in their light."""
    council = open_council(job, plan)
    chooser = Chooser(job, plan, task, open_study(job), council)
    counts, lost = Counts(), 0
    trained: list[TrainedCandidate] = []
    tried: list[Network] = []
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
            chooser.report(candidate.proposal, 100.0 * candidate.int8_accuracy)
            counts = counts.add("trained")
            save_counts()
        waiting.clear()

    for rank in range(1, job.settings.budget + _SPARE_ATTEMPTS + 1):
        if len(trained) + len(waiting) == job.settings.budget:
            break
        with job.folder.timed("choosing networks"):
            proposal = chooser.choose(
                rank,
                tried,
                [(one.proposal.architecture, one.int8_accuracy) for one in trained],
            )
        if council:
            lost = save_used(job.folder, council.model, council.turns).turns.lost
        if proposal is None and not waiting:
            break
        if proposal is None:
            train_those_waiting()
            continue
        tried.append(proposal.architecture)
        reviewed = review(
            proposal.architecture,
            input_channels=task.input_shape[2],
            classes=task.classes,
            judge=lambda network: judge(network, task.device, task.limits),
        )
        counts = _counted(counts, reviewed)
        save_counts()
        if not reviewed.accepted:
            job.folder.log("proposal rejected", rank=proposal.rank, reason=reviewed.reason)
            chooser.report(proposal, None)
            continue
        waiting.append(TrainingTask(len(trained) + len(waiting) + 1, proposal, reviewed))
        if len(waiting) >= round_size(job.settings, len(plan.families), len(trained)):
            train_those_waiting()
    train_those_waiting()
    save_counts()  # a turn may have been lost since the last network
    return trained


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


def _reused(job: Job, proposal: Proposal) -> TrainedCandidate | None:
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
    job: Job, home: Path, proposal: Proposal, reviewed: Review, dataset: Dataset
) -> TrainedCandidate:
    verdict = reviewed.verdict
    assert verdict is not None, "only reviewed candidates are trained"
    network = proposal.architecture
    data = resized(dataset, *network.input_shape[:2])
    home.mkdir(parents=True, exist_ok=True)
    trained = family_of(network).train(
        network,
        Training(
            data=data,
            seed=job.settings.seed,
            seconds=job.settings.training_seconds,
            folder=home,
            progress=job.progress.update,
        ),
    )
    return TrainedCandidate(
        proposal=proposal,
        review=reviewed,
        recipe=trained.recipe,
        training=trained.training,
        ternary=trained.ternary,
        float_accuracy=trained.float_accuracy,
        int8_accuracy=onnx_accuracy(home / INT8_MODEL, data.validation),
        macs=verdict.estimate.macs if trained.macs is None else trained.macs,
        parameters=trained.parameters,
        model_sha256=sha256(home / INT8_MODEL),
    )


def best_first(candidates: Sequence[TrainedCandidate]) -> tuple[TrainedCandidate, ...]:
    """Order by int8 accuracy on validation data; of equals the faster first."""
    return tuple(
        sorted(candidates, key=lambda c: (-c.int8_accuracy, c.proposal.latency_ms, c.proposal.rank))
    )
