"""An ESP32-S3 that boots the whole flash image: Espressif's own QEMU, where it is on the PATH.

Its program has the name of Debian's; `-machine help` tells which of them knows an ESP32-S3. The
options are those of Espressif's documentation (ESP-IDF Programming Guide, tools, QEMU). Its clock
is not a core's: cycles come from elsewhere, only bytes from here.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.boards.link import open_link
from automcu.errors import BoardError
from automcu.mcu.profile import Device

_PROGRAM = "qemu-system-xtensa"
_MACHINE = "esp32s3"
_ERASED = b"\xff"
_START_S = 20.0
_LOOK_S = 0.1
_ANSWER_S = 30.0  # an emulator may be much slower than the chip


@cache
def espressif_qemu() -> str | None:
    """The program on the PATH that has an ESP32-S3; None where there is none."""
    for folder in os.get_exec_path():
        program = shutil.which(_PROGRAM, path=folder)
        if program and _MACHINE in _machines(program):
            return program
    return None


def _machines(program: str) -> str:
    try:
        return subprocess.run(
            [program, "-machine", "help"], capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


@contextlib.contextmanager
def booted(image: bytes, device: Device, program: str) -> Iterator[str]:
    """Boot a flash image; yield the URL of its UART0 until the block ends.

    Raises:
        BoardError: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        flash, said = Path(folder) / "flash.bin", Path(folder) / "said.txt"
        flash.write_bytes(image.ljust(device.flash_bytes, _ERASED))
        port = _free_port()
        command = [
            *(program, "-nographic", "-machine", _MACHINE, "-monitor", "none"),
            *("-drive", f"file={flash},if=mtd,format=raw"),
            *("-serial", f"tcp:127.0.0.1:{port},server=on,wait=off"),
        ]
        with said.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            _wait_for(port, process, said)
            yield f"socket://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def answers_of_whole_image(
    image: bytes, device: Device, inputs: NDArray[np.int8], program: str
) -> NDArray[np.int8]:
    """What the booted firmware answers to inputs [n, ...] over its serial line: int8 [n, bytes].

    Raises:
        BoardError: it does not start, or does not answer.
    """
    rate = device.serial.baud_rate
    with booted(image, device, program) as url, open_link(url, rate, _ANSWER_S) as link:
        link.identify()
        answers = [link.run(one.tobytes(), count_cycles=False).output for one in inputs]
    return np.array([np.frombuffer(answer, np.int8) for answer in answers])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]", said: Path) -> None:
    """Wait until the serial line listens; the line takes one host, so it is not connected to."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if _is_taken(port):
            return
        time.sleep(_LOOK_S)
    if process.poll() is None:
        reason = f"its serial line is not there after {_START_S:g} s"
    else:
        reason = said.read_text(errors="replace").strip() or "it ended at once"
    raise BoardError(
        f"Espressif's QEMU did not start the image: {reason}. Take it off the PATH to do without."
    )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
