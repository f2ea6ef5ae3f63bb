"""The gates that proposals pass before they may be trained, and how many passed each."""

from collections.abc import Callable
from typing import Literal

from automcu.cost.records import Verdict
from automcu.errors import WrongInputError
from automcu.networks.family import Network, family_of
from automcu.records import Record


class Counts(Record):
    """Proposals that passed each gate; every count includes only those that passed all before."""

    attempted: int = 0
    schema_valid: int = 0
    shape_valid: int = 0
    feasible: int = 0
    trained: int = 0
    deployed: int = 0

    def add(self, gate: str) -> "Counts":
        """Return the counts with one more at `gate`, the name of a field."""
        return self.model_copy(update={gate: getattr(self, gate) + 1})

    def at_least(self, other: "Counts") -> "Counts":
        """Return the larger of each two counts."""
        return Counts(
            **{gate: max(getattr(self, gate), getattr(other, gate)) for gate in Counts.model_fields}
        )


Gate = Literal["schema_valid", "shape_valid", "feasible"]


class Review(Record):
    """The gates that a proposal passed, and why it did not pass the next one."""

    passed: tuple[Gate, ...]
    reason: str | None
    verdict: Verdict | None

    @property
    def accepted(self) -> bool:
        """Whether the proposal may be trained."""
        return self.reason is None


def review(
    architecture: Network,
    *,
    input_channels: int,
    classes: int,
    judge: Callable[[Network], Verdict],
) -> Review:
    """Check a proposal again, independently of the survey that it came from."""
    try:
        objection = family_of(architecture).objection(architecture)
    except WrongInputError as error:
        return Review(passed=(), reason=str(error), verdict=None)
    if objection:
        return _stopped(("schema_valid",), objection)
    channels, class_count = architecture.input_shape[2], architecture.class_count
    if (channels, class_count) != (input_channels, classes):
        return _stopped(
            ("schema_valid",),
            f"it takes {channels} channels and tells {class_count} classes "
            f"apart, the data have {input_channels} and {classes}",
        )
    verdict = judge(architecture)
    if not verdict.fits:
        broken = ", ".join(limit.limit for limit in verdict.limits)
        return _stopped(("schema_valid", "shape_valid"), f"it breaks the limit: {broken}", verdict)
    return Review(passed=("schema_valid", "shape_valid", "feasible"), reason=None, verdict=verdict)


def _stopped(passed: tuple[Gate, ...], reason: str, verdict: Verdict | None = None) -> Review:
    return Review(passed=passed, reason=reason, verdict=verdict)
