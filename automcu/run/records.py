"""What a run's own stages leave behind in the run folder."""

from typing import Literal

from pydantic import Field

from automcu.boards.records import Measurement
from automcu.brief import Brief
from automcu.compiler import Project
from automcu.cost.records import Estimate
from automcu.mcu.profile import Device
from automcu.networks.cells.nats_bench import AccuracyDataset
from automcu.networks.family import Proposal
from automcu.planner.plan import Counts, Plan, Review
from automcu.planner.records import AgentTurns, ModelSettings, Usage
from automcu.records import Record
from automcu.report.record import Findings
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
