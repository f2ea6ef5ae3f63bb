"""One run of a program on a virtual board: from reset to a fault, a reset, or the boot loader.

One function can be run by itself too, to count its cycles without a board or a serial line.
"""

import threading
from enum import Enum
from io import BytesIO
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from unicorn import (
    UC_HOOK_MEM_INVALID,
    Uc,
    UcError,
)
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_R1,
    UC_ARM_REG_R2,
    UC_ARM_REG_R3,
    UC_ARM_REG_SP,
)

from automcu.boards.timing.blocks import Counts
from automcu.boards.virtual.memory import BoardMemory, new_engine
from automcu.boards.virtual.registers import (
    CORE_BASE,
    CORE_SIZE,
    PERIPHERAL_BASE,
    PERIPHERAL_SIZE,
    CycleCounter,
    Peripherals,
    SystemRegisters,
    SystemResetError,
    part_constants,
)
from automcu.boards.virtual.serial_line import Line, RecordingLine
from automcu.errors import BoardError, WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.profile import Device, code_flash
from automcu.records import Record
from automcu.toolchains.build import load_address

# Unicorn wants an address to stop at; nothing is mapped at this one.
_NOWHERE = 0xFFFF_FFFE
_THUMB = 1
_BREAKPOINT = 0xBE  # the high byte of BKPT's encoding (DDI 0403, section A7.7.17)
_SLEEPS = (b"\x30\xbf", b"\x20\xbf")  # WFI and WFE, at which Unicorn stops
_SLEEP_S = 0.05
_ARGUMENT_REGISTERS = (UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3)


class ExitKind(Enum):
    """How a run of a program ended."""

    BOOT_LOADER = "it jumped into the boot loader"
    RESET = "it reset the system"
    FAULT = "it faulted"
    BREAKPOINT = "it came to a BKPT instruction, and no debugger is there"
    STOPPED = "it was stopped"


class Exit(Record):
    """How a run of a program ended, and for a fault, where and why."""

    kind: ExitKind
    description: str = ""


class Machine:
    """Core, memory and peripherals, just out of reset."""

    def __init__(self, device: Device, memory: BoardMemory, line: Line) -> None:
        self._memory = memory
        self._line = line
        self._engine = new_engine(device, memory)
        self._counter = CycleCounter(self._engine, device)
        self._peripherals = Peripherals(device, line, memory)
        constants = part_constants(device)
        self._system = SystemRegisters(core_named(device.core), self._counter, constants)
        self._bad_address: int | None = None
        self._stopped = False
        self._map_registers()

    def run(self, vector_table: int) -> Exit:
        """Start the program at `vector_table` as reset does, and stay with it to its end."""
        vectors = self._memory.read(vector_table, 8) or bytes(8)
        self._engine.reg_write(UC_ARM_REG_SP, int.from_bytes(vectors[:4], "little"))
        return self._execute(int.from_bytes(vectors[4:], "little"))

    def call(self, function: int, stack_top: int, arguments: tuple[int, ...] = ()) -> Exit:
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
        """End the run from another thread."""
        self._stopped = True
        self._engine.emu_stop()

    def _execute(self, address: int) -> Exit:
        engine = self._engine
        self._counter.stopped_at(address & ~_THUMB)
        while not self._stopped:
            try:
                engine.emu_start(address | _THUMB, _NOWHERE)
            except SystemResetError:
                return Exit(kind=ExitKind.RESET)
            except UcError as error:
                return self._exit_by(error)
            address = engine.reg_read(UC_ARM_REG_PC)
            self._counter.stopped_at(address)
            if self._memory.read(address - 2, 2) in _SLEEPS:
                self._sleep()
        return Exit(kind=ExitKind.STOPPED)

    def _sleep(self) -> None:
        """Wait for what could wake a polling program: there are no interrupts."""
        self._line.flush()
        if not self._line.has_input:
            self._line.wait(_SLEEP_S)

    def _exit_by(self, error: UcError) -> Exit:
        address = self._engine.reg_read(UC_ARM_REG_PC)
        self._counter.stopped_at(address)
        if self._memory.in_rom(address):
            return Exit(kind=ExitKind.BOOT_LOADER)
        if (self._memory.read(address, 2) or b"\0\0")[1] == _BREAKPOINT:
            return Exit(kind=ExitKind.BREAKPOINT, description=f"BKPT at {address:#010x}")
        description = f"{error} at {address:#010x}"
        if self._bad_address is not None:
            description += f", on an access to {self._bad_address:#010x}"
        caller = self._engine.reg_read(UC_ARM_REG_LR)
        return Exit(kind=ExitKind.FAULT, description=f"{description} (LR {caller:#010x})")

    def _map_registers(self) -> None:
        engine = self._engine
        for base, size, registers in (
            (PERIPHERAL_BASE, PERIPHERAL_SIZE, self._peripherals),
            (CORE_BASE, CORE_SIZE, self._system),
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


_ELF_MAGIC = b"\x7fELF"
_ORDERLY = (ExitKind.BOOT_LOADER, ExitKind.RESET, ExitKind.BREAKPOINT)


class CycleCount(Record):
    """Modelled cycles of one run, from empty caches: `core_cycles` as if flash never waited.

    `result` is the function's return value (register r0), `output` what it sent to its USART.
    """

    instructions: int
    core_cycles: int
    cycles: int
    fetch_stalls: int
    read_stalls: int
    result: int
    output: bytes


def count_cycles(
    program: Path | bytes,
    device: Device,
    entry: str | int | None = None,
    arguments: tuple[int, ...] = (),
    timeout_s: float = 60.0,
) -> CycleCount:
    """Run `program` on a modelled `device` and count.

    `program` is an ELF file, or a raw image for the start of flash. With `entry`, a symbol (ELF
    only) or an address, that function is called with up to four integer `arguments` until it
    returns; its data segments are loaded, but no start-up code runs. Without, the program starts
    at its reset vector and ends when it comes to a BKPT instruction or resets.

    Raises:
        WrongInputError: it does not fit into the device's memory, or has no such symbol.
        BoardError: it faulted, or did not end in time.
    """
    content = program if isinstance(program, bytes) else _read(program)
    elf = ELFFile(BytesIO(content)) if content.startswith(_ELF_MAGIC) else None
    memory = BoardMemory(device)
    if elf is None:
        _load(memory, device, code_flash(device).address, content)
    else:
        load_sections(memory, device, elf)
    line = RecordingLine()
    machine = Machine(device, memory, line)
    machine.count_from_the_start()
    watchdog = threading.Timer(timeout_s, machine.stop)
    watchdog.start()
    try:
        if entry is None:
            end = machine.run(code_flash(device).address)
        else:
            end = machine.call(symbol_address(elf, entry), stack_top(device), arguments)
    finally:
        watchdog.cancel()
    if end.kind not in _ORDERLY:
        raise BoardError(
            f"The program did not end by itself: {end.kind.value} {end.description}. "
            "Mend the program, or give it more time."
        )
    return _cycle_count(machine.counts(), machine.result(), bytes(line.sent))


def _cycle_count(counts: Counts, result: int, output: bytes) -> CycleCount:
    return CycleCount(
        instructions=counts.instructions,
        core_cycles=counts.core_cycles,
        cycles=counts.cycles,
        fetch_stalls=counts.fetch_stalls,
        read_stalls=counts.read_stalls,
        result=result,
        output=output,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Build the program first."
        ) from error


def load_sections(memory: BoardMemory, device: Device, elf: ELFFile) -> None:
    """Load initialised data both where it is stored and where start-up code would copy it to.

    By section, because some linkers' segments hold file headers as well.
    """
    for section in elf.iter_sections("SHT_PROGBITS"):
        if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section["sh_size"]:
            for address in {section["sh_addr"], load_address(elf, section)}:
                _load(memory, device, address, section.data())


def _load(memory: BoardMemory, device: Device, address: int, content: bytes) -> None:
    if not memory.write(address, content):
        raise WrongInputError(
            f"The program has {len(content)} bytes at {address:#010x}, where the {device.name} has "
            "no memory for them. Link it for this device."
        )


def symbol_address(elf: ELFFile | None, entry: str | int) -> int:
    """The address of a symbol, or the address itself.

    Raises:
        WrongInputError: there is no such symbol.
    """
    if isinstance(entry, int):
        return entry
    table = elf.get_section_by_name(".symtab") if elf is not None else None
    symbols = table.get_symbol_by_name(entry) if table is not None else None
    if not symbols:
        raise WrongInputError(
            f"The program has no symbol {entry!r}. Give an ELF file that is not stripped."
        )
    return int(symbols[0]["st_value"])


def stack_top(device: Device) -> int:
    """Where a stack of the device's may begin."""
    stack = device.region_for("stack")
    return stack.address + stack.size
