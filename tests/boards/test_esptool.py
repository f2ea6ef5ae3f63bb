"""Flashing an ESP32-S3: the real esptool against a boot loader in software."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from automcu.boards.flashing import esptool as esptool_module
from automcu.boards.flashing import flash_image, flashing_steps
from automcu.boards.flashing.esptool import chip_name
from automcu.errors import BoardError, ToolError, WrongInputError
from automcu.mcu import Device, find_device
from tests.boards.fake_board import fake_board

pytest.importorskip("esptool")
mock = pytest.importorskip("esp32_mock_bootloader")

# An image for the ESP32-S3: magic, one segment, and what esptool checks before it writes.
HEADER = bytes((0xE9, 1, 2, 0x20)) + (0x4037_8000).to_bytes(4, "little")
CHIP_ID_ESP32S3 = 9
EXTENDED = bytes((0xEE, 0, 0, 0, CHIP_ID_ESP32S3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
IMAGE = HEADER + EXTENDED + bytes(range(256)) * 40


@pytest.fixture(scope="module")
def device() -> Device:
    return find_device("esp32-s3-devkitc-1")


@pytest.fixture
def boot_loader_url() -> Iterator[str]:
    with mock.mock_bootloader("esp32s3") as running:
        yield running.url()


def test_an_image_is_written_and_verified(boot_loader_url: str, device: Device) -> None:
    seen: list[tuple[str, int, int]] = []
    report = flash_image(boot_loader_url, device, IMAGE, lambda *step: seen.append(step))
    assert (report.method, report.written_bytes) == ("esptool", len(IMAGE))
    assert [step[0] for step in seen if step[1] == step[2]][::2] == ["writing", "verifying"]


def test_flash_that_keeps_something_else_fails_the_verification(
    boot_loader_url: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """esptool is made to verify another file than the one that it wrote."""
    honest = esptool_module._run

    def corrupt(url: str, command: list[str], *rest: object) -> Iterator[str]:
        if command[0] == "verify-flash":
            Path(command[-1]).write_bytes(IMAGE[:-1] + b"\0")
        return honest(url, command, *rest)

    monkeypatch.setattr(esptool_module, "_run", corrupt)
    with pytest.raises(BoardError, match="could not verify-flash"):
        flash_image(boot_loader_url, device, IMAGE)


def test_the_chip_says_what_it_is(boot_loader_url: str) -> None:
    assert chip_name(boot_loader_url) == "ESP32-S3"


def test_a_board_that_is_no_esp32_is_an_error_in_bounded_time(device: Device) -> None:
    started = time.monotonic()
    with fake_board(lambda request: b"") as url, pytest.raises(BoardError, match="esptool could"):
        chip_name(url)
    assert time.monotonic() - started < 40


def test_images_for_something_else_are_refused(device: Device) -> None:
    for wrong in (b"", b"\x7fELF" + bytes(100)):
        with pytest.raises(WrongInputError, match="not one for an ESP32"):
            flash_image("loop://", device, wrong)
    with pytest.raises(WrongInputError, match="the flash of ESP32-S3-DevKitC-1 8388608"):
        flash_image("loop://", device, HEADER + bytes(8 << 20))


def test_the_steps_are_listed_without_touching_anything(device: Device) -> None:
    assert "write-flash 0x0" in flashing_steps("/dev/none", device, IMAGE)[1]


def test_without_esptool_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esptool_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"automcu\[esp32\]"):
        chip_name("loop://")
