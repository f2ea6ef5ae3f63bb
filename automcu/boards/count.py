"""Counting the cycles of one function or program, without a board and without a serial line."""

import threading
from io import BytesIO
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

from automcu.boards.flashing.image import code_flash
from automcu.boards.timing import Counts
from automcu.boards.virtual.machine import Ending, Machine
from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.recording_line import RecordingLine
from automcu.errors import BoardError, WrongInputError
from automcu.mcu.profile import Device
from automcu.records import Record

_ELF_MAGIC = b"\x7fELF"
_ORDERLY = (Ending.BOOT_LOADER, Ending.RESET, Ending.BREAKPOINT)


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
            outcome = machine.run(code_flash(device).address)
        else:
            outcome = machine.call(symbol_address(elf, entry), stack_top(device), arguments)
    finally:
        watchdog.cancel()
    if outcome.ending not in _ORDERLY:
        raise BoardError(
            f"The program did not end by itself: {outcome.ending.value} {outcome.description}. "
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
            for address in {section["sh_addr"], _load_address(elf, section)}:
                _load(memory, device, address, section.data())


def _load_address(elf: ELFFile, section: Section) -> int:
    for segment in elf.iter_segments("PT_LOAD"):
        if segment.section_in_segment(section):
            return int(segment["p_paddr"] + section["sh_offset"] - segment["p_offset"])
    return int(section["sh_addr"])


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
