"""Talking to the firmware: one request, one answer.

A request is sent again while there is silence, and given up in bounded time.
"""

import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from automcu.boards.port import Port, open_port
from automcu.boards.protocol import (
    ANSWER_BIT,
    COUNT_CYCLES,
    FRAME_END,
    MAX_CHUNK_BYTES,
    MAX_RUNS,
    PROTOCOL_VERSION,
    STATUS_TEXT,
    Answer,
    Command,
    DamagedFrameError,
    FrameReader,
    MemoryUse,
    RunResult,
    decode_answer,
    decode_counts,
    decode_identity,
    encode_frame,
    encode_request,
)
from automcu.boards.records import Identity
from automcu.errors import BoardError

ATTEMPTS = 3


class Exchange:
    """Requests and answers over one port."""

    def __init__(self, port: Port, timeout_s: float, compute_timeout_s: float) -> None:
        self.port = port
        self._timeout_s = timeout_s
        self._compute_timeout_s = compute_timeout_s
        self._reader = FrameReader()
        self._sequence = 0
        self._stray_bytes = 0

    def ask(self, command: Command, data: bytes = b"", attempts: int = ATTEMPTS) -> bytes:
        """Return the data of the answer to a request that the board answers at once.

        Raises:
            BoardError: silence, damage, a refusal, or a lost connection.
        """
        answer = self._await(command, self._next_sequence(), data, self._timeout_s, attempts)
        return self._data_of(command, answer)

    def compute(self, command: Command, data: bytes = b"") -> bytes:
        """Return the data of the answer to a request over which the board computes.

        If the answer stays away, the board must first show that it is still there before it is
        asked again.

        Raises:
            BoardError: silence, damage, a refusal, or a lost connection.
        """
        sequence = self._next_sequence()
        answer = self._await(command, sequence, data, self._compute_timeout_s, attempts=1)
        if answer is None:
            self.ask(Command.IDENTIFY)
            answer = self._await(command, sequence, data, self._compute_timeout_s, attempts=1)
        return self._data_of(command, answer)

    def nonsense(self, what: str) -> BoardError:
        """The error for an answer that arrived intact and still makes no sense."""
        return BoardError(
            f"The board at {self.port.url} answered nonsense ({what}). "
            "Flash the firmware that belongs to this program with `automcu flash`."
        )

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % 256
        return self._sequence

    def _await(
        self, command: Command, sequence: int, data: bytes, timeout_s: float, attempts: int
    ) -> Answer | None:
        """Send a request until it is answered; None when every attempt met with silence.

        The sequence stays the same, so that the board can tell a repeated request from a new one.
        """
        dropped_before = self._reader.dropped_frames
        self._stray_bytes = 0
        # The frame end in front closes whatever stray bytes the board has received before.
        frame = FRAME_END + encode_frame(encode_request(command, sequence, data))
        for _ in range(attempts):
            self.port.write(frame)
            answer = self._receive(command, sequence, timeout_s)
            if answer is not None:
                return answer
        if self._reader.dropped_frames - dropped_before >= attempts:
            raise BoardError(
                f"The answers of the board at {self.port.url} arrive damaged. Check that its baud "
                "rate is the profile's, and that cable and ground are sound."
            )
        return None

    def _receive(self, command: Command, sequence: int, timeout_s: float) -> Answer | None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            received = self.port.read_available()
            self._stray_bytes += len(received)
            for payload in self._reader.feed(received):
                answer = _answer_to(command, sequence, payload)
                if answer is not None:
                    return answer
        return None

    def _data_of(self, command: Command, answer: Answer | None) -> bytes:
        if answer is None:
            raise self._silence(command)
        if answer.status != 0:
            reason = STATUS_TEXT.get(answer.status, f"status {answer.status}")
            raise BoardError(
                f"The board at {self.port.url} refused the command {_name(command)}: {reason}. "
                "Flash the firmware that belongs to this program with `automcu flash`."
            )
        return answer.data

    def _silence(self, command: Command) -> BoardError:
        if self._stray_bytes:
            return BoardError(
                f"The board at {self.port.url} sends bytes, but no answer to {_name(command)}: "
                "another program runs on it, or the baud rate is wrong. "
                "Flash it with `automcu flash`."
            )
        return BoardError(
            f"The board at {self.port.url} does not answer {_name(command)}. Check power, cable "
            "and port; if its firmware is missing or has stopped, reset it and run `automcu flash`."
        )


def _name(command: Command) -> str:
    return command.name.lower().replace("_", " ")


def _answer_to(command: Command, sequence: int, payload: bytes) -> Answer | None:
    """The answer in `payload` if it belongs to this request, and not to an earlier one."""
    try:
        answer = decode_answer(payload)
    except DamagedFrameError:
        return None
    if answer.command != command | ANSWER_BIT or answer.sequence != sequence:
        return None
    return answer


Decoded = TypeVar("Decoded")

# The longest that a board may compute before it answers: a large network on a slow board, or on a
# virtual board that counts cycles without a compiler.
COMPUTE_TIMEOUT_S = 60.0
# Benchmarks are asked for in portions of about this length, well within the time-out.
_PORTION_S = 5.0


class Link:
    """A conversation with the firmware on one board. Use as a context manager."""

    def __init__(
        self, port: Port, timeout_s: float = 1.0, compute_timeout_s: float = COMPUTE_TIMEOUT_S
    ) -> None:
        self._exchange = Exchange(port, timeout_s, compute_timeout_s)
        self._identity: Identity | None = None

    def identify(self) -> Identity:
        """Ask who answers.

        Raises:
            BoardError: nobody does, or firmware of another protocol version.
        """
        identity = self._decoded(decode_identity, self._exchange.ask(Command.IDENTIFY))
        if identity.protocol_version != PROTOCOL_VERSION:
            raise BoardError(
                f"The firmware at {self._exchange.port.url} speaks protocol version "
                f"{identity.protocol_version}, this program version {PROTOCOL_VERSION}. "
                "Flash it again with `automcu flash`."
            )
        self._identity = identity
        return identity

    def run(self, input_bytes: bytes, count_cycles: bool = True) -> RunResult:
        """Run the network once on `input_bytes` (one int8 input, in NHWC order).

        Raises:
            BoardError: the size is not the network's, or the board fails to answer.
        """
        identity = self._identity or self.identify()
        if len(input_bytes) != identity.input_bytes:
            raise BoardError(
                f"The network on the board takes {identity.input_bytes} bytes, not "
                f"{len(input_bytes)}. Flash the project that these inputs belong to."
            )
        for offset in range(0, len(input_bytes), MAX_CHUNK_BYTES):
            chunk = input_bytes[offset : offset + MAX_CHUNK_BYTES]
            self._exchange.ask(Command.WRITE_INPUT, struct.pack("<I", offset) + chunk)
        flags = COUNT_CYCLES if count_cycles else 0
        (cycles,) = self._counts(self._exchange.compute(Command.RUN, bytes((flags,))), 1)
        return RunResult(output=self._read_output(identity.output_bytes), cycles=cycles)

    def profile(self) -> list[int]:
        """Run the network once, layer by layer; return the cycles of each layer.

        Raises:
            BoardError: the board fails to answer, or answers nonsense.
        """
        counts: list[int] = []
        total = 1
        while len(counts) < total:
            data = self._exchange.compute(Command.PROFILE, struct.pack("<H", len(counts)))
            total = int.from_bytes(data[:2], "little")
            portion = self._decoded(decode_counts, data[2:])
            if not portion or len(counts) + len(portion) > total:
                raise self._exchange.nonsense("a profile that does not add up")
            counts += portion
        return counts

    def benchmark(self, runs: int) -> list[int]:
        """Run the network `runs` times, with no line traffic in between; return their cycles.

        Raises:
            BoardError: the board fails to answer, or answers nonsense.
        """
        counts: list[int] = []
        portion = 1
        while len(counts) < runs:
            portion = min(portion, runs - len(counts), MAX_RUNS)
            started = time.monotonic()
            data = self._exchange.compute(Command.BENCHMARK, struct.pack("<H", portion))
            counts += self._counts(data, portion)
            seconds_per_run = max((time.monotonic() - started) / portion, 1e-3)
            portion = max(1, int(_PORTION_S / seconds_per_run))
        return counts

    def memory(self) -> MemoryUse:
        """Run the network once on painted memory; return how much of it was touched.

        Raises:
            BoardError: the board fails to answer, or answers nonsense.
        """
        stack, reserved, arena = self._counts(self._exchange.compute(Command.MEMORY), 3)
        return MemoryUse(stack_bytes=stack, stack_reserved_bytes=reserved, arena_bytes=arena)

    def enter_boot_loader(self) -> None:
        """Make the firmware hand over to the ROM boot loader; the link is of no use after that.

        Raises:
            BoardError: the firmware does not answer.
        """
        self._exchange.ask(Command.BOOT_LOADER, attempts=1)

    def close(self) -> None:
        """Close the port; closing twice does no harm."""
        self._exchange.port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_output(self, output_bytes: int) -> bytes:
        output = bytearray()
        while len(output) < output_bytes:
            length = min(MAX_CHUNK_BYTES, output_bytes - len(output))
            data = self._exchange.ask(Command.READ_OUTPUT, struct.pack("<IH", len(output), length))
            if len(data) != length:
                raise self._exchange.nonsense(f"{len(data)} output bytes instead of {length}")
            output += data
        return bytes(output)

    def _counts(self, data: bytes, expected: int) -> list[int]:
        counts = self._decoded(decode_counts, data)
        if len(counts) != expected:
            raise self._exchange.nonsense(f"{len(counts)} counts instead of {expected}")
        return counts

    def _decoded(self, decode: Callable[[bytes], Decoded], data: bytes) -> Decoded:
        try:
            return decode(data)
        except DamagedFrameError as error:
            raise self._exchange.nonsense(str(error)) from error


def open_link(url: str, baud_rate: int = 115_200, timeout_s: float = 1.0) -> Link:
    """Open a port, 8N1, and return the conversation with the firmware behind it.

    `timeout_s` is how long the board may take over an answer that needs no computing.

    Raises:
        BoardError: the port cannot be opened.
    """
    return Link(open_port(url, baud_rate), timeout_s)
