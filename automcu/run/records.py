"""What a run's own stages leave behind in the run folder, and what the report says of it."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

import automcu
from automcu.boards.records import Measurement
from automcu.brief import Brief
from automcu.compiler import Project
from automcu.cost.records import Estimate
from automcu.datasets.record import Dataset
from automcu.mcu.profile import Device
from automcu.networks.cells.accuracies import AccuracyDataset
from automcu.networks.family import Proposal
from automcu.planner.plan import Counts, Plan, Review
from automcu.planner.records import AgentTurns, ModelSettings, Usage
from automcu.records import Record
from automcu.report.record import (
    AccuracyFinding,
    AgentFinding,
    ArenaTensor,
    CandidateFinding,
    Findings,
    SkeletonFinding,
    SpaceFinding,
    data_warnings,
    measurement_warnings,
)
from automcu.report.wording import where_it_ran
from automcu.toolchains.build import Build
from automcu.training.records import Recipe, TernaryTraining, TrainingResult

PlannerName = Literal["offline", "llm", "local"]
ExecutorName = Literal["local", "ray"]


class Settings(Record):
    """How a run is carried out, beside what is wanted. `training_seconds` is per candidate.

    `accuracy_table` is the path of a table to use instead of the embedded one, `accuracy_dataset`
    the data set to take from NATS-Bench's files. `study` is the URL of a database to share with
    other runs of the same brief; None for one in the run folder. `model` is the language model
    of the `llm` planner, or of `local`, where it names a file and may be left out. `weights` are
    those of cells; vision transformers are always ternary. `parallel` networks are chosen at once,
    before any of them is trained, and `executor` trains them.
    """

    budget: int = Field(default=3, ge=1)
    seed: int = 0
    board: str = "virtual"
    training_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    accuracy_table: str | None = None
    accuracy_dataset: AccuracyDataset = "cifar10"
    study: str | None = None
    planner: PlannerName = "offline"
    model: ModelSettings | None = None
    executor: ExecutorName = "local"
    parallel: int = Field(default=1, ge=1)
    weights: Literal["8", "ternary"] = "8"


class TrainedCandidate(Record):
    """A proposal after training and quantisation; accuracies are fractions on validation data.

    `recipe` and `training` are those of the float network; where the weights are `ternary`, it is
    the teacher of the network that is deployed.
    """

    proposal: Proposal
    review: Review
    recipe: Recipe
    training: TrainingResult
    ternary: TernaryTraining | None = None
    float_accuracy: float
    int8_accuracy: float
    macs: int
    parameters: int
    model_sha256: str

    @property
    def training_seconds(self) -> float:
        """Seconds of all its trainings."""
        after = (self.ternary.imitation, self.ternary.recovery) if self.ternary else ()
        return self.training.seconds + sum(phase.seconds for phase in after)


class Deployment(Record):
    """A candidate compiled for the device: `project` is a copy of the folder's project.json.

    Accuracies are fractions on the test split: of the float network, of the quantised file in
    onnxruntime, of the integer reference.
    """

    rank: int
    model_sha256: str
    project: Project
    estimate: Estimate
    float_accuracy: float
    onnx_accuracy: float
    host_accuracy: float
    host_inputs: int


class AgentsUsed(Record):
    """What agents did in a run: turns that were won and lost, and what each agent used."""

    turns: AgentTurns
    usage: dict[str, Usage]
    problem: str | None


class Run(Record):
    """Every record of a finished run: the content of run.json."""

    version: str
    brief: Brief
    settings: Settings
    device: Device
    plan: Plan
    counts: Counts
    agents: AgentsUsed | None = None
    candidates: tuple[TrainedCandidate, ...]
    deployment: Deployment
    build: Build
    measurement: Measurement
    findings: Findings


def gather_findings(
    brief: Brief,
    device: Device,
    plan: Plan,
    candidates: tuple[TrainedCandidate, ...],
    deployment: Deployment,
    build: Build,
    measurement: Measurement,
    seconds: dict[str, float],
    dataset: Dataset,
) -> Findings:
    """Gather what the report says."""
    return Findings(
        version=automcu.__version__,
        date=datetime.now(UTC).date().isoformat(),
        brief=brief,
        device=device,
        space=_space(plan, len(candidates)),
        candidates=tuple(_candidate(c, deployment.rank) for c in candidates),
        accuracy=_accuracy(deployment, measurement),
        estimate=deployment.estimate,
        build=build,
        measurement=measurement,
        arena=tuple(
            ArenaTensor.model_validate(span.model_dump()) for span in deployment.project.arena
        ),
        missed=(
            *broken_limits(brief, device, build, measurement),
            *_missed_goals(brief, measurement),
        ),
        seconds=seconds,
        warnings=(
            *warnings_about(dataset, with_test=False),
            *measurement_warnings(measurement, dataset.class_names),
        ),
    )


def warnings_about(dataset: Dataset, with_test: bool = True) -> tuple[str, ...]:
    """Return a sentence for each reason why these data cannot give a result.

    What is tested says itself whether that was enough, so that the test split can be left out.
    """
    classes = len(dataset.class_names)
    return data_warnings(
        dataset.class_names,
        dataset.train.class_counts(classes),
        dataset.validation.class_counts(classes),
        dataset.test.class_counts(classes) if with_test else None,
    )


def with_proposals(findings: Findings, counts: Counts, used: AgentsUsed | None) -> Findings:
    """Add how far proposals came, and what agents used to make them."""
    agents = tuple(
        AgentFinding(agent=agent, **usage.model_dump())
        for agent, usage in (used.usage.items() if used else ())
    )
    return findings.model_copy(update={"gates": counts.model_dump(), "agents": agents})


def broken_limits(
    brief: Brief, device: Device, build: Build, measurement: Measurement
) -> tuple[str, ...]:
    """Return a sentence for each limit of the brief that the firmware does not keep to."""
    latency = measurement.latency_ms.median
    broken = []
    if brief.max_latency_ms is not None and latency > brief.max_latency_ms:
        broken.append(f"Latency is {latency:.3g} ms, {brief.max_latency_ms:g} are allowed.")
    energy = device.energy_millijoule(latency)
    if brief.max_energy_mj is not None and energy > brief.max_energy_mj:
        broken.append(f"Energy is {energy:.3g} mJ (modelled), {brief.max_energy_mj:g} are allowed.")
    if brief.max_ram_bytes is not None and build.ram_bytes > brief.max_ram_bytes:
        broken.append(f"RAM is {build.ram_bytes:,} bytes, {brief.max_ram_bytes:,} are allowed.")
    if brief.max_flash_bytes is not None and build.flash_bytes > brief.max_flash_bytes:
        broken.append(
            f"Flash is {build.flash_bytes:,} bytes, {brief.max_flash_bytes:,} are allowed."
        )
    return tuple(broken)


def _missed_goals(brief: Brief, measurement: Measurement) -> tuple[str, ...]:
    missed, where = [], where_it_ran(measurement)
    if measurement.mismatches:
        missed.append(
            f"{measurement.mismatches} of {measurement.inputs} answers {where} differ from the "
            "integer reference."
        )
    correct = measurement.accuracy
    if brief.min_accuracy is not None and correct is not None and correct < brief.min_accuracy:
        missed.append(
            f"Accuracy {where} is {100 * correct:.2f} %, the goal is "
            f"{100 * brief.min_accuracy:g} %."
        )
    return tuple(missed)


def _space(plan: Plan, trained: int) -> SpaceFinding:
    return SpaceFinding(
        space=plan.space,
        feasible=plan.feasible,
        trained=trained,
        prior=plan.prior,
        surveyed=tuple(
            SkeletonFinding(skeleton=one.skeleton, cells=one.cells, feasible=one.feasible)
            for one in plan.surveyed
        ),
        ruled_out=len(plan.ruled_out),
        unexplored=len(plan.unexplored),
        families={name: (one.space, one.feasible) for name, one in plan.families.items()},
        seconds=plan.seconds,
    )


def _candidate(candidate: TrainedCandidate, deployed: int) -> CandidateFinding:
    proposal = candidate.proposal
    return CandidateFinding(
        rank=proposal.rank,
        architecture=proposal.architecture,
        cell_index=proposal.cell_index,
        prior=proposal.prior,
        macs=candidate.macs,
        parameters=candidate.parameters,
        latency_ms=proposal.latency_ms,
        flash_bytes=proposal.flash_bytes,
        ram_bytes=proposal.ram_bytes,
        float_accuracy=candidate.float_accuracy,
        int8_accuracy=candidate.int8_accuracy,
        training_seconds=candidate.training_seconds,
        chosen=proposal.rank == deployed,
    )


def _accuracy(deployment: Deployment, measurement: Measurement) -> AccuracyFinding:
    assert measurement.accuracy is not None, "a run's golden inputs have labels"
    return AccuracyFinding(
        float_=deployment.float_accuracy,
        onnx=deployment.onnx_accuracy,
        host=deployment.host_accuracy,
        host_inputs=deployment.host_inputs,
        board=measurement.accuracy,
        board_inputs=measurement.inputs,
        board_mismatches=measurement.mismatches,
    )
