import ctypes
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from automcu.records import resource_folder
from automcu.toolchains import host_compiler

FIRMWARE = resource_folder("firmware")
TINY_MODEL = Path(__file__).parent / "tiny_model"
# The memory functions under other names, so that they do not replace the C library's.
RENAMED = [f"-D{name}=firmware_{name}" for name in ("memcpy", "memmove", "memset")]
STRICT = ["-Werror", "-ffreestanding", "-fno-tree-loop-distribute-patterns"]


@pytest.fixture(scope="session")
def firmware_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The runtime with the tiny model and the host port, as a library."""
    runtime = [path for path in sorted((FIRMWARE / "runtime").glob("*.c")) if path.stem != "main"]
    library = host_compiler().shared_library(
        [*runtime, FIRMWARE / "ports/host/host_port.c", *sorted(TINY_MODEL.glob("*.c"))],
        tmp_path_factory.mktemp("firmware") / "firmware.so",
        [FIRMWARE / "runtime", TINY_MODEL],
        [*STRICT, *RENAMED],
    )
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="session")
def host_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole firmware with main(), its line on standard input and output."""
    return host_compiler().program(
        [
            *(p for p in sorted((FIRMWARE / "runtime").glob("*.c")) if p.stem != "memory"),
            FIRMWARE / "ports/host/host_port.c",
            *sorted(TINY_MODEL.glob("*.c")),
        ],
        tmp_path_factory.mktemp("host") / "firmware",
        [FIRMWARE / "runtime", TINY_MODEL],
        STRICT,
    )


def cobs(packet: bytes) -> bytes:
    """Encode as in the paper, straight from its definition: blocks between zeros."""
    encoded = bytearray()
    for run in packet.split(b"\0"):
        while len(run) >= 254:
            encoded += b"\xff" + run[:254]
            run = run[254:]
        encoded += bytes([len(run) + 1]) + run
    return bytes(encoded)


def uncobs(encoded: bytes) -> bytes:
    """Decode an encoded packet, without its frame end."""
    packet = bytearray()
    while encoded:
        code = encoded[0]
        packet += encoded[1:code]
        encoded = encoded[code:]
        if code != 0xFF and encoded:
            packet.append(0)
    return bytes(packet)


@pytest.fixture(scope="session")
def frame() -> Callable[[bytes], bytes]:
    """A payload to its bytes on the wire."""
    return lambda payload: cobs(payload + struct.pack("<I", zlib.crc32(payload))) + b"\0"


@pytest.fixture(scope="session")
def unframe() -> Callable[[bytes], bytes]:
    """Bytes on the wire, the zero at their end included, to the payload of that one frame."""

    def payload_of(wire: bytes) -> bytes:
        assert wire.count(0) == 1
        assert wire[-1] == 0
        packet = uncobs(wire[:-1])
        assert zlib.crc32(packet[:-4]) == struct.unpack("<I", packet[-4:])[0]
        return packet[:-4]

    return payload_of
