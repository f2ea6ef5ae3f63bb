"""How a run reports its progress; the command line draws it, a script may ignore it."""

from typing import Protocol


class Progress(Protocol):
    """Whoever wants to know how far a run has come."""

    def begin(self, stage: str) -> None:
        """Tell that a stage begins, and that the one before it has ended."""

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        """Tell how much of the stage is done, from 0 to 1."""

    def say(self, sentence: str) -> None:
        """Tell of a decision."""


class Silent:
    """Listens to nothing: for scripts and tests."""

    def begin(self, stage: str) -> None:
        """Ignore the stage."""

    def update(self, fraction: float, note: str = "", seconds_left: float | None = None) -> None:
        """Ignore the fraction."""

    def say(self, sentence: str) -> None:
        """Ignore the sentence."""
