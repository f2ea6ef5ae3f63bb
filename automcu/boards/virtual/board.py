"""A virtual board: power on, boot loader, program, and back to the boot loader when that ends.

The boot loader in ROM is the device side of ST's USART protocol (AN3155). A host on RFC 2217 has
the board's reset pin too: BOOT0 then chooses between boot loader and program.
"""

import sys
from collections.abc import Callable

import serial

from automcu.boards.flashing.stm32_bootloader import (
    ACKNOWLEDGE,
    EXTENDED_ERASE,
    GET,
    GET_ID,
    GO,
    READ_MEMORY,
    REFUSE,
    SYNCHRONISE,
    WRITE_MEMORY,
)
from automcu.boards.virtual.machine import ExitKind, Machine
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.serial_line import DisconnectedError, PinResetError, SerialLine
from automcu.boards.virtual.wire import BOOT_LOADER_SETTINGS, LineSettings
from automcu.mcu.profile import Device, code_flash

_GET_VERSION = 0x01
_VERSION = 0x31
_ERASE_ALL = 0xFFFF
_FIRST_SPECIAL_ERASE = 0xFFFC


class BootLoader:
    """Waits for a host and obeys it until told to start a program."""

    def __init__(self, line: SerialLine, memory: BoardMemory, part_id: int) -> None:
        self._line = line
        self._memory = memory
        self._part_id = part_id
        self._commands: dict[int, Callable[[], None]] = {
            GET: self._get,
            _GET_VERSION: self._get_version,
            GET_ID: self._get_id,
            READ_MEMORY: self._read_memory,
            WRITE_MEMORY: self._write_memory,
            EXTENDED_ERASE: self._extended_erase,
        }

    def serve(self) -> int:
        """Return the address of the vector table to start from."""
        self._wait_for_host()
        while True:
            try:
                start = self._obey()
            except DisconnectedError:
                continue  # the half command is forgotten; the board stays synchronised
            if start is not None:
                self._line.flush()
                return start

    def _wait_for_host(self) -> None:
        while True:
            try:
                if self._line.read(1)[0] == SYNCHRONISE:
                    self._acknowledge()
                    return
            except DisconnectedError:
                continue

    def _obey(self) -> int | None:
        """Carry out one command; return an address when it was to go there."""
        code, complement = self._line.read(2)
        if code ^ complement != 0xFF:
            self._refuse()
        elif code == GO:
            return self._go()
        elif code in self._commands:
            self._commands[code]()
        else:
            self._refuse()
        return None

    def _get(self) -> None:
        codes = bytes((*sorted(self._commands), GO))
        self._answer(bytes((len(codes), _VERSION)) + codes)

    def _get_version(self) -> None:
        self._answer(bytes((_VERSION, 0, 0)))

    def _get_id(self) -> None:
        self._answer(b"\x01" + self._part_id.to_bytes(2, "big"))

    def _read_memory(self) -> None:
        address = self._receive_address()
        if address is None:
            return
        count, complement = self._line.read(2)
        content = self._memory.read(address, count + 1)
        if count ^ complement != 0xFF or content is None:
            self._refuse()
            return
        self._acknowledge()
        self._line.put(content)

    def _write_memory(self) -> None:
        address = self._receive_address()
        if address is None:
            return
        count = self._line.read(1)
        block = self._line.read(count[0] + 2)
        intact = _checksum(count + block) == 0
        if intact and self._memory.write(address, block[:-1]):
            self._acknowledge()
        else:
            self._refuse()

    def _extended_erase(self) -> None:
        self._acknowledge()
        count = self._line.read(2)
        number = int.from_bytes(count, "big")
        if number >= _FIRST_SPECIAL_ERASE:
            self._erase_specially(count, number)
            return
        rest = self._line.read(2 * (number + 1) + 1)
        sectors = [int.from_bytes(rest[i : i + 2], "big") for i in range(0, len(rest) - 1, 2)]
        intact = _checksum(count + rest) == 0
        if intact and all(map(self._memory.erase_sector, sectors)):
            self._acknowledge()
        else:
            self._refuse()

    def _erase_specially(self, count: bytes, number: int) -> None:
        if _checksum(count + self._line.read(1)) == 0 and number == _ERASE_ALL:
            self._memory.erase_all()
            self._acknowledge()
        else:
            self._refuse()

    def _go(self) -> int | None:
        address = self._receive_address()
        if address is not None:
            self._line.flush()
        return address

    def _receive_address(self) -> int | None:
        """Acknowledge the command, read an address and acknowledge it if there is memory."""
        self._acknowledge()
        received = self._line.read(5)
        address = int.from_bytes(received[:4], "big")
        if _checksum(received) != 0 or self._memory.read(address, 1) is None:
            self._refuse()
            return None
        self._acknowledge()
        return address

    def _answer(self, content: bytes) -> None:
        self._acknowledge()
        self._line.put(content)
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._line.put(bytes((ACKNOWLEDGE,)))

    def _refuse(self) -> None:
        self._line.put(bytes((REFUSE,)))


def _checksum(content: bytes) -> int:
    checksum = 0
    for byte in content:
        checksum ^= byte
    return checksum


def run_board(device: Device, line: SerialLine) -> None:
    """Be the board, for ever."""
    memory = BoardMemory(device)
    part_id = device.flashing.bootloader_device_id or 0
    boot0 = True
    while True:
        try:
            if boot0:
                line.settings = BOOT_LOADER_SETTINGS
                vector_table = BootLoader(line, memory, part_id).serve()
            else:
                vector_table = code_flash(device).address
            line.settings = LineSettings(serial.PARITY_NONE, device.serial.baud_rate)
            _run_program(device, memory, line, vector_table)
            boot0 = True
        except PinResetError as reset:
            boot0 = reset.boot0


def _run_program(device: Device, memory: BoardMemory, line: SerialLine, vector_table: int) -> None:
    """Run the program, through any resets, until it jumps to the boot loader or faults."""
    while True:
        machine = Machine(device, memory, line)
        with line.unattended(machine.stop):
            end = machine.run(vector_table)
        line.obey_reset()
        line.flush()
        if end.kind in (ExitKind.FAULT, ExitKind.BREAKPOINT):
            print(f"{device.id}: the program faulted: {end.description}", file=sys.stderr)
            sys.stderr.flush()
            line.hang_up()
        if end.kind is not ExitKind.RESET:
            return
