import errno
import os
import sys
import time

import pytest
import serial

from automcu.boards import port as port_module
from automcu.boards.port import open_port
from automcu.errors import BoardError

needs_terminals = pytest.mark.skipif(
    sys.platform == "win32", reason="pseudo-terminals are a Unix thing"
)


def test_reading_returns_what_came_when_the_time_is_over() -> None:
    with open_port("loop://", 115_200) as port:
        port.write(b"abc")
        started = time.monotonic()
        assert port.read(5, timeout_s=0.2) == b"abc"
        assert 0.1 < time.monotonic() - started < 1


def test_reading_does_not_wait_for_more_than_was_asked_for() -> None:
    with open_port("loop://", 115_200) as port:
        port.write(b"abcdef")
        assert port.read(4, timeout_s=5) == b"abcd"
        assert port.read_available() == b"ef"


def test_input_can_be_discarded() -> None:
    with open_port("loop://", 115_200) as port:
        port.write(b"old")
        port.discard_input()
        assert port.read(3, timeout_s=0) == b""


@needs_terminals
def test_a_pseudo_terminal_that_cannot_do_parity_is_used_without() -> None:
    board, host = os.openpty()
    with open_port(os.ttyname(host), 115_200, parity="even") as port:
        port.write(b"\x7f")
        assert os.read(board, 1) == b"\x7f"
        port.use_parity("none")
        os.write(board, b"\x79")
        assert port.read(1, timeout_s=2) == b"\x79"
    os.close(board)
    os.close(host)


@needs_terminals
def test_a_port_that_another_program_holds_is_called_that() -> None:
    board, host = os.openpty()
    with (
        open_port(os.ttyname(host), 115_200),
        pytest.raises(BoardError, match="Another program uses"),
    ):
        open_port(os.ttyname(host), 115_200)
    os.close(board)
    os.close(host)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "permission denied.*dialout"),
        (errno.EBUSY, "Another program uses"),
        (errno.ENOENT, "There is no port"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_the_cause_of_a_port_that_does_not_open_is_named(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    class Refusing(serial.Serial):
        def open(self) -> None:
            raise serial.SerialException(number, "could not open port")

    monkeypatch.setattr(port_module.serial, "serial_for_url", lambda url, do_not_open: Refusing())
    with pytest.raises(BoardError, match=message):
        open_port("/dev/ttyACM0", 115_200)
