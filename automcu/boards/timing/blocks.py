"""Static times of basic blocks, decoded by Capstone, and the flash that they are fetched from.

A block's time is worked out when it is first executed: a virtual board holds a raw image, so
nothing tells code from literal pools until it runs. A block that is entered by going straight on is
timed in the light of the block before it; one that is jumped to starts with an empty pipeline.

The flash is the same for every family, with only the profile's figures differing: instruction
fetches and data reads each go through a fully associative cache of the profile's number of lines
that replaces the least recently used one. A line that is not held costs the wait states. On the
instruction side the next line is fetched ahead while the current one executes, so that going on to
it costs only the wait states that execution has not covered. Real caches differ in associativity
and replacement, and both sides share one flash; neither is modelled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module

import capstone
from capstone import arm

from automcu.errors import WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.profile import Device
from automcu.records import Record


class Kind(Enum):
    """What an instruction occupies in the pipeline."""

    ALU = "alu"
    LOAD = "load"
    STORE = "store"
    BRANCH = "branch"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    FLOAT = "float"
    IF_THEN = "if-then"


def operations(text: str) -> frozenset[str]:
    """A set of mnemonics, written as they would be listed in a manual."""
    return frozenset(text.split())


_LOADS = operations("ldr ldrb ldrh ldrsb ldrsh ldrd ldm ldmdb pop vldr vldmia vldmdb vpop ldrex")
_STORES = operations("str strb strh strd stm stmdb push vstr vstmia vstmdb vpush")
_BRANCHES = operations("b bl blx bx cbz cbnz tbb tbh")
_MULTIPLY_STEMS = operations(
    "mul mla mls smla smul smm smlal umlal umull smull smua smus smls umaal usad"
)
_CONDITIONS = operations("eq ne hs lo cs cc mi pl vs vc hi ls ge lt gt le")
_UNCONDITIONAL = (arm.ARM_CC_AL, arm.ARM_CC_INVALID)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. Registers are Capstone's numbers.

    `operation` is the mnemonic without width and condition. `registers` are the register operands
    in order (a register list counts each), `address_registers` those that form a memory address.
    `target` is where a branch with an immediate operand goes.
    """

    address: int
    size: int
    operation: str
    kind: Kind
    registers: tuple[int, ...]
    address_registers: frozenset[int]
    reads: frozenset[int]
    writes: frozenset[int]
    target: int | None

    @property
    def end(self) -> int:
        """Address of the instruction behind this one."""
        return self.address + self.size

    @property
    def writes_pc(self) -> bool:
        """Whether it can leave the straight line."""
        return arm.ARM_REG_PC in self.writes


FLAGS = arm.ARM_REG_CPSR
PROGRAM_COUNTER = arm.ARM_REG_PC


@dataclass(frozen=True, slots=True)
class InstructionTime:
    """Cycles that an instruction adds, and those that it adds on top when it leaves the line."""

    cycles: int
    taken_penalty: int


def decode(code: bytes, address: int) -> list[Instruction]:
    """Decode Thumb code that lies at `address`.

    Halfwords that are no instruction count as one ALU instruction each, so that the result always
    covers all of `code`.
    """
    instructions: list[Instruction] = []
    position = 0
    while position < len(code):
        for decoded in _disassembler().disasm(code[position:], address + position):
            instructions.append(_instruction(decoded))
            position += decoded.size
        if position < len(code):
            instructions.append(_unknown(address + position))
            position += 2
    return instructions


def straight_lines(instructions: Sequence[Instruction]) -> list[bool]:
    """For each instruction whether it directly follows the one before it in memory."""
    return [
        index > 0 and instructions[index - 1].end == instruction.address
        for index, instruction in enumerate(instructions)
    ]


@cache
def _disassembler() -> capstone.Cs:
    disassembler = capstone.Cs(
        capstone.CS_ARCH_ARM,
        capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS,
    )
    disassembler.detail = True
    return disassembler


def _instruction(decoded: capstone.CsInsn) -> Instruction:
    operation = _operation(decoded)
    reads, writes = decoded.regs_access()
    operands = decoded.operands
    memory = [operand.mem for operand in operands if operand.type == arm.ARM_OP_MEM]
    immediates = [operand.imm for operand in operands if operand.type == arm.ARM_OP_IMM]
    kind = _kind(operation)
    return Instruction(
        address=decoded.address,
        size=decoded.size,
        operation=operation,
        kind=kind,
        registers=tuple(o.reg for o in operands if o.type == arm.ARM_OP_REG),
        address_registers=frozenset(
            register for part in memory for register in (part.base, part.index) if register
        ),
        reads=frozenset(reads),
        writes=frozenset(writes),
        target=immediates[-1] if kind is Kind.BRANCH and immediates else None,
    )


def _unknown(address: int) -> Instruction:
    nothing: frozenset[int] = frozenset()
    return Instruction(address, 2, "unknown", Kind.ALU, (), nothing, nothing, nothing, None)


def _operation(decoded: capstone.CsInsn) -> str:
    mnemonic: str = decoded.mnemonic.partition(".")[0]
    if decoded.cc not in _UNCONDITIONAL and mnemonic[-2:] in _CONDITIONS:
        return mnemonic[:-2]
    return mnemonic


def _kind(operation: str) -> Kind:
    if operation in _LOADS:
        return Kind.LOAD
    if operation in _STORES:
        return Kind.STORE
    if operation in _BRANCHES:
        return Kind.BRANCH
    if operation.startswith("v"):
        return Kind.FLOAT
    if operation.startswith(tuple(_MULTIPLY_STEMS)):
        return Kind.MULTIPLY
    if operation in ("sdiv", "udiv"):
        return Kind.DIVIDE
    if operation.startswith("it"):
        return Kind.IF_THEN
    return Kind.ALU


@dataclass(frozen=True, slots=True)
class FlashRange:
    """A stretch of addresses at which flash lines appear, `first_line` at `address`."""

    address: int
    size: int
    first_line: int


@dataclass(frozen=True, slots=True)
class FlashModel:
    """Where flash is and what reading it costs. No wait states: nothing below is ever looked at."""

    ranges: tuple[FlashRange, ...]
    line_bytes: int
    wait_states: int
    instruction_lines: int
    data_lines: int

    @property
    def lines(self) -> int:
        """How many lines all the flash has."""
        return max((r.first_line + r.size // self.line_bytes for r in self.ranges), default=0)

    def line_at(self, address: int) -> int | None:
        """The number of the flash line that holds `address`, None outside of flash."""
        for r in self.ranges:
            if r.address <= address < r.address + r.size:
                return r.first_line + (address - r.address) // self.line_bytes
        return None


def flash_model(device: Device) -> FlashModel:
    """The model with the profile's figures; regions of kind "flash" are what has wait states."""
    timing = device.flash_timing
    ranges = []
    first_line = 0
    for region in device.memory:
        if region.kind == "flash":
            ranges.append(FlashRange(region.address, region.size, first_line))
            first_line += region.size // timing.line_bytes
    return FlashModel(
        ranges=tuple(ranges),
        line_bytes=timing.line_bytes,
        wait_states=timing.wait_states,
        instruction_lines=timing.instruction_lines,
        data_lines=timing.data_lines,
    )


TimeInstructions = Callable[[Sequence[Instruction]], list[InstructionTime]]

Extent = tuple[int, int]  # address and size in bytes


@dataclass(frozen=True, slots=True)
class TimedBlock:
    """What executing a block costs, from its first to its last instruction.

    `line_cycles` are the cycles spent in each flash line from `first_line` on; empty when the
    block is not in flash that has wait states.
    """

    instructions: int
    cycles: int
    taken_penalty: int
    first_line: int
    line_cycles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Timing:
    """Where each instruction of a block starts and what it costs, and where the block ends."""

    addresses: tuple[int, ...]
    times: tuple[InstructionTime, ...]
    end: int


class BlockTimer:
    """Times blocks of the code in one memory, each once."""

    def __init__(
        self, read_memory: Callable[[int, int], bytes], core: str, flash: FlashModel
    ) -> None:
        self._read_memory = read_memory
        self._time_instructions = _rules(core)
        self._flash = flash
        self._timings: dict[tuple[Extent, bool], _Timing] = {}
        self._blocks: dict[tuple[Extent, bool], TimedBlock] = {}

    def block(self, extent: Extent, continues: bool, before: Extent | None) -> TimedBlock:
        """The block at `extent`; `before` is the block that it continues, if it does."""
        key = (extent, continues)
        if key not in self._blocks:
            self._timings[key] = self._time(extent, before if continues else None)
            self._blocks[key] = self._summary(self._timings[key])
        return self._blocks[key]

    def rest_of_block(self, extent: Extent, continues: bool, address: int) -> tuple[int, int]:
        """Instructions and cycles of a block that was timed before, from `address` on."""
        timing = self._timings[(extent, continues)]
        rest = [
            time.cycles
            for start, time in zip(timing.addresses, timing.times, strict=True)
            if start >= address
        ]
        return len(rest), sum(rest)

    def _time(self, extent: Extent, before: Extent | None) -> _Timing:
        """Decoding both blocks in one go also carries an IT block over from one to the other."""
        address, size = extent
        start = before[0] if before else address
        line = decode(self._read_memory(start, address + size - start), start)
        if all(instruction.address != address for instruction in line):
            return self._time(extent, None)  # the block before holds what cannot be decoded
        timed = [
            (instruction.address, time)
            for instruction, time in zip(line, self._time_instructions(line), strict=True)
            if instruction.address >= address
        ]
        return _Timing(tuple(a for a, _ in timed), tuple(t for _, t in timed), address + size)

    def _summary(self, timing: _Timing) -> TimedBlock:
        first_line, line_cycles = self._line_cycles(timing)
        return TimedBlock(
            instructions=len(timing.addresses),
            cycles=sum(time.cycles for time in timing.times),
            taken_penalty=timing.times[-1].taken_penalty,
            first_line=first_line,
            line_cycles=line_cycles,
        )

    def _line_cycles(self, timing: _Timing) -> tuple[int, tuple[int, ...]]:
        """The flash lines that a block is fetched from, and the cycles spent in each."""
        first = self._flash.line_at(timing.addresses[0])
        last = self._flash.line_at(timing.end - 1)
        if self._flash.wait_states == 0 or first is None or last is None:
            return 0, ()
        cycles = [0] * (last - first + 1)
        for address, time in zip(timing.addresses, timing.times, strict=True):
            line = self._flash.line_at(address)
            if line is not None:
                cycles[line - first] += time.cycles
        return first, tuple(cycles)


def _rules(core: str) -> TimeInstructions:
    """The timing rules of a core that Unicorn runs."""
    rules = import_module(f"automcu.boards.timing.{core_named(core).timing_rules}")
    if not hasattr(rules, "time_instructions"):
        raise WrongInputError(
            f"There are no timing rules for {core}. Measure on the board itself instead."
        )
    time: TimeInstructions = rules.time_instructions
    return time


class Counts(Record):
    """Totals since the accounting began. Their sum without `instructions` is the cycle count."""

    instructions: int
    core_cycles: int
    fetch_stalls: int
    read_stalls: int

    @property
    def cycles(self) -> int:
        """Cycles with the flash's wait states."""
        return self.core_cycles + self.fetch_stalls + self.read_stalls


NOTHING_COUNTED = Counts(instructions=0, core_cycles=0, fetch_stalls=0, read_stalls=0)
