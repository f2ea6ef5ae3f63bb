"""A virtual board: power on, boot loader, program, and back to the boot loader when that ends.

A host on RFC 2217 has its reset pin too: BOOT0 then chooses between boot loader and program.
"""

import sys

import serial

from automcu.boards.flashing.image import code_flash
from automcu.boards.virtual.boot_loader import BootLoader
from automcu.boards.virtual.machine import Ending, Machine
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.serial_line import PinResetError, SerialLine
from automcu.boards.virtual.wire import BOOT_LOADER_SETTINGS, LineSettings
from automcu.mcu.profile import Device


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
            outcome = machine.run(vector_table)
        line.obey_reset()
        line.flush()
        if outcome.ending in (Ending.FAULT, Ending.BREAKPOINT):
            print(f"{device.id}: the program faulted: {outcome.description}", file=sys.stderr)
            sys.stderr.flush()
            line.hang_up()
        if outcome.ending is not Ending.RESET:
            return
