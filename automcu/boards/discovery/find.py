"""Boards that are plugged in, by the USB id of their port; and virtual boards that run.

A USB id names the probe or the bridge. What chip is behind it, the chip must say.
"""

from collections.abc import Iterator, Sequence

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from automcu.boards.discovery.chip import ChipAnswer, ask_chip
from automcu.boards.records import FoundBoard
from automcu.boards.virtual import running_boards
from automcu.errors import BoardError
from automcu.mcu import all_devices
from automcu.mcu.profile import Device


def find_boards(ask: bool = True) -> tuple[FoundBoard, ...]:
    """List serial ports and running virtual boards, with the profiles that they match.

    With `ask`, the chip behind every port whose USB id is in a profile is asked what it is; ports
    of other makes are left alone, as one cannot know what a byte sent to them does.

    Raises:
        WrongInputError: a profile is damaged.
    """
    known = tuple(all_devices().values())
    ports = sorted(list_ports.comports(), key=lambda port: port.device)
    plugged = (_plugged_in(port, known, ask) for port in ports if port.vid is not None)
    return (*plugged, *_virtual(known, ask))


def _plugged_in(port: ListPortInfo, known: Sequence[Device], ask: bool) -> FoundBoard:
    candidates = [device for device in known if _has_usb_id(device, port.vid, port.pid)]
    answer, problem = ChipAnswer(known_by="nothing"), None
    if ask and candidates:
        answer, problem = _ask(port.device, candidates, port.serial_number)
    if answer.known_by == "nothing" and candidates:
        answer = ChipAnswer(known_by="USB id", devices=tuple(d.id for d in candidates))
    return FoundBoard(
        url=port.device,
        description=port.description or port.product or "",
        usb_id=f"{port.vid:04x}:{port.pid:04x}",
        serial_number=port.serial_number,
        problem=problem,
        **dict(answer),
    )


def _virtual(known: Sequence[Device], ask: bool) -> Iterator[FoundBoard]:
    for board in running_boards():
        device = next((one for one in known if one.id == board.device), None)
        answer, problem = ChipAnswer(known_by="nothing", devices=(board.device,)), None
        if ask and device is not None:
            answer, problem = _ask(board.url, [device], None)
            if not answer.devices:
                answer = answer.model_copy(update={"devices": (board.device,)})
        yield FoundBoard(
            url=board.url,
            description=f"virtual {device.name if device else board.device}",
            virtual=True,
            problem=problem,
            **dict(answer),
        )


def _ask(
    url: str, candidates: Sequence[Device], serial_number: str | None
) -> tuple[ChipAnswer, str | None]:
    try:
        return ask_chip(url, candidates, serial_number), None
    except BoardError as error:
        return ChipAnswer(known_by="nothing"), str(error)


def _has_usb_id(device: Device, vendor: int, product: int) -> bool:
    return any((usb.vendor, usb.product) == (vendor, product) for usb in device.usb)
