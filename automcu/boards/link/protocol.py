"""Requests and answers of the firmware's serial link, as bytes. All integers are little endian.

Request payload: command u8, sequence u8, data. Answer payload: command | 0x80, sequence,
status u8, data. The host speaks first; the firmware never sends unasked.
"""

import struct
from enum import IntEnum

from automcu.boards.link.framing import DamagedFrameError
from automcu.boards.records import Identity
from automcu.records import Record

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
