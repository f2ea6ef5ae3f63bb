"""Asking the chip behind a port what it is, by the means that its candidates allow."""

from collections.abc import Callable, Sequence
from typing import Literal

from automcu.boards.discovery.debug_port import read_part_id
from automcu.boards.flashing import BootLoader
from automcu.boards.flashing.esptool import chip_name
from automcu.boards.link import Link
from automcu.boards.port import Port, open_port
from automcu.boards.records import Identity
from automcu.errors import BoardError, ToolError
from automcu.mcu.profile import Device
from automcu.records import Record

_ANSWER_S = 0.3


class ChipAnswer(Record):
    """What was learned; the fields are those of FoundBoard."""

    known_by: Literal["firmware", "boot loader", "IDCODE", "esptool", "USB id", "nothing"]
    devices: tuple[str, ...] = ()
    chip: str | None = None
    identity: Identity | None = None


_SILENCE = ChipAnswer(known_by="nothing")


def ask_chip(url: str, candidates: Sequence[Device], serial_number: str | None) -> ChipAnswer:
    """Ask boot loader, firmware, debug port and esptool in turn; the first answer counts.

    The boot loader comes first: it learns the baud rate from the first byte that it sees, and
    would not understand any other. Firmware takes that byte for the end of a damaged frame.

    Raises:
        BoardError: the port cannot be opened, or its connection is lost.
    """
    for device in _one_for_each(candidates, lambda device: device.serial.baud_rate):
        with open_port(url, device.serial.baud_rate) as port:
            answer = _ask_boot_loader(port, candidates) or _ask_firmware(port)
        if answer:
            return answer
    return _ask_probe(candidates, serial_number) or _ask_esptool(url, candidates) or _SILENCE


def _ask_boot_loader(port: Port, candidates: Sequence[Device]) -> ChipAnswer | None:
    if not any(device.flashing.bootloader_device_id for device in candidates):
        return None
    port.use_parity("even")
    boot_loader = BootLoader(port)
    try:
        if not boot_loader.synchronise():
            return None
        return _part_answer("boot loader", boot_loader.device_id(), candidates)
    except BoardError:
        return None  # something else answered in the boot loader's words by chance
    finally:
        port.use_parity("none")


def _ask_firmware(port: Port) -> ChipAnswer | None:
    try:
        identity = Link(port, timeout_s=_ANSWER_S).identify()
    except BoardError:
        return None
    chip = f"automcu firmware {identity.model_hash}"
    return ChipAnswer(known_by="firmware", devices=(identity.board,), chip=chip, identity=identity)


def _ask_probe(candidates: Sequence[Device], serial_number: str | None) -> ChipAnswer | None:
    """Read the part id over the debug port, where a probe with this serial number is plugged in."""
    by_swd = [device for device in candidates if "swd" in device.flashing.methods]
    for device in _one_for_each(by_swd, lambda device: device.family):
        part = read_part_id(device, serial_number)
        if part:
            return _part_answer("IDCODE", part, candidates)
    return None


def _ask_esptool(url: str, candidates: Sequence[Device]) -> ChipAnswer | None:
    by_esptool = [device for device in candidates if "esptool" in device.flashing.methods]
    if not by_esptool:
        return None
    try:
        chip = chip_name(url)
    except (BoardError, ToolError):
        return None
    fitting = [device.id for device in by_esptool if chip.startswith(device.mcu)]
    return ChipAnswer(known_by="esptool", devices=tuple(fitting), chip=chip)


def _part_answer(
    how: Literal["boot loader", "IDCODE"], part: int, candidates: Sequence[Device]
) -> ChipAnswer:
    fitting = [d.id for d in candidates if d.flashing.bootloader_device_id == part]
    return ChipAnswer(known_by=how, devices=tuple(fitting), chip=f"part {part:#05x}")


def _one_for_each(devices: Sequence[Device], key: Callable[[Device], object]) -> list[Device]:
    """The first device of each kind, in the order given."""
    return list({key(device): device for device in reversed(devices)}.values())[::-1]
