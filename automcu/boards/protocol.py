"""The firmware's serial link, as bytes: frames, and the requests and answers in them.

A frame is COBS(payload ‖ CRC-32(payload), little endian), then one zero byte. COBS (Consistent
Overhead Byte Stuffing; Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999) removes
every zero byte from a packet, so that a zero always and only means "a frame ends here", and a
receiver finds its way back after any damage.

Request payload: command u8, sequence u8, data. Answer payload: command | 0x80, sequence,
status u8, data. All integers are little endian. The host speaks first; the firmware never sends
unasked.
"""

import struct
import zlib
from enum import IntEnum

from automcu.boards.records import Identity
from automcu.records import Record

FRAME_END = b"\x00"
MAX_PAYLOAD_BYTES = 1040
CHECKSUM_BYTES = 4

_FULL_BLOCK_BYTES = 254
_FULL_BLOCK_CODE = 255
# One code byte in front, and one more for every full block.
MAX_STUFFED_BYTES = (
    (MAX_PAYLOAD_BYTES + CHECKSUM_BYTES)
    + (MAX_PAYLOAD_BYTES + CHECKSUM_BYTES) // _FULL_BLOCK_BYTES
    + 1
)


class DamagedFrameError(Exception):
    """A frame that is not what its sender wrote."""


def stuff(packet: bytes) -> bytes:
    """Encode `packet` into at least one byte, none of them zero."""
    stuffed = bytearray()
    runs = packet.split(b"\x00")
    for index, run in enumerate(runs):
        for start in range(0, len(run) - _FULL_BLOCK_BYTES + 1, _FULL_BLOCK_BYTES):
            stuffed.append(_FULL_BLOCK_CODE)
            stuffed += run[start : start + _FULL_BLOCK_BYTES]
        rest = run[len(run) - len(run) % _FULL_BLOCK_BYTES :]
        ends_with_a_full_block = bool(run) and not rest and index == len(runs) - 1
        if not ends_with_a_full_block:
            stuffed.append(len(rest) + 1)
            stuffed += rest
    return bytes(stuffed)


def unstuff(stuffed: bytes) -> bytes:
    """Undo `stuff`.

    Raises:
        DamagedFrameError: the bytes hold a zero, or end inside a block.
    """
    packet = bytearray()
    position = 0
    while position < len(stuffed):
        code = stuffed[position]
        block = stuffed[position + 1 : position + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise DamagedFrameError("the byte stuffing is broken")
        packet += block
        position += code
        if code != _FULL_BLOCK_CODE and position < len(stuffed):
            packet.append(0)
    return bytes(packet)


def encode_frame(payload: bytes) -> bytes:
    """Return `payload` (at most MAX_PAYLOAD_BYTES) as it goes over the line, frame end included."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a frame holds {MAX_PAYLOAD_BYTES} bytes, not {len(payload)}")
    checksum = zlib.crc32(payload).to_bytes(CHECKSUM_BYTES, "little")
    return stuff(payload + checksum) + FRAME_END


def decode_frame(stuffed: bytes) -> bytes:
    """Return the payload of one frame, given without its frame end.

    Raises:
        DamagedFrameError: the stuffing is broken, the checksum is wrong, or it is too long.
    """
    if len(stuffed) > MAX_STUFFED_BYTES:
        raise DamagedFrameError("the frame is longer than any that is sent")
    packet = unstuff(stuffed)
    payload, checksum = packet[:-CHECKSUM_BYTES], packet[-CHECKSUM_BYTES:]
    if len(checksum) != CHECKSUM_BYTES or zlib.crc32(payload) != int.from_bytes(checksum, "little"):
        raise DamagedFrameError("the checksum is wrong")
    return payload


class FrameReader:
    """Cuts a byte stream into frames; whatever is not an intact frame is counted and dropped."""

    def __init__(self) -> None:
        self._stuffed = bytearray()
        self._too_long = False
        self.dropped_frames = 0

    def feed(self, received: bytes) -> list[bytes]:
        """Take the next bytes from the line; return the payloads of the frames they complete."""
        payloads = []
        *ended, rest = received.split(FRAME_END)
        for part in ended:
            self._extend(part)
            payload = self._end_frame()
            if payload is not None:
                payloads.append(payload)
        self._extend(rest)
        return payloads

    def _extend(self, part: bytes) -> None:
        self._stuffed += part
        if len(self._stuffed) > MAX_STUFFED_BYTES:
            self._too_long = True
            self._stuffed.clear()

    def _end_frame(self) -> bytes | None:
        stuffed, too_long = bytes(self._stuffed), self._too_long
        self._stuffed.clear()
        self._too_long = False
        if not stuffed and not too_long:
            return None
        try:
            if too_long:
                raise DamagedFrameError("the frame is longer than any that is sent")
            return decode_frame(stuffed)
        except DamagedFrameError:
            self.dropped_frames += 1
            return None


PROTOCOL_VERSION = 1
MAX_CHUNK_BYTES = 1024
MAX_RUNS = 250
ANSWER_BIT = 0x80
COUNT_CYCLES = 0x01

_MODEL_HASH_BYTES = 8


class Command(IntEnum):
    """What the host can ask for."""

    IDENTIFY = 0x01
    WRITE_INPUT = 0x02
    RUN = 0x03
    READ_OUTPUT = 0x04
    PROFILE = 0x05
    BENCHMARK = 0x06
    MEMORY = 0x07
    BOOT_LOADER = 0x08


STATUS_TEXT = {1: "unknown command", 2: "bad length", 3: "out of range"}


class Answer(Record):
    """One answer, still undecoded."""

    command: int
    sequence: int
    status: int
    data: bytes


class RunResult(Record):
    """What one inference gave. `cycles` is 0 when they were not counted."""

    output: bytes
    cycles: int


class MemoryUse(Record):
    """High-water marks since reset, in bytes."""

    stack_bytes: int
    stack_reserved_bytes: int
    arena_bytes: int


def encode_request(command: Command, sequence: int, data: bytes) -> bytes:
    """Return the payload of a request."""
    return bytes((command, sequence)) + data


def decode_answer(payload: bytes) -> Answer:
    """Split the payload of an answer into its fields.

    Raises:
        DamagedFrameError: it is too short to be an answer.
    """
    if len(payload) < 3:
        raise DamagedFrameError("an answer has at least three bytes")
    command, sequence, status = payload[:3]
    return Answer(command=command, sequence=sequence, status=status, data=payload[3:])


def decode_identity(data: bytes) -> Identity:
    """Read the data of an answer to IDENTIFY.

    Raises:
        DamagedFrameError: it does not have the shape that protocol version 1 prescribes.
    """
    fixed = struct.Struct(f"<B{_MODEL_HASH_BYTES}s5IH")
    if len(data) < fixed.size:
        raise DamagedFrameError("the identity is too short")
    version, model_hash, clock, arena, flash, inputs, outputs, layers = fixed.unpack_from(data)
    board, rest = _split_text(data[fixed.size :])
    compiler, _ = _split_text(rest)
    return Identity(
        protocol_version=version,
        board=board,
        model_hash=model_hash.hex(),
        compiler=compiler,
        clock_hz=clock,
        arena_bytes=arena,
        flash_bytes=flash,
        input_bytes=inputs,
        output_bytes=outputs,
        layer_count=layers,
    )


def decode_counts(data: bytes) -> list[int]:
    """Read a row of u32.

    Raises:
        DamagedFrameError: the length is not a multiple of four.
    """
    if len(data) % 4:
        raise DamagedFrameError("a row of counts has the wrong length")
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def _split_text(data: bytes) -> tuple[str, bytes]:
    """Take a text with its length in front off `data`."""
    if not data or len(data) < 1 + data[0]:
        raise DamagedFrameError("a text in the identity is too short")
    end = 1 + data[0]
    return data[1:end].decode("ascii", "replace"), data[end:]
