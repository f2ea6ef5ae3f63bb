"""Which virtual boards run on this machine: no list of serial ports shows them.

Each board has a file while it runs. One that was killed leaves it behind, so a file counts only
while its port is taken.
"""

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from automcu.errors import WrongInputError
from automcu.records import Record
from automcu.resources import cache_folder

_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class RunningBoard(Record):
    """A virtual board that serves on `url` (socket:// or rfc2217://, 127.0.0.1:PORT)."""

    url: str
    device: str


def register(board: RunningBoard) -> None:
    """Note that a board runs; where that cannot be written down, it runs all the same."""
    with contextlib.suppress(OSError, WrongInputError):
        board.save(_folder() / f"{_port(board.url)}.json")


def unregister(url: str) -> None:
    """Forget a board that runs no more."""
    with contextlib.suppress(OSError):
        (_folder() / f"{_port(url)}.json").unlink(missing_ok=True)


def running_boards() -> tuple[RunningBoard, ...]:
    """The virtual boards that run now, by port; those that have died unnoticed are forgotten."""
    running = []
    for board in _registered():
        if _is_taken(_port(board.url)):
            running.append(board)
        else:
            unregister(board.url)
    return tuple(running)


def is_virtual(url: str) -> bool:
    """Whether a virtual board of this machine serves on `url`, however that is written."""
    try:
        parts = urlsplit(url)
        here = parts.hostname in _THIS_MACHINE and parts.port
    except ValueError:
        return False
    return bool(here) and any(_port(board.url) == parts.port for board in running_boards())


def _registered() -> Iterator[RunningBoard]:
    try:
        files = sorted(_folder().glob("*.json"))
    except OSError:
        return
    for file in files:
        with contextlib.suppress(WrongInputError):
            yield RunningBoard.load(file)


def _folder() -> Path:
    return cache_folder() / "virtual-boards"


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _is_taken(port: int) -> bool:
    """Whether something listens on a port; found out without disturbing it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
