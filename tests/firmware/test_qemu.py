"""The firmware's machine code on QEMU's STM32F405 board, over its serial line on a TCP port.

QEMU models neither the clock controller nor the core-coupled memory: the first shows that every
wait in the start-up code ends, for the second the data moves to SRAM.
"""

import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automcu.errors import ToolError
from automcu.mcu import Device, find_device
from automcu.toolchains import build_project, find_compiler

QEMU = shutil.which("qemu-system-arm")
pytestmark = pytest.mark.skipif(QEMU is None, reason="qemu-system-arm is not installed")

SERIAL_LINES_BEFORE_USART3 = 2
INTERNAL_HZ = 16_000_000
Ask = Callable[[bytes], bytes]


def without_ccm(device: Device) -> Device:
    flash, sram = (region for region in device.memory if region.name != "ccm")
    everything = sram.model_copy(update={"holds": ("data", "stack", "arena")})
    return device.model_copy(update={"memory": (flash, everything)})


def connect(port: int) -> socket.socket:
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=0.5)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("QEMU did not open its port")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_frame(line: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\0"):
        received += line.recv(1)
    return bytes(received)


@pytest.fixture(params=["gcc", "zig"])
def ask(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    write_tiny_project: Callable[[Path, Device], Path],
    frame: Callable[[bytes], bytes],
    unframe: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ask]:
    """Ask the running firmware; a request is sent again until its answer comes."""
    monkeypatch.setenv("AUTOMCU_COMPILER", request.param)
    device = without_ccm(find_device("stm32f407g-disc1"))
    try:
        compiler = find_compiler(device.core)
    except ToolError as error:
        pytest.skip(str(error))
    project = write_tiny_project(tmp_path / "project", device)
    build_project(project, device, compiler)
    port = free_port()
    command = [str(QEMU), "-M", "netduinoplus2", "-display", "none", "-monitor", "none"]
    command += ["-serial", "null"] * SERIAL_LINES_BEFORE_USART3
    command += ["-serial", f"tcp:127.0.0.1:{port},server=on,wait=on"]
    command += ["-kernel", str(project / "build/firmware.elf")]
    machine = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(port) as line:

            def exchange(payload: bytes) -> bytes:
                for _ in range(20):
                    line.sendall(frame(payload))
                    try:
                        return unframe(read_frame(line))
                    except TimeoutError:
                        continue  # the USART was not on yet
                raise AssertionError(f"no answer to {payload!r}")

            yield exchange
    finally:
        machine.kill()
        machine.wait()


def test_the_firmware_answers_and_runs_the_model(ask: Ask) -> None:
    identity = ask(b"\x01\x01")
    assert identity[:3] == b"\x81\x01\0"
    assert identity[4:12].hex() == "0123456789abcdef"
    assert struct.unpack_from("<I", identity, 12)[0] == INTERNAL_HZ
    assert b"stm32f407g-disc1" in identity

    values = bytes(range(64))
    assert ask(b"\x02\x02" + struct.pack("<I", 0) + values) == b"\x82\x02\0"
    assert ask(b"\x03\x03\0") == b"\x83\x03\0" + bytes(4)
    assert ask(b"\x04\x04" + struct.pack("<IH", 0, 64))[3:] == bytes(v + 1 for v in values)


def test_stack_and_arena_marks_are_measured(ask: Ask) -> None:
    used, reserved, arena = struct.unpack("<3I", ask(b"\x07\x01")[3:])
    assert reserved == 2048
    assert 50 < used < 500
    assert arena == 192


def test_a_request_that_is_wrong_does_no_harm(ask: Ask) -> None:
    assert ask(b"\x63\x01") == b"\xe3\x01\x01"
    assert ask(b"\x02\x01\0") == b"\x82\x01\x02"
    assert ask(b"\x01\x02")[:3] == b"\x81\x02\0"
