"""Flashing through a debug probe: over SWD with pyOCD, or by copying to the drive that it shows.

pyOCD, which drives the debug probe, is optional and imported when needed.

The drive is no real one. It takes the file, writes it to flash, and comes back empty; when it
could not, with FAIL.TXT on it (ST UM1075 and RN0093; the same on Arm's DAPLink, which says so in
its documentation). It reads nothing back: what runs then must be asked.
"""

import contextlib
import errno
import importlib
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serial.tools import list_ports

from automcu.boards.project import FlashReport, check_image, first_difference
from automcu.boards.records import Progress
from automcu.errors import BoardError, ToolError
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device, code_flash


def is_network_url(url: str) -> bool:
    """Whether the port is not one of this machine's devices."""
    return "://" in url


def serial_number_of(url: str) -> str | None:
    """The USB serial number of the port's device; None when it has none, or there is no port."""
    for port in list_ports.comports():
        if port.device == url:
            return port.serial_number
    return None


@contextlib.contextmanager
def probe_session(serial_number: str | None, target: str, **options: object) -> Iterator[Any]:
    """Open a pyOCD session on the probe with this serial number, or on the only one there is.

    Args:
        serial_number: the probe's unique id, which is its USB serial number.
        target: pyOCD's name for the part.
        options: pyOCD session options.

    Raises:
        ToolError: pyOCD is not installed, or does not know the part.
        BoardError: there is no such probe, more than one, or it lost the board.
    """
    helpers = _import("pyocd.core.helpers")
    errors = _import("pyocd.core.exceptions")
    probes = connected_probes(serial_number)
    if len(probes) != 1:
        found = ", ".join(probes) or "none"
        raise BoardError(
            f"One debug probe is needed, these were found: {found}. "
            "Plug in the board's ST-LINK, and leave only one or name its serial port."
        )
    try:
        session = helpers.ConnectHelper.session_with_chosen_probe(
            blocking=False,
            unique_id=probes[0],
            options={"target_override": target, "hide_programming_progress": True, **options},
        )
        with session:
            yield session
    except errors.TargetSupportError as error:
        raise ToolError(
            f"pyOCD does not know the part {target}. Install its pack: pyocd pack install {target}"
        ) from error
    except (errors.Error, OSError) as error:
        raise BoardError(
            f"The debug probe lost the board ({error}). Check power and cable, and try again."
        ) from error


def connected_probes(serial_number: str | None) -> list[str]:
    """The unique ids of the probes on this machine, or of those with this serial number.

    Raises:
        ToolError: pyOCD is not installed.
    """
    probes = _import("pyocd.core.helpers").ConnectHelper.get_all_connected_probes(
        blocking=False, unique_id=serial_number, print_wait_message=False
    )
    return [str(probe.unique_id) for probe in probes]


def known_targets() -> frozenset[str]:
    """The parts that pyOCD knows by itself, and from the packs that its user has installed.

    Raises:
        ToolError: pyOCD is not installed.
    """
    built_in = frozenset(_import("pyocd.target").TARGET)
    packs = _import("pyocd.target.pack.pack_target").ManagedPacks.get_installed_targets()
    return built_in | {str(part.part_number).lower() for part in packs}


def new_programmer(session: Any, **options: object) -> Any:
    """pyOCD's FileProgrammer for an open session."""
    return _import("pyocd.flash.file_programmer").FileProgrammer(session, **options)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolError(
            "Debug probes need pyOCD, which is not installed. pip install 'automcu[swd]', or "
            "choose another --method."
        ) from error


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
        f"open the debug probe with the serial number of {url} as {_target_names(device)[0]}",
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


def _target_names(device: Device) -> list[str]:
    return family_of(device).debug_targets(device.mcu.lower())


def _open_session(url: str, device: Device) -> Any:
    return probe_session(serial_number_of(url), _known_target(device), connect_mode="under-reset")


def _known_target(device: Device) -> str:
    known = known_targets()
    names = _target_names(device)
    for name in names:
        if name in known:
            return name
    raise ToolError(
        f"pyOCD does not know the {device.mcu} yet. Install its pack: pyocd pack install "
        f"{names[0]}, or choose another --method."
    )


def _program(session: Any, device: Device, image: bytes, progress: Progress) -> None:
    def report(fraction: float) -> None:
        progress("writing", int(fraction * len(image)), len(image))

    report(0.0)
    programmer = new_programmer(session, progress=report, chip_erase="sector", smart_flash=True)
    programmer.program(
        io.BytesIO(image), file_format="bin", base_address=code_flash(device).address
    )
    report(1.0)


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
