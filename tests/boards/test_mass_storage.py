"""Flashing by copying, onto a folder behind which a probe is played."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from automcu.boards.flashing import choose_method, debug_probe, flash_image, flashing_steps
from automcu.errors import BoardError
from automcu.mcu import Device, find_device
from tests.boards.test_flashing import SLEEPING

IMAGE = SLEEPING + bytes(range(256)) * 64
DeviceOf = Callable[..., Device]


@pytest.fixture
def device(device_of: DeviceOf) -> Device:
    flashing = {"methods": ("mass-storage", "usart-bootloader")}
    return device_of(flashing=flashing, mcu="STM32F411RET6")


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(debug_probe, "mounted_drives", lambda: sorted(tmp_path.iterdir()))
    monkeypatch.setattr(debug_probe, "_TAKEN_TIMEOUT_S", 2.0)
    return tmp_path


def plug_in(drives: Path, name: str) -> Path:
    drive = drives / name
    drive.mkdir()
    (drive / "MBED.HTM").write_text("<html>")
    (drive / "DETAILS.TXT").write_text("Version: 0221\n")
    return drive


@contextmanager
def probe(drive: Path, image_bytes: int, failure: str = "") -> Iterator[list[bytes]]:
    """Takes a complete file, as an ST-LINK does, and leaves FAIL.TXT if it is told to."""
    taken: list[bytes] = []

    def take() -> None:
        file = drive / "automcu.bin"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if file.exists() and file.stat().st_size == image_bytes:
                taken.append(file.read_bytes())
                if failure:
                    (drive / "FAIL.TXT").write_text(failure)
                file.unlink()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=take)
    thread.start()
    yield taken
    thread.join()


def test_an_image_is_copied_and_waited_for(drives: Path, device: Device) -> None:
    drive = plug_in(drives, "NODE_F411RE")
    with probe(drive, len(IMAGE)) as taken:
        report = flash_image("/dev/ttyACM0", device, IMAGE)
    assert taken == [IMAGE]
    assert (report.method, report.written_bytes) == ("mass-storage", len(IMAGE))


def test_the_drive_of_this_board_is_distinguished_from_others(drives: Path, device: Device) -> None:
    plug_in(drives, "NODE_L4R5ZI")
    drive = plug_in(drives, "NODE_F411RE")
    (drives / "PHOTOS").mkdir()
    assert str(drive) in flashing_steps("/dev/ttyACM0", device, IMAGE)[0]


def test_a_failure_that_the_probe_reports_is_the_error(drives: Path, device: Device) -> None:
    drive = plug_in(drives, "NODE_F411RE")
    reason = "The interface firmware FAILED to reset/halt the target MCU"
    with (
        probe(drive, len(IMAGE), reason),
        pytest.raises(BoardError, match=f"{reason}.*flash it again"),
    ):
        flash_image("/dev/ttyACM0", device, IMAGE)
    with probe(drive, len(IMAGE)):  # the next attempt removes the old report, as a remount does
        (drive / "FAIL.TXT").unlink()
        flash_image("/dev/ttyACM0", device, IMAGE)


def test_a_drive_that_never_takes_the_file_is_an_error_in_time(
    drives: Path, device: Device
) -> None:
    plug_in(drives, "NODE_F411RE")
    started = time.monotonic()
    with pytest.raises(BoardError, match="has not taken the image"):
        flash_image("/dev/ttyACM0", device, IMAGE)
    assert time.monotonic() - started < 10


def test_two_drives_that_fit_are_not_guessed_between(drives: Path, device: Device) -> None:
    plug_in(drives, "NODE_F411RE")
    plug_in(drives, "NODE_F411RE1")
    with pytest.raises(BoardError, match=r"NODE_F411RE, .*NODE_F411RE1"):
        flash_image("/dev/ttyACM0", device, IMAGE, method="mass-storage")


def test_without_a_drive_and_over_the_network_the_boot_loader_is_the_way(
    drives: Path, device: Device
) -> None:
    assert choose_method("/dev/ttyACM0", device) == "usart-bootloader"
    plug_in(drives, "NODE_F411RE")
    assert choose_method("/dev/ttyACM0", device) == "mass-storage"
    assert choose_method("rfc2217://bench:4000", device) == "usart-bootloader"
    assert choose_method("rfc2217://bench:4000", find_device("l4r5zi")) == "usart-bootloader"
