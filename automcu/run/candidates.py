"""From what fits to trained networks: the plan, the study that says which is next, and training.

Each network is chosen in the light of what was trained before, and becomes a quantised ONNX file.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automcu.brief import Brief
from automcu.datasets.record import Dataset, resized
from automcu.errors import DoesNotFitError
from automcu.export.quantise import onnx_accuracy
from automcu.networks.estimate import judge
from automcu.networks.family import (
    INT8_MODEL,
    Family,
    FamilyPlan,
    Network,
    Observation,
    Proposal,
    Task,
    families,
    families_named,
    family_of,
)
from automcu.planner.plan import Counts, Plan, Review, next_of_families, review
from automcu.planner.study import Study
from automcu.run.agents import open_council, save_used
from automcu.run.executors import EXECUTORS, TrainAll, TrainingTask, round_size
from automcu.run.job import Job, load_if_valid, sha256
from automcu.run.records import TrainedCandidate
from automcu.training.records import Training

if TYPE_CHECKING:
    from automcu.planner.council import Council

_RECORD = "candidate.json"
# Should a check or a training fail.
_SPARE_ATTEMPTS = 10


def task_of(job: Job, dataset: Dataset) -> Task:
    """Return what the run wants of each family."""
    settings = job.settings
    return Task(
        device=job.device,
        limits=job.brief.limits,
        input_shape=dataset.input_shape,
        classes=len(dataset.class_names),
        budget=settings.budget,
        seed=settings.seed,
        folder=job.folder.surveys,
        ternary=settings.weights == "ternary",
        accuracy_table=Path(settings.accuracy_table) if settings.accuracy_table else None,
        accuracy_dataset=settings.accuracy_dataset,
        progress=job.progress.update,
        log=job.folder.log,
    )


def make_plan(job: Job, task: Task) -> Plan:
    """Return the run's plan, made now or before.

    Raises:
        DoesNotFitError: no network fits; says by how much the smallest misses.
    """
    folder = job.folder
    found = load_if_valid(Plan, folder.plan)
    if found:
        folder.log("plan reused")
        return found
    with folder.timed("feasible space and plan"):
        plan = _plan_families(job, task)
    plan.save(folder.plan)
    folder.log("planned", space=plan.space, feasible=plan.feasible, seconds=plan.seconds)
    return plan


def _plan_families(job: Job, task: Task) -> Plan:
    """Plan the families that the brief names; of several, one that does not fit is left out."""
    wanted = families_named(job.brief.family)
    plans = {name: family.survey(task) for name, family in wanted.items()}
    if not any(plan.proposals for plan in plans.values()):
        raise DoesNotFitError(next(iter(plans.values())).miss)
    return Plan.of(plans, seed=task.seed, budget=task.budget)


# Part of an error bar, which profiles of older runs lack: their studies go on under their names.
_NOT_IN_STUDY_NAMES = {"latency": {"__all__": {"network_cycles"}}}


def open_study(job: Job) -> Study:
    """Open the study that the run shares with others, or the one in its folder."""
    url = job.settings.study or f"sqlite:///{job.folder.study.absolute()}"
    return Study(url, study_name(job), job.folder.name_in_study())


def study_name(job: Job) -> str:
    """Name the study after what it is for: runs of the same brief, and no others, share it."""
    brief = job.brief.model_dump_json(exclude=_not_asked(job.brief))
    device = job.device.model_dump_json(exclude=_NOT_IN_STUDY_NAMES)
    shared = f"{brief} {job.settings.training_seconds} {device}"
    if job.settings.weights != "8":
        shared += job.settings.weights
    digest = hashlib.sha256(shared.encode()).hexdigest()[:8]
    return f"{Path(job.brief.dataset).stem}-{job.device.id}-{digest}"


def _not_asked(brief: Brief) -> set[str]:
    """Return what does not change the question; what older briefs lack counts only where it is."""
    wording = {"text", "unused", "notes"}
    return wording if brief.max_energy_mj else wording | {"max_energy_mj"}


@dataclass(frozen=True)
class Chooser:
    """Who chooses a run's networks: its families, and agents where it has some."""

    job: Job
    plan: Plan
    task: Task
    study: Study
    council: "Council | None" = None

    def choose(
        self, rank: int, tried: Sequence[Network], trained: Sequence[tuple[Network, float]]
    ) -> Proposal | None:
        """Return the run's proposal of this number; None where nothing is left.

        `tried` is what the run has chosen so far, `trained` its results, with the accuracy.
        """
        return next_of_families(self.plan, tried, trained, partial(self._next, rank, tried))

    def _next(
        self, rank: int, tried: Sequence[Network], name: str, plan: FamilyPlan
    ) -> Proposal | None:
        family = families()[name]
        if family.parameters:
            return self._claimed(rank, family, plan)
        seen = [Observation(architecture=one, accuracy_percent=None) for one in tried]
        proposal = family.propose(plan, self.task, seen, rank)
        if proposal:
            self._note(proposal)
        return proposal

    def report(self, proposal: Proposal, accuracy_percent: float | None) -> None:
        """Write the result of a proposal into the study; None where it could not be trained.

        What comes of families that studies know nothing of is in the run alone.
        """
        if not family_of(proposal.architecture).parameters:
            return
        claim = self.study.claim_of(proposal.rank)
        if claim is None:
            self.job.folder.log("claim lost", rank=proposal.rank)
        elif accuracy_percent is None:
            self.study.fail(claim.trial)
        else:
            self.study.finish(claim.trial, accuracy_percent)

    def _claimed(self, rank: int, family: Family[Any], plan: FamilyPlan) -> Proposal | None:
        """Return the saved proposal of this number, or one that is chosen now.

        The first one is the offline planner's, whoever chooses the others: a model that chooses
        badly then costs time, but the run has the network that it would have begun with anyway.
        """
        known = self.study.claim_of(rank)
        if known:
            return known.proposal

        def choose(seen: Sequence[Observation]) -> Proposal | None:
            if self.council and self.study.claimed():
                chosen, enough = self._advised(seen, rank)
                if chosen or enough:
                    return chosen
            return family.propose(plan, self.task, seen, rank)

        # What was claimed and not finished has its own number, by which it is found above.
        claim = self.study.claim(choose, besides=True)
        if claim is None:
            return None
        claim.proposal.save(self.job.folder.proposal(rank))
        identity = family.identity(claim.proposal.architecture)
        self.job.folder.log("proposed", rank=rank, **identity, trial=claim.trial)
        return claim.proposal

    def _advised(self, seen: Sequence[Observation], rank: int) -> tuple[Proposal | None, bool]:
        """Return what the agents choose, and whether they think that it is enough."""
        assert self.council is not None, "only runs with agents ask them"
        trained = len(self.study.finished())
        self.job.progress.begin(f"waiting for the language model's network {rank}")
        chosen, enough = self.council.choose(
            seen,
            rank,
            self.job.settings.budget - rank + 1,
            may_stop=trained >= self.plan.fewest_trained,
        )
        if enough:
            self.job.folder.log("critic says it is enough", trained=trained)
        return chosen, enough

    def _note(self, proposal: Proposal) -> None:
        """Write down a proposal that no study holds, once."""
        path = self.job.folder.proposal(proposal.rank)
        if load_if_valid(Proposal, path) != proposal:
            proposal.save(path)
            identity = family_of(proposal.architecture).identity(proposal.architecture)
            self.job.folder.log("proposed", rank=proposal.rank, **identity)


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
