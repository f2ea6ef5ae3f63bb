"""A virtual board as a process of its own, and which of them run on this machine.

No list of serial ports shows them: each board has a file while it runs. One that was killed leaves
it behind, so a file counts only while its port is taken.
"""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import automcu
from automcu.boards.virtual.memory import virtual_registers
from automcu.boards.virtual.wire import WireProtocol
from automcu.errors import BoardError, WrongInputError
from automcu.mcu.profile import Device
from automcu.records import Record, cache_folder

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
        if is_taken(_port(board.url)):
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


def is_taken(port: int) -> bool:
    """Whether something listens on a port; found out without disturbing it."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


# Compiling the timing model takes some seconds, once.
_START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 5.0


@contextlib.contextmanager
def virtual_board(
    device: Device, port: int = 0, protocol: WireProtocol = "socket"
) -> Iterator[str]:
    """Power up a virtual `device` with erased flash; yield the URL of its serial line.

    `port` is a TCP port of this machine, 0 for any free one. RFC 2217 takes the modem lines along,
    with which a host can reset the board; a bare socket is faster to open.

    The board ends with the block, and with this process however that ends: it watches its
    standard input, which closes with its parent. Faults of its program go to standard error.

    Raises:
        BoardError: there is no virtual board for this device, or it does not start; its standard
            error has the reason.
    """
    virtual_registers(device)  # which there must be
    # A session of its own keeps the terminal's Ctrl-C away from it; it is stopped below.
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "automcu.boards.virtual", "--device", "-"),
            *("--port", str(port), "--protocol", protocol),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=_environment(),
    )
    url = ""
    try:
        url = _start(process, device)
        yield url
    finally:
        _stop(process)
        if url:
            unregister(url)


def _environment() -> dict[str, str]:
    """This process's environment, with the package found where this process found it."""
    places = [str(Path(automcu.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}


def _start(process: "subprocess.Popen[str]", device: Device) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(device.model_dump_json() + "\n")
        process.stdin.flush()
    url = _first_line(process.stdout, _START_TIMEOUT_S)
    if not url:
        raise BoardError(
            f"The virtual {device.name} did not start. Run `automcu doctor` to see what is missing."
        )
    return url


def _first_line(stream: IO[str], timeout_s: float) -> str:
    """The first line of a stream; empty when it ends or the time is over before there is one."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(timeout_s)
    return lines[0].strip() if lines else ""


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
