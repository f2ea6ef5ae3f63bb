"""RFC 2217 on the board's side: whatever bytes come, later ones are understood."""

import socket
from collections.abc import Iterator

import pytest
import serial
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automcu.boards.flashing.stm32_bootloader import BootLoader
from automcu.boards.port import open_port
from automcu.boards.virtual import virtual_board
from automcu.boards.virtual.wire import LineSettings, ResetPins, Rfc2217Wire
from automcu.mcu import Device

IAC, SB, SE = b"\xff", b"\xfa", b"\xf0"
COM_PORT = b"\x2c"
END = IAC + SE
PART_ID = 0x413

# Commands without and with an option, and subnegotiations of every COM port command with values
# that are missing, short, impossible or endless.
commands = st.sampled_from([bytes((code,)) for code in range(0xEF, 0x100)]).map(
    lambda code: IAC + code
)
negotiations = st.tuples(st.sampled_from(b"\xfb\xfc\xfd\xfe"), st.integers(0, 255)).map(
    lambda pair: IAC + bytes(pair)
)
subnegotiations = st.builds(
    lambda code, value, end: IAC + SB + COM_PORT + bytes((code,)) + value + end,
    st.integers(0, 13) | st.integers(0, 255),
    st.binary(max_size=6) | st.just(b"x" * 5000),
    st.sampled_from([END, b"", IAC, SE]),
)
streams = st.lists(
    commands | negotiations | subnegotiations | st.binary(max_size=20), max_size=12
).map(b"".join)


class Wire:
    """A wire and what it answers."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.resets: list[bool] = []
        settings_of_board = LineSettings(serial.PARITY_NONE, 115_200)
        pins = ResetPins(self.resets.append)
        self.wire = Rfc2217Wire(self.answers.append, pins, lambda: settings_of_board)


@given(stream=streams, cut=st.integers(1, 50))
def test_any_stream_is_survived_however_it_is_cut(stream: bytes, cut: int) -> None:
    wire = Wire().wire
    for start in range(0, len(stream), cut):
        wire.decode(stream[start : start + cut])
    # Ends what is open; then the settings are what the board's are, and bytes arrive again.
    wire.decode(IAC + IAC + END)
    wire.decode(IAC + SB + COM_PORT + b"\x01" + (115_200).to_bytes(4, "big") + END)
    wire.decode(IAC + SB + COM_PORT + b"\x03\x01" + END)
    assert wire.decode(b"after\x00all") == b"after\x00all"
    assert wire.decode(b"a" + IAC + IAC + b"b") == b"a" + IAC + b"b"


@pytest.mark.parametrize(
    "stream",
    [
        END,
        IAC + SB + END,
        IAC + SB + COM_PORT + END,
        *(IAC + SB + COM_PORT + bytes((code,)) + END for code in range(1, 13)),
        *(IAC + SB + COM_PORT + bytes((code, 0xEE)) + END for code in range(1, 13)),
    ],
    ids=bytes.hex,
)
def test_malformed_options_are_ignored(stream: bytes) -> None:
    line = Wire()
    assert line.wire.decode(stream + b"data") == b"data"
    assert line.resets == []


def test_an_endless_subnegotiation_takes_bounded_memory() -> None:
    wire = Wire().wire
    for _ in range(100):
        assert wire.decode((IAC + SB + COM_PORT if _ == 0 else b"") + b"x" * 10_000) == b""
    assert len(wire._manager.suboption) <= 256


@pytest.fixture(scope="module")
def board_url(device: Device) -> Iterator[str]:
    with virtual_board(device, protocol="rfc2217") as url:
        yield url


def answers(url: str) -> bool:
    with open_port(url, 115_200, "even") as port:
        loader = BootLoader(port)
        port.reset_board(boot0=True)
        return loader.synchronise(attempts=3) and loader.device_id() == PART_ID


def test_the_two_bytes_that_ended_a_board_do_not(board_url: str) -> None:
    with connect(board_url) as host:
        host.sendall(END)
    assert answers(board_url)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(stream=streams)
def test_a_board_answers_after_any_stream_and_a_host_that_leaves_in_the_middle(
    board_url: str, stream: bytes
) -> None:
    with connect(board_url) as host:
        host.sendall(b"\x7f" + stream)
    assert answers(board_url)


def test_a_host_that_never_reads_its_answers_does_not_hold_the_board(board_url: str) -> None:
    with connect(board_url) as host:
        host.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        host.settimeout(1.0)
        asks = IAC + SB + COM_PORT + b"\x01\x00\x00\x00\x00" + END
        try:
            for _ in range(200):
                host.sendall(asks * 5000)
        except OSError:
            pass  # the board does not take more for now
    assert answers(board_url)


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("rfc2217://").partition(":")
    return socket.create_connection((host, int(port)))
