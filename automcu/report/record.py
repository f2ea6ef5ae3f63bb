"""What a report shows: the findings of one run, gathered from its records."""

from pydantic import Field

from automcu.boards.records import Measurement
from automcu.brief import Brief
from automcu.cost.records import Estimate
from automcu.mcu.profile import Device
from automcu.networks.cells.skeleton import Skeleton
from automcu.networks.family import AnyNetwork
from automcu.records import Record
from automcu.toolchains.build import Build


class SkeletonFinding(Record):
    """How many of a skeleton's cells fit."""

    skeleton: Skeleton
    cells: int
    feasible: int


class SpaceFinding(Record):
    """The funnel from the space to the trained networks; see `Plan` for what the counts mean.

    `families` holds, by family, how many networks were judged and how many fit.
    """

    space: int
    feasible: int
    trained: int
    prior: str
    surveyed: tuple[SkeletonFinding, ...]
    ruled_out: int
    unexplored: int
    families: dict[str, tuple[int, int]] = Field(default_factory=dict)
    seconds: float


class CandidateFinding(Record):
    """One trained network. Accuracies are fractions on the validation split; cost is modelled."""

    rank: int
    architecture: AnyNetwork
    cell_index: int | None
    prior: float | None
    macs: int
    parameters: int
    latency_ms: float
    flash_bytes: int
    ram_bytes: int
    float_accuracy: float
    int8_accuracy: float
    training_seconds: float
    chosen: bool


class AccuracyFinding(Record):
    """The deployed network on the test split, as fractions.

    `float_` is the trained network, `onnx` the quantised file in onnxruntime, `host` the integer
    reference, all on `host_inputs` inputs; `board` is the board's own answer on `board_inputs`.
    """

    float_: float
    onnx: float
    host: float
    host_inputs: int
    board: float
    board_inputs: int
    board_mismatches: int


class ArenaTensor(Record):
    """A tensor's place in the arena, in bytes, and the steps of the schedule it lives through."""

    tensor: str
    offset: int
    bytes: int
    first_step: int
    last_step: int


class AgentFinding(Record):
    """What one language-model agent used in a run; answers are requests with a usable reply.

    Of `estimated` requests the server did not say how many tokens they took.
    """

    agent: str
    requests: int
    answers: int
    input_tokens: int
    output_tokens: int
    seconds: float
    estimated: int = 0


class Findings(Record):
    """Everything that the report says.

    `gates` counts the proposals that passed each gate, in their order; `warnings` say why the
    accuracy, or the choice of the network, is no result.
    """

    version: str
    date: str
    brief: Brief
    device: Device
    space: SpaceFinding
    candidates: tuple[CandidateFinding, ...]
    accuracy: AccuracyFinding
    estimate: Estimate
    build: Build
    measurement: Measurement
    arena: tuple[ArenaTensor, ...]
    missed: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float]
    gates: dict[str, int] = Field(default_factory=dict)
    agents: tuple[AgentFinding, ...] = ()

    @property
    def chosen(self) -> CandidateFinding:
        """The network that was deployed."""
        return next(candidate for candidate in self.candidates if candidate.chosen)

    @property
    def ram_bytes(self) -> int:
        """RAM of the linked firmware in bytes, its reserved stack included."""
        return self.build.ram_bytes
