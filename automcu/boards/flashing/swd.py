"""Flashing over SWD with pyOCD: pages that are right already stay, the rest is written and read."""

import io
import time
from typing import Any

from automcu.boards.flashing.image import check_image, code_flash, first_difference
from automcu.boards.flashing.probes import is_network_url, serial_number_of
from automcu.boards.flashing.pyocd_probe import (
    connected_probes,
    known_targets,
    new_programmer,
    probe_session,
)
from automcu.boards.flashing.report import FlashReport
from automcu.boards.progress import Progress
from automcu.errors import BoardError, ToolError
from automcu.mcu.profile import Device

_PART_LETTERS = len("STM32F407VG")  # line, pins and flash size; package and temperature follow
_LINE_LETTERS = len("STM32F407")
_SIZE_LETTER = -1
_VERIFY_BYTES = 4096


def flash_by_swd(url: str, device: Device, image: bytes, progress: Progress) -> FlashReport:
    """Write `image` to the start of flash through the board's debug probe, verify and start it.

    The probe is the one with the serial number of the port at `url`.

    Raises:
        WrongInputError: the image is not for this device.
        ToolError: pyOCD is not installed, or does not know the part.
        BoardError: there is no such probe, it lost the board, or the flash kept something else.
    """
    check_image(device, image)
    started = time.monotonic()
    with _open_session(url, device) as session:
        _program(session, device, image, progress)
        _verify(session, device, image, progress)
        session.target.reset()
    return FlashReport(method="swd", written_bytes=len(image), seconds=time.monotonic() - started)


def steps_by_swd(url: str, device: Device, image: bytes) -> list[str]:
    """What `flash_by_swd` would do."""
    check_image(device, image)
    return [
        f"open the debug probe with the serial number of {url} as {target_names(device)[0]}",
        f"write those pages of {len(image):,} bytes at {code_flash(device).address:#010x} that "
        "differ",
        "read everything back",
        "reset, and start the image",
    ]


def has_probe(url: str, device: Device) -> bool:
    """Whether pyOCD sees the probe that the port at `url` belongs to, and knows the part."""
    serial_number = serial_number_of(url)
    if is_network_url(url) or serial_number is None:
        return False
    try:
        _known_target(device)
        return bool(connected_probes(serial_number))
    except ToolError:
        return False


def target_names(device: Device) -> list[str]:
    """What pyOCD may call the part: in ST's packs (stm32f407vgtx), or built in (stm32h743xx)."""
    part = device.mcu.lower()
    if not part.startswith("stm32"):
        return [part]
    stem = part[:_PART_LETTERS]
    return [
        f"{part[: _PART_LETTERS + 1]}x",
        stem,
        f"{part[:_LINE_LETTERS]}x{stem[_SIZE_LETTER]}",
        f"{part[:_LINE_LETTERS]}xx",
    ]


def _open_session(url: str, device: Device) -> Any:
    return probe_session(serial_number_of(url), _known_target(device), connect_mode="under-reset")


def _known_target(device: Device) -> str:
    known = known_targets()
    names = target_names(device)
    for name in names:
        if name in known:
            return name
    raise ToolError(
        f"pyOCD does not know the {device.mcu} yet. Install its pack: pyocd pack install "
        f"{names[0]}, or choose another --method."
    )


def _program(session: Any, device: Device, image: bytes, progress: Progress) -> None:
    def tell(fraction: float) -> None:
        progress("writing", int(fraction * len(image)), len(image))

    tell(0.0)
    programmer = new_programmer(session, progress=tell, chip_erase="sector", smart_flash=True)
    programmer.program(
        io.BytesIO(image), file_format="bin", base_address=code_flash(device).address
    )
    tell(1.0)


def _verify(session: Any, device: Device, image: bytes, progress: Progress) -> None:
    start = code_flash(device).address
    progress("verifying", 0, len(image))
    for offset in range(0, len(image), _VERIFY_BYTES):
        expected = image[offset : offset + _VERIFY_BYTES]
        found = bytes(session.target.read_memory_block8(start + offset, len(expected)))
        difference = first_difference(found, expected)
        if difference is not None:
            raise BoardError(
                f"The flash at {start + offset + difference:#010x} does not hold what was "
                "written. Flash the board again; if it stays, its flash is worn out."
            )
        progress("verifying", offset + len(expected), len(image))
