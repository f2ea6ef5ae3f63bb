"""Flashing an STM32 through the boot loader in its ROM, over its USART (ST, AN3155)."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from automcu.boards.link import Link
from automcu.boards.port import Port, open_port
from automcu.boards.project import (
    FlashReport,
    check_image,
    first_difference,
    sectors_covering,
)
from automcu.boards.records import Progress
from automcu.errors import BoardError, WrongInputError
from automcu.mcu.profile import Device, code_flash

SYNCHRONISE = 0x7F
ACKNOWLEDGE = 0x79
REFUSE = 0x1F

GET = 0x00
GET_ID = 0x02
READ_MEMORY = 0x11
GO = 0x21
WRITE_MEMORY = 0x31
EXTENDED_ERASE = 0x44

MAX_BLOCK_BYTES = 256

_ANSWER_TIMEOUT_S = 2.0
# Most commands end within 257 bytes. One is longer: an erase whose number of sectors was still to
# come has taken two attempts to synchronise for it, 0x7F7F, and waits for as many 16-bit numbers.
_FILLER_BYTES = (64,) * 8 + (4096,) * 17
_FILLER_ANSWER_S = 0.1
_DRAIN_BYTES = 64
_SYNCHRONISE_TIMEOUT_S = 0.5
# STM32F405 datasheet (DS8626), table "Flash memory programming": a 128 KiB sector takes up to 4 s
# when it is erased byte-wise. Twice that, and the same again for the many small ones of others.
_ERASE_TIMEOUT_S = 20.0


class RefusedError(BoardError):
    """The boot loader answered a command with its NACK."""


class BootLoader:
    """One conversation with an STM32 boot loader. Every method raises BoardError on failure."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def synchronise(self, attempts: int = 2) -> bool:
        """Wake the boot loader; return whether it answered.

        It measures the baud rate from the first 0x7F. If it was awake already, it takes 0x7F for
        half a command and refuses it when a second one comes.
        """
        self._port.discard_input()
        for _ in range(attempts):
            self._port.write(bytes((SYNCHRONISE,)))
            answer = self._port.read(1, _SYNCHRONISE_TIMEOUT_S)
            if answer and answer[0] in (ACKNOWLEDGE, REFUSE):
                return True
        return False

    def finish_command(self) -> bool:
        """End a command that an earlier host broke off in the middle; return whether it answered.

        The boot loader still waits for the rest, with no time-out of its own: it gets bytes until
        it refuses their checksum. 0xFF is never the right checksum after nothing but 0xFF, and
        where it is taken for content, it leaves flash as it is.
        """
        for size in _FILLER_BYTES:
            self._port.write(b"\xff" * size)
            if self._port.read(1, _FILLER_ANSWER_S + size * self._port.seconds_per_byte):
                while self._port.read(_DRAIN_BYTES, _FILLER_ANSWER_S):
                    pass  # answers to the rest of them
                return self.synchronise()
        return False

    def commands(self) -> frozenset[int]:
        """The command codes that this version of the boot loader knows."""
        self._command(GET, "get")
        answer = self._receive(self._receive(1)[0] + 1)
        self._expect_acknowledge("get")
        return frozenset(answer[1:])

    def device_id(self) -> int:
        """The part's product id, as AN2606 lists them (0x413 is an STM32F405/407)."""
        self._command(GET_ID, "get id")
        answer = self._receive(self._receive(1)[0] + 1)
        self._expect_acknowledge("get id")
        return int.from_bytes(answer, "big")

    def erase(self, sectors: Sequence[int]) -> None:
        """Erase flash sectors (pages on some families) by their numbers."""
        self._command(EXTENDED_ERASE, "erase")
        numbers = [len(sectors) - 1, *sectors]
        self._send_checked(b"".join(number.to_bytes(2, "big") for number in numbers))
        self._expect_acknowledge("erase", _ERASE_TIMEOUT_S)

    def write(self, address: int, block: bytes) -> None:
        """Write 1 to 256 bytes to RAM or erased flash."""
        self._command(WRITE_MEMORY, "write")
        self._send_address(address, "write")
        self._send_checked(bytes((len(block) - 1,)) + block)
        self._expect_acknowledge("write")

    def read(self, address: int, count: int) -> bytes:
        """Read 1 to 256 bytes."""
        self._command(READ_MEMORY, "read")
        self._send_address(address, "read")
        self._port.write(bytes((count - 1, (count - 1) ^ 0xFF)))
        self._expect_acknowledge("read")
        return self._receive(count)

    def go(self, address: int) -> None:
        """Start the program whose vector table is at `address`."""
        self._command(GO, "go")
        self._send_address(address, "go")

    def _command(self, code: int, name: str) -> None:
        self._port.write(bytes((code, code ^ 0xFF)))
        self._expect_acknowledge(name)

    def _send_address(self, address: int, name: str) -> None:
        self._send_checked(address.to_bytes(4, "big"))
        self._expect_acknowledge(name)

    def _send_checked(self, content: bytes) -> None:
        checksum = 0
        for byte in content:
            checksum ^= byte
        self._port.write(content + bytes((checksum,)))

    def _receive(self, count: int, timeout_s: float = _ANSWER_TIMEOUT_S) -> bytes:
        received = self._port.read(count, timeout_s)
        if len(received) < count:
            raise BoardError(
                f"The boot loader at {self._port.url} stopped answering. "
                "Check the cable, reset the board into its boot loader and flash it again."
            )
        return received

    def _expect_acknowledge(self, name: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> None:
        answer = self._receive(1, timeout_s)[0]
        if answer == ACKNOWLEDGE:
            return
        if answer == REFUSE:
            raise RefusedError(
                f"The boot loader at {self._port.url} refused to {name}. If the flash is "
                "protected, unlock it with STM32CubeProgrammer; else reset the board and try again."
            )
        raise BoardError(
            f"The boot loader at {self._port.url} answered nonsense ({answer:#04x}) to {name}. "
            "Check the cable, reset the board into its boot loader and flash it again."
        )


def wait_for_boot_loader(boot_loader: BootLoader, timeout_s: float) -> bool:
    """Synchronise again and again, for a part that is just starting."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if boot_loader.synchronise(attempts=1):
            return True
    return False


ERASED_BYTE = 0xFF
# STM32H7 programs whole flash words of 32 bytes (RM0433, section 4.3.9), the others smaller ones.
_WRITE_GRANULE_BYTES = 32
_BYTES_PER_ERASE_COMMAND = 128 * 1024
_START_UP_S = 3.0
# A flipped bit on the line fails one command's checksum; a protected flash fails all of them.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Sector:
    """A flash sector and the part of the image that belongs there.

    The first `right_bytes` of `content` are in flash already.
    """

    number: int
    address: int
    content: bytes
    right_bytes: int = 0
    must_be_erased: bool = True

    def blocks_to_write(self) -> Iterator[tuple[int, bytes]]:
        """Address and content of what is not right yet."""
        for offset in range(self.right_bytes, len(self.content), MAX_BLOCK_BYTES):
            yield self.address + offset, self.content[offset : offset + MAX_BLOCK_BYTES]


def flash_by_usart(url: str, device: Device, image: bytes, progress: Progress) -> FlashReport:
    """Write `image` to the start of flash, read it back, and start it.

    What an earlier attempt has written already is found by reading, and stays.

    Raises:
        WrongInputError: the image is not for this device.
        BoardError: no boot loader answers, it belongs to another part, or flashing failed.
    """
    check_image(device, image)
    planned = list(_sectors_of(device, image))
    started = time.monotonic()
    with open_port(url, device.serial.baud_rate, parity="even") as port:
        boot_loader = _reach_boot_loader(port, device)
        _check_part(boot_loader, device, url)
        sectors = _compare(boot_loader, planned, progress)
        _erase(boot_loader, device, sectors, progress)
        _write(boot_loader, sectors, progress)
        _verify(boot_loader, sectors, progress)
        boot_loader.go(code_flash(device).address)
    kept = sum(sector.right_bytes for sector in sectors)
    return FlashReport(
        method="usart-bootloader",
        written_bytes=len(image) - kept,
        kept_bytes=kept,
        seconds=time.monotonic() - started,
    )


def steps_by_usart(url: str, device: Device, image: bytes) -> list[str]:
    """What `flash_by_usart` would do on a board whose flash holds something else."""
    check_image(device, image)
    sectors = sectors_covering(device, len(image))
    blocks = -(-len(image) // MAX_BLOCK_BYTES)
    return [
        f"ask the boot loader at {url} (8E1, {device.serial.baud_rate:,} baud) whether it is part "
        f"{device.flashing.bootloader_device_id or 0:#05x}",
        f"erase {len(sectors)} sectors, {sectors[0]} to {sectors[-1]}",
        f"write {len(image):,} bytes at {code_flash(device).address:#010x} in {blocks} blocks",
        "read everything back",
        "start the image",
    ]


def boot_loader_answers(url: str, device: Device) -> bool:
    """Whether the board waits in its boot loader. Firmware that runs instead is not disturbed.

    Raises:
        BoardError: the port cannot be opened.
    """
    with open_port(url, device.serial.baud_rate, parity="even") as port:
        return BootLoader(port).synchronise()


def _reach_boot_loader(port: Port, device: Device) -> BootLoader:
    """Wake the boot loader; if firmware of ours runs instead, ask it to hand over first.

    If neither answers, the reset pin is tried, where the port leads to one; and then what helps
    against a boot loader that waits for the rest of a broken command.
    """
    boot_loader = BootLoader(port)
    if boot_loader.synchronise():
        return boot_loader
    if _firmware_makes_way(port):
        if wait_for_boot_loader(boot_loader, _START_UP_S):
            return boot_loader
        raise BoardError(
            f"The firmware at {port.url} left for its boot loader, which does not answer. "
            f"Hold BOOT0 high, reset the {device.name}, and flash it again."
        )
    port.reset_board(boot0=True)
    if boot_loader.synchronise() or boot_loader.finish_command():
        return boot_loader
    raise BoardError(
        f"Neither a boot loader nor automcu's firmware answers at {port.url}. Hold BOOT0 high, "
        f"reset the {device.name}, and flash it again."
    )


def _firmware_makes_way(port: Port) -> bool:
    port.use_parity("none")
    try:
        Link(port, timeout_s=0.5).enter_boot_loader()
    except BoardError:
        return False
    finally:
        port.use_parity("even")
    return True


def _check_part(boot_loader: BootLoader, device: Device, url: str) -> None:
    expected = device.flashing.bootloader_device_id
    if expected is None:
        raise WrongInputError(
            f"The profile of {device.id} does not say which part its boot loader reports. "
            "Add bootloader_device_id under [flashing] (ST's AN2606 lists it)."
        )
    found = _part_id(boot_loader)
    if found != expected:
        raise BoardError(
            f"The board at {url} is not a {device.name}: its boot loader reports part "
            f"{found:#05x}, not {expected:#05x}. Name the right device, or the right port."
        )
    if EXTENDED_ERASE not in boot_loader.commands():
        raise BoardError(
            f"The boot loader at {url} is too old to erase by sector. "
            "Update or replace the board, or flash it with ST's own tools."
        )


def _part_id(boot_loader: BootLoader) -> int:
    """What the boot loader says it is.

    What woke it may have been a late answer to someone else's bytes: then it is woken again.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return boot_loader.device_id()
        except BoardError:
            boot_loader.synchronise()
    return boot_loader.device_id()


def _sectors_of(device: Device, image: bytes) -> Iterator[_Sector]:
    start = code_flash(device).address
    offset = 0
    for number in sectors_covering(device, len(image)):
        size = device.flashing.flash_sector_bytes[number]
        yield _Sector(number, start + offset, image[offset : offset + size])
        offset += size


def _compare(boot_loader: BootLoader, planned: list[_Sector], progress: Progress) -> list[_Sector]:
    """Find out how much of each sector is right already.

    A board that holds something else costs one read per sector.
    """
    total = sum(len(sector.content) for sector in planned)
    compared = []
    done = 0
    for sector in planned:
        compared.append(_compared(boot_loader, sector))
        done += len(sector.content)
        if compared[-1].right_bytes:
            progress("comparing", done, total)
    return compared


def _compared(boot_loader: BootLoader, sector: _Sector) -> _Sector:
    """Right up to some block and erased from there on: writing can go on. Else it starts anew."""
    right = 0
    for address, block in sector.blocks_to_write():
        found = _read_if_possible(boot_loader, address, len(block))
        still_right = right == address - sector.address
        if still_right and found == block:
            right += len(block)
        elif right == 0 or found != bytes((ERASED_BYTE,)) * len(block):
            return sector
    return _Sector(sector.number, sector.address, sector.content, right, must_be_erased=False)


def _read_if_possible(boot_loader: BootLoader, address: int, count: int) -> bytes:
    """Flash that power loss left half-written may fail its error correction: no content then."""
    try:
        return boot_loader.read(address, count)
    except RefusedError:
        return b""


def _erase(
    boot_loader: BootLoader, device: Device, sectors: list[_Sector], progress: Progress
) -> None:
    numbers = [sector.number for sector in sectors if sector.must_be_erased]
    progress("erasing", 0, len(numbers))
    done = 0
    for group in _erase_groups(device, numbers):
        _insist(partial(boot_loader.erase, group))
        done += len(group)
        progress("erasing", done, len(numbers))


def _erase_groups(device: Device, sectors: list[int]) -> Iterator[list[int]]:
    """Sectors in groups that one command erases within its time-out."""
    group: list[int] = []
    size = 0
    for sector in sectors:
        sector_bytes = device.flashing.flash_sector_bytes[sector]
        if group and size + sector_bytes > _BYTES_PER_ERASE_COMMAND:
            yield group
            group, size = [], 0
        group.append(sector)
        size += sector_bytes
    if group:
        yield group


def _write(boot_loader: BootLoader, sectors: list[_Sector], progress: Progress) -> None:
    for address, block in _with_progress("writing", sectors, progress):
        padding = bytes((ERASED_BYTE,)) * (-len(block) % _WRITE_GRANULE_BYTES)
        _insist(partial(boot_loader.write, address, block + padding))


def _verify(boot_loader: BootLoader, sectors: list[_Sector], progress: Progress) -> None:
    """Read back what was written; a difference counts when it is there twice.

    The protocol has no checksum on what is read: the first time it may be the line's.
    """
    for address, block in _with_progress("verifying", sectors, progress):
        for attempt in range(2):
            found = boot_loader.read(address, len(block))
            difference = first_difference(found, block)
            if difference is None:
                break
            if attempt:
                raise BoardError(
                    f"The flash at {address + difference:#010x} does not hold what was written. "
                    "Flash the board again; if it happens at the same place, its flash is worn out."
                )


def _with_progress(
    stage: str, sectors: list[_Sector], progress: Progress
) -> Iterator[tuple[int, bytes]]:
    blocks = [block for sector in sectors for block in sector.blocks_to_write()]
    total = sum(len(content) for _, content in blocks)
    done = 0
    progress(stage, 0, total)
    for address, content in blocks:
        yield address, content
        done += len(content)
        progress(stage, done, total)


def _insist(command: Callable[[], None]) -> None:
    """Repeat a command that is refused: its checksum failed, or it cannot be done at all."""
    for _ in range(_ATTEMPTS - 1):
        try:
            command()
            return
        except RefusedError:
            continue
    command()
