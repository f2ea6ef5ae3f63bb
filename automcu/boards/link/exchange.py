"""One request, one answer: asked again while there is silence, and given up in bounded time."""

import time

from automcu.boards.link.framing import FRAME_END, DamagedFrameError, FrameReader, encode_frame
from automcu.boards.link.protocol import (
    ANSWER_BIT,
    STATUS_TEXT,
    Answer,
    Command,
    decode_answer,
    encode_request,
)
from automcu.boards.port import Port
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
