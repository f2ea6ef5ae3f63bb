"""How long work on a board tells how far it is."""

from collections.abc import Callable

# Called with what is being done ("erasing"), how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def keep_silent(stage: str, done: int, total: int) -> None:
    """The progress callback for those who do not want one."""
