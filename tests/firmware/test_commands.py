"""The command loop with the tiny model: output[i] = input[i] + 1 over 64 bytes, two layers."""

import ctypes
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

OK, UNKNOWN_COMMAND, BAD_LENGTH, OUT_OF_RANGE = range(4)
IDENTIFY, WRITE, RUN, READ, PROFILE, BENCHMARK, MEMORY, BOOT_LOADER = range(1, 9)
MODEL_BYTES = 64
ARENA_BYTES = 192
MAX_PAYLOAD = 1040


class Answer(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_uint32), ("then_boot_loader", ctypes.c_bool))


class Firmware:
    """The command loop without a line: a request in, its answer out."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.answer_request.restype = Answer
        library.commands_start(ctypes.c_uint32(168_000_000))
        self.starts_boot_loader = False

    def raw(self, request: bytes) -> bytes:
        payload = (ctypes.c_uint8 * (MAX_PAYLOAD + 4))(*request)
        answer = self._library.answer_request(payload, ctypes.c_uint32(len(request)))
        self.starts_boot_loader = answer.then_boot_loader
        assert answer.bytes <= MAX_PAYLOAD
        return bytes(payload[: answer.bytes])

    def ask(self, command: int, data: bytes = b"", sequence: int = 7) -> tuple[int, bytes]:
        answer = self.raw(bytes([command, sequence]) + data)
        assert answer[0] == command | 0x80
        assert answer[1] == sequence
        return answer[2], answer[3:]

    def write(self, values: bytes) -> None:
        assert self.ask(WRITE, struct.pack("<I", 0) + values) == (OK, b"")

    def read(self) -> bytes:
        status, output = self.ask(READ, struct.pack("<IH", 0, MODEL_BYTES))
        assert status == OK
        return output


@pytest.fixture
def firmware(firmware_library: ctypes.CDLL) -> Firmware:
    return Firmware(firmware_library)


def plus_one(values: bytes) -> bytes:
    return bytes((value + 1) % 256 for value in values)


def test_identify_reports_model_clock_and_sizes(firmware: Firmware) -> None:
    status, data = firmware.ask(IDENTIFY)
    version, model_hash, clock, arena, flash, inputs, outputs, layers = struct.unpack_from(
        "<B8s5IH", data
    )
    assert (status, version, model_hash.hex()) == (OK, 1, "0123456789abcdef")
    assert (clock, arena, flash) == (168_000_000, ARENA_BYTES, 0)
    assert (inputs, outputs, layers) == (MODEL_BYTES, MODEL_BYTES, 2)
    texts = data[struct.calcsize("<B8s5IH") :]
    board, compiler = texts[1 : 1 + texts[0]], texts[1 + texts[0] :]
    assert board == b"host"
    assert compiler[0] == len(compiler) - 1
    assert b"gcc" in compiler or b"lang" in compiler


@given(values=st.binary(min_size=MODEL_BYTES, max_size=MODEL_BYTES))
def test_an_input_runs_through_the_model(firmware_library: ctypes.CDLL, values: bytes) -> None:
    firmware = Firmware(firmware_library)
    firmware.write(values)
    assert firmware.ask(RUN, b"\0") == (OK, struct.pack("<I", 0))
    assert firmware.read() == plus_one(values)


def test_an_input_may_come_in_pieces(firmware: Firmware) -> None:
    values = bytes(range(100, 164))
    for offset in range(0, MODEL_BYTES, 24):
        piece = values[offset : offset + 24]
        assert firmware.ask(WRITE, struct.pack("<I", offset) + piece)[0] == OK
    firmware.ask(RUN, b"\0")
    parts = [
        firmware.ask(READ, struct.pack("<IH", offset, 16))[1]
        for offset in range(0, MODEL_BYTES, 16)
    ]
    assert b"".join(parts) == plus_one(values)


def test_cycles_are_counted_when_asked(firmware: Firmware) -> None:
    firmware.write(bytes(MODEL_BYTES))
    status, cycles = firmware.ask(RUN, b"\1")
    assert status == OK
    assert struct.unpack("<I", cycles)[0] > 0


def test_a_run_asked_for_again_is_answered_but_not_run_again(firmware: Firmware) -> None:
    """The answer was lost on the line; running anew would read an input that is gone."""
    firmware.write(bytes(MODEL_BYTES))
    first = firmware.ask(RUN, b"\1", sequence=9)
    assert firmware.ask(RUN, b"\1", sequence=9) == first
    firmware.write(b"\5" * MODEL_BYTES)
    firmware.ask(RUN, b"\1", sequence=9)
    assert firmware.read() == b"\6" * MODEL_BYTES


@pytest.mark.parametrize(
    "command, data",
    [
        (IDENTIFY, b"x"),
        (WRITE, struct.pack("<I", 0)),
        (WRITE, struct.pack("<I", 0) + bytes(1025)),
        (RUN, b""),
        (RUN, b"\0\0"),
        (READ, b"\0\0\0\0\1"),
        (PROFILE, b"\0"),
        (BENCHMARK, b""),
        (MEMORY, b"\0"),
        (BOOT_LOADER, b"\0"),
    ],
)
def test_a_wrong_length_is_reported(firmware: Firmware, command: int, data: bytes) -> None:
    assert firmware.ask(command, data) == (BAD_LENGTH, b"")
    assert not firmware.starts_boot_loader


@pytest.mark.parametrize(
    "command, data",
    [
        (WRITE, struct.pack("<I", 64) + b"x"),
        (WRITE, struct.pack("<I", 63) + b"xx"),
        (WRITE, struct.pack("<I", 0xFFFFFFFF) + b"xx"),
        (RUN, b"\2"),
        (READ, struct.pack("<IH", 0, 0)),
        (READ, struct.pack("<IH", 0, 65)),
        (READ, struct.pack("<IH", 0xFFFFFFFF, 2)),
        (READ, struct.pack("<IH", 65, 1)),
        (PROFILE, struct.pack("<H", 2)),
        (BENCHMARK, struct.pack("<H", 0)),
        (BENCHMARK, struct.pack("<H", 251)),
    ],
)
def test_what_is_out_of_range_is_reported(firmware: Firmware, command: int, data: bytes) -> None:
    assert firmware.ask(command, data) == (OUT_OF_RANGE, b"")


@pytest.mark.parametrize("command", [0, 9, 0x7F, 0x80, 0xFF])
def test_an_unknown_command_is_reported(firmware: Firmware, command: int) -> None:
    assert firmware.raw(bytes([command, 1, 2, 3])) == bytes([command | 0x80, 1, UNKNOWN_COMMAND])


@pytest.mark.parametrize("request_bytes", [b"", b"\1"])
def test_a_request_without_sequence_has_no_answer(firmware: Firmware, request_bytes: bytes) -> None:
    assert firmware.raw(request_bytes) == b""


def test_profile_counts_each_layer(firmware: Firmware) -> None:
    status, data = firmware.ask(PROFILE, struct.pack("<H", 0))
    total, first, second = struct.unpack("<H2I", data)
    assert (status, total) == (OK, 2)
    assert min(first, second) > 0
    # From the second layer on: the counts of the run above, not of another one.
    assert firmware.ask(PROFILE, struct.pack("<H", 1)) == (OK, struct.pack("<HI", 2, second))


def test_benchmark_counts_each_run(firmware: Firmware) -> None:
    status, data = firmware.ask(BENCHMARK, struct.pack("<H", 250))
    assert status == OK
    assert len(data) == 4 * 250
    assert min(struct.unpack("<250I", data)) > 0


def test_memory_finds_the_arena_touched_to_its_end(firmware: Firmware) -> None:
    status, data = firmware.ask(MEMORY)
    stack_used, stack_reserved, arena_touched = struct.unpack("<3I", data)
    assert status == OK
    assert (stack_used, stack_reserved) == (0, 0)  # this machine's stack is not the firmware's
    assert arena_touched == ARENA_BYTES


def test_the_boot_loader_starts_after_the_answer(firmware: Firmware) -> None:
    assert firmware.ask(BOOT_LOADER) == (OK, b"")
    assert firmware.starts_boot_loader


@given(requests=st.lists(st.binary(max_size=40), max_size=20))
def test_any_request_is_answered_or_dropped(
    firmware_library: ctypes.CDLL, requests: list[bytes]
) -> None:
    firmware = Firmware(firmware_library)
    for request in requests:
        answer = firmware.raw(request)
        assert (answer == b"") == (len(request) < 2)
        if answer:
            assert answer[:2] == bytes([request[0] | 0x80, request[1]])
            assert answer[2] <= OUT_OF_RANGE
    firmware.write(bytes(MODEL_BYTES))
    firmware.ask(RUN, b"\0", sequence=200)
    assert firmware.read() == b"\1" * MODEL_BYTES


def test_the_program_answers_on_its_line(
    host_program: Path, frame: Callable[[bytes], bytes], unframe: Callable[[bytes], bytes]
) -> None:
    values = bytes(range(MODEL_BYTES))
    requests = [
        bytes([IDENTIFY, 1]),
        b"not a frame at all",
        bytes([WRITE, 2]) + struct.pack("<I", 0) + values,
        bytes([RUN, 3, 1]),
        bytes([READ, 4]) + struct.pack("<IH", 0, MODEL_BYTES),
    ]
    wire = b"".join(frame(r) if r[0] < 0x20 else r + b"\0" for r in requests)
    output = subprocess.run([host_program], input=wire, capture_output=True, check=True).stdout
    answers = [unframe(one + b"\0") for one in output.split(b"\0")[:-1]]
    assert [answer[1] for answer in answers] == [1, 2, 3, 4]
    assert answers[-1][3:] == plus_one(values)
