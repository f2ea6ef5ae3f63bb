"""Flashing and asking over SWD: pyOCD's own classes are played, as no probe is plugged in."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
from serial.tools import list_ports

from automcu.boards.discovery import read_part_id
from automcu.boards.flashing import choose_method, debug_probe, flash_image, flashing_steps
from automcu.errors import BoardError, ToolError, WrongInputError
from automcu.mcu import Device, find_device
from automcu.mcu.family import family_of
from tests.boards.test_flashing import SLEEPING

IMAGE = SLEEPING + bytes(range(256)) * 64
PORT = "/dev/ttyACM0"
PROBE = "066DFF545071494867192841"
START = 0x0800_0000
DeviceOf = Callable[..., Device]


class PyocdError(Exception):
    pass


class TargetSupportError(PyocdError):
    pass


class Bench:
    """A probe with a board, and the parts of pyOCD that stand between it and automcu."""

    def __init__(self) -> None:
        self.probes = [PROBE]
        self.targets = ["stm32h743xx", "stm32f407vgtx"]
        self.flash = bytearray(b"\xff" * 512 * 1024)
        self.words = {0xE004_2000: 0x1007_6413}
        self.worn = False
        self.lost = False
        self.resets = 0
        self.opened_as: list[str] = []

    def module(self, name: str) -> Any:
        return {
            "pyocd.core.helpers": SimpleNamespace(ConnectHelper=self),
            "pyocd.core.exceptions": SimpleNamespace(
                Error=PyocdError, TargetSupportError=TargetSupportError
            ),
            "pyocd.target": SimpleNamespace(TARGET=dict.fromkeys(self.targets[:1])),
            "pyocd.target.pack.pack_target": SimpleNamespace(
                ManagedPacks=SimpleNamespace(
                    get_installed_targets=lambda: [
                        SimpleNamespace(part_number=name.upper()) for name in self.targets[1:]
                    ]
                )
            ),
            "pyocd.flash.file_programmer": SimpleNamespace(FileProgrammer=self.programmer),
        }[name]

    def get_all_connected_probes(
        self, blocking: bool, unique_id: str | None, print_wait_message: bool
    ) -> list[SimpleNamespace]:
        fitting = [probe for probe in self.probes if (unique_id or "") in probe]
        return [SimpleNamespace(unique_id=probe) for probe in fitting]

    def session_with_chosen_probe(
        self, blocking: bool, unique_id: str, options: dict[str, object]
    ) -> "Bench":
        self.opened_as.append(str(options["target_override"]))
        return self

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def target(self) -> "Bench":
        return self

    def programmer(self, session: object, progress: Callable[[float], None], **_: object) -> Any:
        def program(file: BinaryIO, file_format: str, base_address: int) -> None:
            if self.lost:
                raise PyocdError("SWD/JTAG communication failure")
            content = file.read()
            self.flash[base_address - START : base_address - START + len(content)] = content
            if self.worn:
                self.flash[5000] ^= 1
            progress(0.5)

        return SimpleNamespace(program=program)

    def read_memory_block8(self, address: int, count: int) -> list[int]:
        return list(self.flash[address - START : address - START + count])

    def read32(self, address: int) -> int:
        return self.words[address]

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    played = Bench()
    monkeypatch.setattr(debug_probe, "_import", played.module)
    port = SimpleNamespace(device=PORT, serial_number=PROBE)
    monkeypatch.setattr(list_ports, "comports", lambda: [port])
    return played


@pytest.fixture
def device(device_of: DeviceOf) -> Device:
    flashing = {
        "methods": ("swd", "usart-bootloader"),
        "flash_sectors": [{"count": 8, "bytes": 65536}],
    }
    return device_of(flashing=flashing, mcu="STM32F407VGT6")


def test_an_image_is_written_read_back_and_started(bench: Bench, device: Device) -> None:
    seen: list[str] = []
    report = flash_image(PORT, device, IMAGE, lambda stage, done, total: seen.append(stage))
    assert report.method == "swd"
    assert bench.flash[: len(IMAGE)] == IMAGE
    assert bench.opened_as == ["stm32f407vgtx"]
    assert bench.resets == 1
    assert list(dict.fromkeys(seen)) == ["writing", "verifying"]


def test_flash_that_keeps_something_else_is_named_by_its_address(
    bench: Bench, device: Device
) -> None:
    bench.worn = True
    with pytest.raises(BoardError, match="0x08001388 does not hold"):
        flash_image(PORT, device, IMAGE)
    assert bench.resets == 0


def test_a_probe_that_loses_the_board_is_an_error_with_its_reason(
    bench: Bench, device: Device
) -> None:
    bench.lost = True
    with pytest.raises(BoardError, match=r"lost the board.*communication failure.*try again"):
        flash_image(PORT, device, IMAGE)


def test_two_probes_are_not_guessed_between(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.probes.append("another")
    monkeypatch.setattr(list_ports, "comports", list)
    with pytest.raises(BoardError, match=f"{PROBE}, another"):
        flash_image(PORT, device, IMAGE, method="swd")


def test_a_part_that_pyocd_does_not_know_names_the_pack(bench: Bench, device: Device) -> None:
    bench.targets = ["stm32h743xx"]
    with pytest.raises(ToolError, match="pyocd pack install stm32f407vgtx"):
        flash_image(PORT, device, IMAGE, method="swd")
    assert choose_method(PORT, device) == "usart-bootloader"


def test_the_probe_is_chosen_where_it_is_and_not_over_the_network(
    bench: Bench, device: Device
) -> None:
    assert choose_method(PORT, device) == "swd"
    assert choose_method("rfc2217://bench:4000", device) == "usart-bootloader"
    assert PORT in flashing_steps(PORT, device, IMAGE)[0]
    with pytest.raises(WrongInputError, match="vector table"):
        flashing_steps(PORT, device, b"nonsense")


def test_the_part_is_read_without_halting_it(bench: Bench, device: Device) -> None:
    assert read_part_id(device, PROBE) == 0x413
    assert read_part_id(device, "of another probe") is None
    assert read_part_id(device, None) is None


def targets(name: str) -> list[str]:
    device = find_device(name)
    return family_of(device).debug_targets(device.mcu.lower())


def test_names_cover_packs_and_what_pyocd_has_built_in() -> None:
    assert "stm32f407vgtx" in targets("stm32f407g-disc1")
    assert "stm32h743xx" in targets("nucleo-h743zi2")
    assert "stm32h723xx" in targets("nucleo-h723zg")


def test_without_pyocd_the_error_says_how_to_get_it(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(debug_probe.importlib, "import_module", missing)
    with pytest.raises(ToolError, match=r"automcu\[swd\]"):
        flash_image(PORT, device, IMAGE, method="swd")
    assert choose_method(PORT, device) == "usart-bootloader"


def test_pyocd_itself_has_what_is_used_of_it() -> None:
    """The played parts above are no better than their likeness."""
    helpers = pytest.importorskip("pyocd.core.helpers")
    import inspect

    from pyocd.core import exceptions
    from pyocd.flash.file_programmer import FileProgrammer

    chosen = inspect.signature(helpers.ConnectHelper.session_with_chosen_probe).parameters
    assert {"blocking", "unique_id", "options"} <= set(chosen)
    wanted = {"session", "progress", "chip_erase", "smart_flash"}
    assert wanted <= set(inspect.signature(FileProgrammer.__init__).parameters)
    assert issubclass(exceptions.TargetSupportError, exceptions.Error)
    assert "stm32h743xx" in debug_probe.known_targets()
    assert debug_probe.connected_probes("no such probe") == []
