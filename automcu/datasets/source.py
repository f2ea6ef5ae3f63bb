"""What every source of data offers: whether it knows a name, and how to load it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from automcu.datasets.record import Dataset


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    `image_side` is the height and width in pixels that images shall have, None for the source's
    own; `window_channels` is the number of interleaved signals in a CSV window.
    """

    name: str
    seed: int = 0
    image_side: int | None = None
    window_channels: int = 1

    @property
    def path(self) -> Path:
        """The name read as a path."""
        return Path(self.name).expanduser()


@dataclass(frozen=True)
class Source:
    """One kind of data: the names it answers to for error messages, and two functions."""

    names: tuple[str, ...]
    recognises: Callable[[Request], bool]
    load: Callable[[Request], Dataset]


def plain_name(name: str) -> str:
    """Spell a data set's name in one way: `CIFAR-10`, `cifar_10` and `cifar10` are the same."""
    return "".join(character for character in name.lower() if character.isalnum())
