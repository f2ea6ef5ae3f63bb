"""Flashing by copying to the drive that an ST-LINK or J-Link shows: it does the rest by itself.

The drive is no real one. It takes the file, writes it to flash, and comes back empty; when it
could not, with FAIL.TXT on it (ST UM1075 and RN0093; the same on Arm's DAPLink, which says so in
its documentation). It reads nothing back: what runs then must be asked.
"""

import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from automcu.boards.flashing.image import FlashReport, check_image
from automcu.boards.flashing.swd import is_network_url
from automcu.boards.records import Progress
from automcu.errors import BoardError
from automcu.mcu.profile import Device

# Files by which the drive of a probe is told from a memory stick, in any case.
_MARKS = ("mbed.htm", "mbed.html", "user guide.html")
_FAILURE = "fail.txt"
_NAME = "automcu.bin"
_TAKEN_TIMEOUT_S = 60.0
_LOOK_AGAIN_S = 0.2
_COPY_BYTES = 4096
_LABEL_LETTERS = len("F407VG")


def flash_by_mass_storage(
    url: str, device: Device, image: bytes, progress: Progress
) -> FlashReport:
    """Copy `image` to the drive of the board's probe, and wait until the probe has taken it.

    Raises:
        WrongInputError: the image is not for this device.
        BoardError: no drive or several fit the board, it is full, or the probe failed.
    """
    check_image(device, image)
    started = time.monotonic()
    drive = _the_drive(device)
    target = drive / _NAME
    _copy(image, target, progress)
    _await_taken(drive, target)
    return FlashReport(
        method="mass-storage", written_bytes=len(image), seconds=time.monotonic() - started
    )


def steps_by_mass_storage(url: str, device: Device, image: bytes) -> list[str]:
    """What `flash_by_mass_storage` would do."""
    check_image(device, image)
    drives = (
        ", ".join(map(str, _drives_for(device))) or f"the {device.name}'s drive (none is there)"
    )
    return [f"copy {len(image):,} bytes to {drives}", "wait until the probe has written them"]


def has_drive(url: str, device: Device) -> bool:
    """Whether one drive fits the board, and the board is on this machine."""
    return not is_network_url(url) and len(_drives_for(device)) == 1


def _the_drive(device: Device) -> Path:
    drives = _drives_for(device)
    if len(drives) != 1:
        found = ", ".join(map(str, drives)) or "none"
        raise BoardError(
            f"One drive of the {device.name} is needed, these were found: {found}. Plug in the "
            "board's probe, let the system mount its drive, and leave only one."
        )
    return drives[0]


def _drives_for(device: Device) -> list[Path]:
    """Drives of probes; those whose label names this part (NODE_F411RE) before all others."""
    drives = [path for path in mounted_drives() if _is_probe(path)]
    part = device.mcu.upper().removeprefix("STM32")[:_LABEL_LETTERS]
    named = [path for path in drives if part[:-1] in path.name.upper()]
    return named or drives


def mounted_drives() -> Iterator[Path]:
    """The folders where systems mount removable drives."""
    if sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ")
        return
    user = os.environ.get("USER", "")
    for root in ("/Volumes", f"/media/{user}", f"/run/media/{user}", "/media", "/mnt"):
        folder = Path(root)
        if folder.is_dir():
            yield from sorted(path for path in folder.iterdir() if path.is_dir())


def _is_probe(drive: Path) -> bool:
    return any(name in _MARKS for name in _names(drive))


def _names(drive: Path) -> dict[str, Path]:
    """What is on a drive, by its name in small letters; nothing while it is away."""
    try:
        return {path.name.lower(): path for path in drive.iterdir()}
    except OSError:
        return {}


def _copy(image: bytes, target: Path, progress: Progress) -> None:
    progress("writing", 0, len(image))
    try:
        with target.open("wb") as file:
            for offset in range(0, len(image), _COPY_BYTES):
                file.write(image[offset : offset + _COPY_BYTES])
                progress("writing", min(offset + _COPY_BYTES, len(image)), len(image))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno == errno.EIO:
            return  # some probes leave as soon as they have the last byte: see whether they return
        reason = _failure(target.parent) or error.strerror
        raise BoardError(
            f"The drive {target.parent} does not take the image ({reason}). "
            "Unplug the board, plug it in again and repeat the command."
        ) from error


def _await_taken(drive: Path, target: Path) -> None:
    """Wait until the drive is back without the file, which is how it says that it is done."""
    deadline = time.monotonic() + _TAKEN_TIMEOUT_S
    while time.monotonic() < deadline:
        names = _names(drive)
        taken = names and target.name.lower() not in names
        if taken and _FAILURE in names:
            raise BoardError(
                f"The probe could not flash the board: {_failure(drive)}. "
                "Check the board's power and jumpers, and flash it again."
            )
        if taken:
            return
        time.sleep(_LOOK_AGAIN_S)
    raise BoardError(
        f"The drive {drive} has not taken the image after {_TAKEN_TIMEOUT_S:g} s. "
        "Unplug the board, plug it in again and repeat the command."
    )


def _failure(drive: Path) -> str:
    file = _names(drive).get(_FAILURE)
    try:
        return file.read_text(errors="replace").strip() if file else ""
    except OSError:
        return ""
