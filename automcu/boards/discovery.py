"""Which boards are there and what they are, and the URL by which each is reached.

A USB id names the probe or the bridge. What chip is behind it, the chip must say. Boards of a farm
are places of a labgrid coordinator (the one that LG_COORDINATOR names): a place is acquired, used,
and released. labgrid brings a pyserial of its own, which would replace ours: it lives in an
environment of its own, and is driven as a program.
"""

import contextlib
import logging
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from automcu.boards.flashing import BootLoader
from automcu.boards.flashing.debug_probe import probe_session
from automcu.boards.flashing.esptool import chip_name
from automcu.boards.link import Link
from automcu.boards.port import Port, open_port
from automcu.boards.records import FoundBoard, Identity
from automcu.boards.virtual import running_boards, virtual_board
from automcu.errors import BoardError, ToolError, WrongInputError
from automcu.mcu import all_devices
from automcu.mcu.family import family_of
from automcu.mcu.profile import Device
from automcu.records import Record

PREFIX = "labgrid:"

_CLIENT = "labgrid-client"
_TIMEOUT_S = 30.0
_SCHEMES = {"rfc2217": "rfc2217", "raw": "socket"}
_SERIAL_PORT = re.compile(r"Acquired resource 'NetworkSerialPort'.*?'params': (\{.*\})", re.DOTALL)


@contextlib.contextmanager
def acquired_place(place: str) -> Iterator[str]:
    """Acquire a place; yield the URL of its NetworkSerialPort; release it whatever happens.

    Raises:
        WrongInputError: the place has no name.
        ToolError: labgrid's client is not on the PATH.
        BoardError: there is no such place, someone else has it, or it has no serial port that can
            be reached from here.
    """
    if not place:
        raise WrongInputError(
            f"{PREFIX} needs a place, as in {PREFIX}my-board. `{_CLIENT} places` lists them."
        )
    _client(place, "acquire")
    try:
        yield _url(place, _client(place, "show"))
    finally:
        _client(place, "release")


def _client(place: str, command: str) -> str:
    program = shutil.which(_CLIENT)
    if program is None:
        raise ToolError(
            f"{_CLIENT} is not on the PATH. Install labgrid into an environment of its own "
            "(pipx install labgrid), or name a port instead."
        )
    try:
        done = subprocess.run(
            [program, "--place", place, command],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BoardError(
            f"labgrid does not answer within {_TIMEOUT_S:g} s. "
            "Check that LG_COORDINATOR names a coordinator that runs."
        ) from error
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BoardError(
            f"labgrid could not {command} the place {place} "
            f"({reason[-1] if reason else 'no reason given'}). "
            f"`{_CLIENT} places` lists the places, and LG_COORDINATOR names the coordinator."
        )
    return done.stdout


def _url(place: str, description: str) -> str:
    match = _SERIAL_PORT.search(description)
    if match is None:
        raise BoardError(
            f"The place {place} has no NetworkSerialPort. "
            f"Add one to it: {_CLIENT} -p {place} add-match EXPORTER/BOARD/NetworkSerialPort"
        )
    parameters = match.group(1)
    if "'proxy_required': True" in parameters:
        raise BoardError(
            f"The serial port of {place} is reached through SSH only. Forward it yourself and "
            "give its rfc2217:// URL, or start the exporter without --isolated."
        )
    host, port, protocol = (
        _value(parameters, key) for key in ("'host': '", "'port': ", "'protocol': '")
    )
    return f"{_SCHEMES.get(protocol, 'rfc2217')}://{host}:{port}"


def _value(parameters: str, key: str) -> str:
    match = re.search(re.escape(key) + r"([\w.:-]+)", parameters)
    return match.group(1) if match else ""


VIRTUAL = "virtual"


@contextlib.contextmanager
def board_url(board: str, device: Device) -> Iterator[str]:
    """Yield the pyserial URL of a board: "virtual", "labgrid:PLACE", or a port itself.

    A virtual board lives as long as the block, and a place is held as long.

    Raises:
        BoardError: it cannot be had.
        ToolError: the program that it takes is missing.
    """
    if board == VIRTUAL:
        with virtual_board(device) as url:
            yield url
    elif board.startswith(PREFIX):
        with acquired_place(board.removeprefix(PREFIX)) as url:
            yield url
    else:
        yield board


_PART_MASK = 0xFFF  # DBGMCU_IDCODE, bits 11:0 (RM0090, section 38.6.1; the same in all families)


def read_part_id(device: Device, serial_number: str | None) -> int | None:
    """The part id that ST's boot loader would report too; None where it cannot be read.

    The core is not halted.
    """
    address = family_of(device).id_register
    if address is None or not serial_number:
        return None
    try:
        with probe_session(serial_number, "cortex_m", connect_mode="attach") as session:
            return int(session.target.read32(address)) & _PART_MASK
    except (BoardError, ToolError) as error:
        logging.getLogger(__name__).debug("no IDCODE: %s", error)
        return None


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
