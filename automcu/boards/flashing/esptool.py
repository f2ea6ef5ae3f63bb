"""Flashing an ESP32 with Espressif's esptool, as a program of its own (it is GPL; this is not)."""

import contextlib
import importlib.util
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from automcu.boards.port import open_port
from automcu.boards.project import FlashReport
from automcu.boards.records import Progress
from automcu.errors import BoardError, ToolError, WrongInputError
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device

# The mask ROM of the ESP32-S3 starts the image at the beginning of its flash chip.
_ADDRESS = "0x0"
_IMAGE_MAGIC = 0xE9  # esptool documentation, "Firmware Image Format"
_ANY_CHIP = "auto"
_CHIP_NAME = re.compile(r"(?:Chip type:|Chip is|Detecting chip type\.*)\s+(ESP32[-\w]*)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
_FLASH_TIMEOUT_S = 300.0
_CHIP_TIMEOUT_S = 30.0
_LAST_LINES = 3


def flash_by_esptool(url: str, device: Device, image: bytes, progress: Progress) -> FlashReport:
    """Write `image` to the start of the flash chip, verify it and start it.

    Raises:
        WrongInputError: it is no ESP32 image.
        ToolError: esptool is not installed.
        BoardError: esptool failed; its reason is in the message.
    """
    started = time.monotonic()
    _check(device, image)
    chip = family_of(device).esptool_chip or _ANY_CHIP
    open_port(url, device.serial.baud_rate).close()  # its errors say more than esptool's
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "firmware.bin"
        file.write_bytes(image)
        for stage, command, after in (
            ("writing", "write-flash", "no-reset"),
            ("verifying", "verify-flash", "hard-reset"),
        ):
            progress(stage, 0, len(image))
            for percent in _percentages(url, chip, [command, _ADDRESS, str(file)], after):
                progress(stage, min(len(image), int(len(image) * percent / 100)), len(image))
            progress(stage, len(image), len(image))
    return FlashReport(
        method="esptool", written_bytes=len(image), seconds=time.monotonic() - started
    )


def steps_by_esptool(url: str, device: Device, image: bytes) -> list[str]:
    """What `flash_by_esptool` would do."""
    _check(device, image)
    return [
        f"reset the {device.name} at {url} into its download mode",
        f"esptool write-flash {_ADDRESS}: {len(image):,} bytes",
        "esptool verify-flash",
        "reset, and start the image",
    ]


def chip_name(url: str) -> str:
    """The kind of chip that answers in download mode, such as "ESP32-S3"; it is reset afterwards.

    Raises:
        ToolError: esptool is not installed.
        BoardError: no ESP32 answers.
    """
    output = "\n".join(_run(url, ["chip-id"], "hard-reset", _ANY_CHIP, _CHIP_TIMEOUT_S, attempts=1))
    match = _CHIP_NAME.search(output)
    if match is None:
        raise BoardError(f"No ESP32 answers at {url}. Hold BOOT, press RESET and try again.")
    return match.group(1)


def _check(device: Device, image: bytes) -> None:
    flash = sum(region.size for region in device.memory if region.kind == "flash")
    if not image or image[0] != _IMAGE_MAGIC:
        raise WrongInputError(
            f"The image is not one for an ESP32: it does not begin with {_IMAGE_MAGIC:#04x}. "
            "Build the project again with `automcu build`."
        )
    if len(image) > flash:
        raise WrongInputError(
            f"The image has {len(image)} bytes, the flash of {device.name} {flash}. "
            "Build it for this device, or choose a larger device."
        )


def _percentages(url: str, chip: str, command: list[str], after: str) -> Iterator[float]:
    for line in _run(url, command, after, chip, _FLASH_TIMEOUT_S):
        match = _PERCENT.search(line)
        if match:
            yield float(match.group(1))


def _run(
    url: str, command: list[str], after: str, chip: str, timeout_s: float, attempts: int = 3
) -> Iterator[str]:
    """Run esptool and yield its lines as they come; it is stopped when its time is over."""
    if importlib.util.find_spec("esptool") is None:
        raise ToolError(
            "ESP32 boards need esptool, which is not installed. pip install 'automcu[esp32]'"
        )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "esptool", "--chip", chip, "--port", url),
            *("--before", "default-reset", "--after", after),
            *("--connect-attempts", str(attempts), *command),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    with _stopped_after(process, timeout_s), process.stdout:
        for line in process.stdout:
            lines.append(line.strip())
            yield lines[-1]
        returned = process.wait()
    if returned != 0:
        reason = " ".join([line for line in lines if line][-_LAST_LINES:]) or "no reason given"
        raise BoardError(
            f"esptool could not {command[0]} at {url} ({reason}). Hold BOOT, press RESET, release "
            "BOOT and repeat the command."
        )


@contextlib.contextmanager
def _stopped_after(process: "subprocess.Popen[str]", timeout_s: float) -> Iterator[None]:
    """Kill a process when its time is over, or when its block is left early."""
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
        process.wait()
