"""What a report shows: the findings of one run, gathered from its records, and what is doubtful.

An accuracy is no result where it is near chance, of too few examples, or of classes nobody saw.
"""

import math
from collections.abc import Sequence

from pydantic import Field

from automcu.boards.records import Measurement
from automcu.brief import Brief
from automcu.cost.records import Estimate
from automcu.mcu.profile import Device
from automcu.networks.cells.skeleton import Skeleton
from automcu.networks.family import AnyNetwork
from automcu.records import Record
from automcu.report.wording import percent
from automcu.toolchains.build import Build

FEWEST_INPUTS = 50
"""With fewer, the 95 % interval of an accuracy is up to 27 points wide."""

_NORMAL_95 = 1.959964  # standard deviations on either side of 95 % of a normal distribution
_SIGNIFICANT = 0.05
# Of the way from guessing to perfect; less is of no use, however sure it is.
_HARDLY_BETTER = 0.1
_NAMES_SHOWN = 5


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


def data_warnings(
    class_names: Sequence[str],
    training: Sequence[int],
    validation: Sequence[int],
    test: Sequence[int] | None = None,
) -> tuple[str, ...]:
    """Return a sentence for each thing that makes a data set too poor for a result.

    Args:
        class_names: one for each class.
        training: how many training examples each class has.
        validation: the same of the validation data.
        test: the same of the test data; None where `measurement_warnings` tell of them.
    """
    found = [
        *_without_examples("training", class_names, training, "the network cannot learn"),
        *_without_examples("validation", class_names, validation, "no network is chosen for"),
    ]
    if sum(validation) < FEWEST_INPUTS:
        found.append(
            f"The validation data have only {sum(validation)} examples: one more right answer "
            f"moves a network by {100 / max(1, sum(validation)):.1f} points, so that the ranking "
            "of networks means little."
        )
    if test is not None:
        found += _without_examples("test", class_names, test, "the accuracy says nothing about")
        if sum(test) < FEWEST_INPUTS:
            found.append(
                f"The test data have only {sum(test)} examples, too few to know an accuracy well."
            )
    return tuple(found)


def _without_examples(
    part: str, class_names: Sequence[str], counts: Sequence[int], so_that: str
) -> list[str]:
    missing = [name for name, count in zip(class_names, counts, strict=True) if not count]
    what = "it" if len(missing) == 1 else "them"
    sentence = f"The {part} data have no example of {_listed(missing)}: {so_that} {what}."
    return [sentence] if missing else []


def measurement_warnings(found: Measurement, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each reason why a measurement's accuracy is no result.

    None where there is no accuracy, or a record is too old to hold the counts.
    """
    if found.accuracy is None or not found.label_counts:
        return ()
    total = sum(found.label_counts)
    return accuracy_warnings(
        round(found.accuracy * total), found.label_counts, found.answer_counts, class_names
    )


def accuracy_warnings(
    correct: int, labels: Sequence[int], answers: Sequence[int], class_names: Sequence[str]
) -> tuple[str, ...]:
    """Return a sentence for each reason why an accuracy is no result.

    Args:
        correct: how many answers were right.
        labels: how many inputs each class has; what follows after the network's classes are labels
            of no class of it.
        answers: how often each class was answered.
        class_names: names of the classes; numbers stand for those that have none.
    """
    total, known = sum(labels), labels[: len(answers)]
    names = [*class_names, *map(str, range(len(class_names), len(answers)))]
    absent = [name for name, count in zip(names, known, strict=False) if not count]
    never = [at for at, count in enumerate(known) if count and not answers[at]]
    found = [_near_chance(correct, known, total, names)]
    if total < FEWEST_INPUTS:
        low, high = interval(correct, total)
        found.append(
            f"Only {total} inputs were tested: the true accuracy is between {100 * low:.0f} and "
            f"{100 * high:.0f} % (95 % confidence)."
        )
    if total > sum(known):
        found.append(
            f"{total - sum(known)} of {total} labels are of no class that the network, with "
            f"{len(answers)} outputs, can answer."
        )
    if absent and len(absent) < len(known) - 1:
        what = "it" if len(absent) == 1 else "them"
        found.append(
            f"No input that was tested is of {_listed(absent)}: the accuracy says nothing about "
            f"{what}."
        )
    if never:
        found.append(
            f"The network never answers {_listed([names[at] for at in never])}, right for "
            f"{sum(known[at] for at in never)} of {total} inputs."
        )
    return tuple(sentence for sentence in found if sentence)


def _near_chance(
    correct: int, known: Sequence[int], total: int, names: Sequence[str]
) -> str | None:
    most = max(known)
    commonest = names[list(known).index(most)]
    if len(known) == 1:
        return "The network has a single output, so that it can only give one answer."
    if most == total:
        return f"All {total} inputs are of class {commonest!r}: one answer is always right."
    chance, guess = most / total, f"always answering {commonest!r}"
    if chance < 1 / len(known):
        chance, guess = 1 / len(known), "guessing"
    accuracy = correct / total
    if _at_least(correct, total, chance) > _SIGNIFICANT:
        how = "cannot be told from chance"
    elif (accuracy - chance) / (1 - chance) < _HARDLY_BETTER:
        how = "is hardly better than chance"
    else:
        return None
    return (
        f"The accuracy of {percent(accuracy)} {how}: {guess} would be right in {percent(chance)} "
        f"of these {total:,} inputs."
    )


def interval(correct: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson, 1927); all of it where total is 0."""
    if not total:
        return 0.0, 1.0
    share, square = correct / total, _NORMAL_95**2 / total
    centre = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def _at_least(correct: int, total: int, chance: float) -> float:
    """Return the probability of at least so many right answers by chance (binomial test)."""
    logs = (
        math.lgamma(total + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(total - hits + 1)
        + hits * math.log(chance)
        + (total - hits) * math.log1p(-chance)
        for hits in range(correct, total + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def _listed(names: Sequence[str]) -> str:
    """Write the first few of some classes' names."""
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    kind = "class" if len(names) == 1 else "classes"
    return f"{kind} {shown}{f' and {more} more' if more > 0 else ''}"
