"""What agents see and what they answer: typed, bounded, and without anyone's reasoning.

Answers hold choices from closed sets and numbers, no free text, so nothing that one agent writes
can steer another. Summaries have a largest size, whatever the run has seen. Servers are given a
record's JSON schema in the subset that they guarantee to keep to (OpenAI, "Structured model
outputs", section "Supported schemas"): every property is required, nothing else may stand beside
them, there are no defaults, and lists have one kind of item. What the subset cannot say, such as
the length of a text, the record itself still checks.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from automcu.networks.cells.cell import Operation
from automcu.records import Record

Unit = Literal[
    "ms",
    "us",
    "s",
    "per_second",
    "mJ",
    "uJ",
    "J",
    "B",
    "KB",
    "MB",
    "percent",
    "percent_error",
    "fraction",
]

KEY_VARIABLES = ("AUTOMCU_LLM_KEY", "OPENAI_API_KEY")
"""Where the key of a language model's server may stand in the environment; the first one counts."""

CellEdges = tuple[Operation, Operation, Operation, Operation, Operation, Operation]
"""One operation for each of the edges 0→1, 0→2, 1→2, 0→3, 1→3, 2→3."""

SkeletonNumber = Annotated[int, Field(ge=1, le=99)]


class SkeletonSummary(Record):
    """One skeleton of the space; latencies are modelled."""

    number: SkeletonNumber
    stem_channels: int
    cells_per_stage: int
    resolution: int
    feasible: int
    fastest_ms: float
    slowest_ms: float


class SpaceSummary(Record):
    """What fits the board and the limits."""

    device: str
    max_latency_ms: float | None
    skeletons: tuple[SkeletonSummary, ...]


class TrainedSummary(Record):
    """A network that was trained."""

    skeleton: SkeletonNumber
    cell: CellEdges
    accuracy_percent: float


class HistorySummary(Record):
    """How many networks were trained, and the best few of them, the best first."""

    trained: int
    best: tuple[TrainedSummary, ...]


class Question(Record):
    """A question to the feasible space; a filter that is None lets everything pass."""

    tool: Literal["count", "sample", "front", "neighbours"]
    skeleton: SkeletonNumber | None = None
    max_latency_ms: FiniteFloat | None = None
    cell: CellEdges | None = None


class FoundCell(Record):
    """A cell that fits, with its modelled latency."""

    skeleton: SkeletonNumber
    cell: CellEdges
    latency_ms: float


class Finding(Record):
    """The answer to a question: how many cells there are, and a few of them."""

    question: Question
    count: int
    cells: tuple[FoundCell, ...]


class Choice(Record):
    """A network that the Architect wants."""

    skeleton: SkeletonNumber
    cell: CellEdges


class ArchitectAnswer(Record):
    """Questions or proposals; of both, proposals count."""

    questions: Annotated[tuple[Question, ...], Field(max_length=3)] = ()
    proposals: Annotated[tuple[Choice, ...], Field(max_length=3)] = ()


class CriticAnswer(Record):
    """What to try next. The Architect sees it as `advice`."""

    more: Annotated[tuple[Operation, ...], Field(max_length=5)] = ()
    fewer: Annotated[tuple[Operation, ...], Field(max_length=5)] = ()
    skeleton: SkeletonNumber | None = None
    stop: bool = False


class ArchitectView(Record):
    """All that the Architect sees."""

    space: SpaceSummary
    history: HistorySummary
    advice: CriticAnswer | None
    findings: tuple[Finding, ...]


class CriticView(Record):
    """All that the Critic sees."""

    history: HistorySummary
    budget_left: int


class ModelSettings(Record):
    """Which model, where, and how much of it; prices in any currency per million tokens.

    `max_answer_tokens` cuts one answer short, `max_tokens` is for a whole run.
    """

    model: str
    base_url: str | None = None
    timeout_s: float = 60.0
    attempts: int = 3
    max_tokens: int = 200_000
    max_answer_tokens: int = 2_000
    max_cost: float | None = None
    input_price: float = 0.0
    output_price: float = 0.0


class Usage(Record):
    """What one agent has used so far.

    `estimated` counts the requests whose tokens the server did not say, or not credibly: they are
    estimated from the text, rather too many than too few.
    """

    requests: int = 0
    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    estimated: int = 0


class AgentTurns(Record):
    """What became of the agents' turns in a run.

    `proposed` counts turns in which the Architect proposed, `lost` those without a usable answer,
    `replaced` proposals that did not fit or were there before and gave way to the nearest.
    """

    proposed: int = 0
    lost: int = 0
    replaced: int = 0


class ReporterView(Record):
    """All that the Reporter sees: the figures of a finished run.

    `executed` says in words what computed the answers that the accuracy is of, `limits` what came
    of the limits.
    """

    device: str
    networks_judged: int
    networks_that_fit: int
    networks_trained: int
    accuracy_percent: float
    executed: str
    latency_ms: float
    latency_source: str
    flash_bytes: int
    ram_bytes: int
    every_limit_kept: bool
    limits: str = "Not every limit was kept."


class ReporterAnswer(Record):
    """The Reporter's paragraph."""

    paragraph: Annotated[str, Field(min_length=1, max_length=900)]


class IntakeView(Record):
    """All that Intake sees: the user's sentence, and what boards and data there are."""

    sentence: str
    boards: tuple[str, ...]
    data: tuple[str, ...]


Quote = Annotated[str, Field(min_length=1, max_length=200)]


class Named(Record):
    """Something that the sentence names, and the words that name it."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    quote: Quote


class Amount(Record):
    """A figure that the sentence gives, and the words that give it."""

    amount: FiniteFloat
    unit: Unit
    quote: Quote


class IntakeAnswer(Record):
    """What Intake has read; None where the sentence says nothing."""

    board: Named | None = None
    data: Named | None = None
    latency: Amount | None = None
    energy: Amount | None = None
    ram: Amount | None = None
    flash: Amount | None = None
    accuracy: Amount | None = None


_NOT_SUPPORTED = ("default", "title", "minLength", "maxLength")


def strict_schema(record: type[Record]) -> dict[str, Any]:
    """Return the schema of a record's JSON; what has a default must be given too."""
    schema = _strict(record.model_json_schema())
    assert isinstance(schema, dict)
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _strict(value) for key, value in node.items() if key not in _NOT_SUPPORTED}
    if "properties" in node:
        # Names of properties are no keywords, so one may be called "title".
        found["properties"] = {name: _strict(one) for name, one in node["properties"].items()}
        found |= {"required": list(node["properties"]), "additionalProperties": False}
    if "prefixItems" in found:
        found["items"] = _the_only_kind(found.pop("prefixItems"))
    return found


def _the_only_kind(items: list[Any]) -> Any:
    """Return what all items of a tuple are; records that are answers have no other tuples."""
    assert all(item == items[0] for item in items)
    return items[0]
