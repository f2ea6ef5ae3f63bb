"""One life of a program on a virtual board: from reset to a fault, a reset, or the boot loader."""

from enum import Enum

from unicorn import UC_HOOK_MEM_INVALID, Uc, UcError
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_SP,
)

from automcu.boards.timing import Counts
from automcu.boards.virtual import peripherals, system_registers
from automcu.boards.virtual.cycle_counter import CycleCounter
from automcu.boards.virtual.engine import new_engine
from automcu.boards.virtual.families import family_of
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.peripherals import Peripherals, part_constants
from automcu.boards.virtual.serial_line import Line
from automcu.boards.virtual.system_registers import SystemRegisters, SystemResetError
from automcu.mcu.profile import Device
from automcu.records import Record

# Unicorn wants an address to stop at; nothing is mapped at this one.
_NOWHERE = 0xFFFF_FFFE
_THUMB = 1
_BREAKPOINT = 0xBE  # the high byte of BKPT's encoding (DDI 0403, section A7.7.17)
_SLEEPS = (b"\x30\xbf", b"\x20\xbf")  # WFI and WFE, at which Unicorn stops
_SLEEP_S = 0.05
_ARGUMENT_REGISTERS = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)


class Ending(Enum):
    """How a program's life ended."""

    BOOT_LOADER = "it jumped into the boot loader"
    RESET = "it reset the system"
    FAULT = "it faulted"
    BREAKPOINT = "it came to a BKPT instruction, and no debugger is there"
    STOPPED = "it was stopped"


class Outcome(Record):
    """How a program's life ended, and for a fault, where and why."""

    ending: Ending
    description: str = ""


class Machine:
    """Core, memory and peripherals, just out of reset."""

    def __init__(self, device: Device, memory: BoardMemory, line: Line) -> None:
        family = family_of(device)
        self._memory = memory
        self._line = line
        self._engine = new_engine(device, memory)
        self._counter = CycleCounter(self._engine, device)
        self._peripherals = Peripherals(device, family, line, memory)
        constants = part_constants(device, family)
        self._system = SystemRegisters(device.core, self._counter, constants)
        self._bad_address: int | None = None
        self._stopped = False
        self._map_registers()

    def run(self, vector_table: int) -> Outcome:
        """Start the program at `vector_table` as reset does, and stay with it to its end."""
        vectors = self._memory.read(vector_table, 8) or bytes(8)
        self._engine.reg_write(UC_ARM_REG_SP, int.from_bytes(vectors[:4], "little"))
        return self._execute(int.from_bytes(vectors[4:], "little"))

    def call(self, function: int, stack_top: int, arguments: tuple[int, ...] = ()) -> Outcome:
        """Call one function, with up to four integer arguments, and stay with it to its end.

        Its return address is in ROM, so that returning looks like entering the boot loader.
        """
        self._engine.reg_write(UC_ARM_REG_SP, stack_top)
        self._engine.reg_write(UC_ARM_REG_LR, self._memory.rom.address | _THUMB)
        for register, argument in zip(_ARGUMENT_REGISTERS, arguments, strict=False):
            self._engine.reg_write(register, argument)
        return self._execute(function)

    def count_from_the_start(self) -> None:
        """Count cycles from the first instruction on, whatever the program does about it."""
        self._counter.switch(enabled=True, trace_enabled=True)

    def counts(self) -> Counts:
        """What has been counted so far."""
        return self._counter.counts()

    def result(self) -> int:
        """What the function that was called returned, as 32 bits."""
        return int(self._engine.reg_read(UC_ARM_REG_R0))

    def stop(self) -> None:
        """End the program's life from another thread."""
        self._stopped = True
        self._engine.emu_stop()

    def _execute(self, address: int) -> Outcome:
        engine = self._engine
        self._counter.stopped_at(address & ~_THUMB)
        while not self._stopped:
            try:
                engine.emu_start(address | _THUMB, _NOWHERE)
            except SystemResetError:
                return Outcome(ending=Ending.RESET)
            except UcError as error:
                return self._ended_by(error)
            address = engine.reg_read(UC_ARM_REG_PC)
            self._counter.stopped_at(address)
            if self._memory.read(address - 2, 2) in _SLEEPS:
                self._sleep()
        return Outcome(ending=Ending.STOPPED)

    def _sleep(self) -> None:
        """Wait for what could wake a polling program: there are no interrupts."""
        self._line.flush()
        if not self._line.has_input:
            self._line.wait(_SLEEP_S)

    def _ended_by(self, error: UcError) -> Outcome:
        address = self._engine.reg_read(UC_ARM_REG_PC)
        self._counter.stopped_at(address)
        if self._memory.in_rom(address):
            return Outcome(ending=Ending.BOOT_LOADER)
        if (self._memory.read(address, 2) or b"\0\0")[1] == _BREAKPOINT:
            return Outcome(ending=Ending.BREAKPOINT, description=f"BKPT at {address:#010x}")
        description = f"{error} at {address:#010x}"
        if self._bad_address is not None:
            description += f", on an access to {self._bad_address:#010x}"
        caller = self._engine.reg_read(UC_ARM_REG_LR)
        return Outcome(ending=Ending.FAULT, description=f"{description} (LR {caller:#010x})")

    def _map_registers(self) -> None:
        engine = self._engine
        for base, size, registers in (
            (peripherals.BASE, peripherals.SIZE, self._peripherals),
            (system_registers.BASE, system_registers.SIZE, self._system),
        ):
            _map(engine, base, size, registers)
        engine.hook_add(UC_HOOK_MEM_INVALID, self._on_invalid_access)

    def _on_invalid_access(
        self, engine: Uc, access: int, address: int, size: int, value: int, _: object
    ) -> bool:
        self._bad_address = address
        return False


def _map(engine: Uc, base: int, size: int, registers: Peripherals | SystemRegisters) -> None:
    read, write = registers.read, registers.write
    engine.mmio_map(
        base,
        size,
        lambda engine, offset, width, _: read(base + offset),
        None,
        lambda engine, offset, width, value, _: write(base + offset, value),
        None,
    )
