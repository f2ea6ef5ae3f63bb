"""Adding up cycles while Unicorn runs, in basic blocks and flash lines.

A block's static time is worked out when it is first executed: a virtual board holds a raw image, so
nothing tells code from literal pools until it runs. A block that is entered by going straight on is
timed in the light of the block before it; one that is jumped to starts with an empty pipeline.

A block's whole cost is added when it is entered, and the penalty of its last instruction when the
next block turns out not to be the one behind it. Where execution is stopped inside a block (the
virtual board does so at every access to the cycle counter), the part not executed is taken back, so
that the count is then exact to the instruction; only the stalls of flash lines that the block
reaches later stay counted already.

The flash, the same for every family with only the profile's figures differing: instruction fetches
and data reads each go through a fully associative cache of the profile's number of lines that
replaces the least recently used one. A line that is not held costs the wait states. On the
instruction side the next line is fetched ahead while the current one executes, so that going on to
it costs only the wait states that execution has not covered. Real caches differ in associativity
and replacement, and both sides share one flash; neither is modelled.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, Uc
from unicorn.arm_const import UC_ARM_REG_XPSR

from automcu.boards.timing.instruction import Instruction, InstructionTime, decode
from automcu.errors import WrongInputError
from automcu.mcu.core import core_named
from automcu.mcu.profile import Device
from automcu.records import Record


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


class LineCache:
    """Flash lines that need no access to the flash, the least recently used one leaving first.

    There is always room for one line: the buffer that every flash read fills.
    """

    def __init__(self, lines: int) -> None:
        self._capacity = max(1, lines)
        self._held: OrderedDict[int, None] = OrderedDict()

    def touch(self, line: int) -> bool:
        """Use `line`; return whether it was held already."""
        if line in self._held:
            self._held.move_to_end(line)
            return True
        if len(self._held) == self._capacity:
            self._held.popitem(last=False)
        self._held[line] = None
        return False


class FlashStalls:
    """Counts wait states, with the caches' state carried from access to access."""

    def __init__(self, model: FlashModel) -> None:
        self._model = model
        self._instructions = LineCache(model.instruction_lines)
        self._data = LineCache(model.data_lines)
        self._line: int | None = None
        self._cycles_in_line = 0

    def fetch(self, first_line: int, line_cycles: tuple[int, ...]) -> int:
        """Stalls for executing through consecutive lines, with the cycles spent in each."""
        stalls = 0
        for line, cycles in enumerate(line_cycles, first_line):
            if line != self._line:
                stalls += self._stall_entering(line)
                self._line = line
                self._cycles_in_line = 0
            self._cycles_in_line += cycles
        return stalls

    def read(self, address: int, size: int) -> int:
        """Stalls for a data read; 0 outside of flash."""
        first, last = self._model.line_at(address), self._model.line_at(address + size - 1)
        if first is None or last is None:
            return 0
        misses = sum(not self._data.touch(line) for line in range(first, last + 1))
        return misses * self._model.wait_states

    def _stall_entering(self, line: int) -> int:
        if self._instructions.touch(line):
            return 0
        if self._line is not None and line == self._line + 1:
            return max(0, self._model.wait_states - self._cycles_in_line)
        return self._model.wait_states


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


# ICI/IT bits of the XPSR (Armv7-M Architecture Reference Manual, DDI 0403, section B1.4.2).
IF_THEN_BITS = 0x0600FC00


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


class Accounting(Protocol):
    """Adds up cycles of the code that an engine runs between `attach` and `detach`."""

    def attach(self, engine: Uc) -> None:
        """Install the hooks. The engine must not be running."""

    def detach(self, engine: Uc) -> None:
        """Remove the hooks. The engine must not be running."""

    def stopped_at(self, address: int) -> bool:
        """The engine was stopped, `address` being next: take back what was not executed.

        Return whether that was inside of a block. (If it was behind one, it came there by its last
        instruction, whose penalty is due now.)
        """

    def counts(self) -> Counts:
        """Totals, the current block counted as a whole."""

    def block_address(self) -> int:
        """Where the current block starts."""

    def cycles_before_block(self) -> int:
        """The cycle count at the moment when the current block was entered."""


class PythonAccounting:
    """The accounting without a compiler; `native.NativeAccounting` gives the same numbers."""

    def __init__(self, timer: BlockTimer, flash: FlashModel) -> None:
        self._timer = timer
        self._flash = flash
        self._stalls = FlashStalls(flash)
        self._hooks: list[int] = []
        self._blocks: dict[tuple[Extent, bool], TimedBlock] = {}
        self._instructions = 0
        self._core_cycles = 0
        self._fetch_stalls = 0
        self._read_stalls = 0
        self._extent: Extent = (0, 0)
        self._continues = False
        self._cycles_before_block = 0
        self._taken_penalty = 0

    def attach(self, engine: Uc) -> None:
        """Install the hooks. The engine must not be running."""
        self._hooks = [engine.hook_add(UC_HOOK_BLOCK, self._on_block)]
        if self._flash.wait_states:
            for r in self._flash.ranges:
                last = r.address + r.size - 1
                self._hooks.append(
                    engine.hook_add(UC_HOOK_MEM_READ, self._on_read, None, r.address, last)
                )

    def detach(self, engine: Uc) -> None:
        """Remove the hooks. The engine must not be running."""
        for hook in self._hooks:
            engine.hook_del(hook)
        self._hooks = []

    def stopped_at(self, address: int) -> bool:
        """Take back what was not executed; see `Accounting`."""
        start, size = self._extent
        if not start <= address < start + size:
            if address != start + size:
                self._core_cycles += self._taken_penalty
                self._taken_penalty = 0
            return False
        instructions, cycles = self._timer.rest_of_block(self._extent, self._continues, address)
        self._instructions -= instructions
        self._core_cycles -= cycles
        self._extent = (start, address - start)
        self._taken_penalty = 0
        return True

    def counts(self) -> Counts:
        """Totals, the current block counted as a whole."""
        return Counts(
            instructions=self._instructions,
            core_cycles=self._core_cycles,
            fetch_stalls=self._fetch_stalls,
            read_stalls=self._read_stalls,
        )

    def block_address(self) -> int:
        """Where the current block starts."""
        return self._extent[0]

    def cycles_before_block(self) -> int:
        """The cycle count at the moment when the current block was entered."""
        return self._cycles_before_block

    def _on_block(self, engine: Uc, address: int, size: int, _: object) -> None:
        before = self._extent
        continues = before[0] + before[1] == address
        if not continues:
            self._core_cycles += self._taken_penalty
        self._extent = extent = (address, size)
        self._continues = continues
        block = self._blocks.get((extent, continues))
        if block is None:
            block = self._timer.block(extent, continues, before if before[1] else None)
            self._blocks[(extent, continues)] = block
        self._cycles_before_block = self._core_cycles + self._fetch_stalls + self._read_stalls
        self._instructions += block.instructions
        self._core_cycles += block.cycles
        self._taken_penalty = block.taken_penalty
        if block.line_cycles:
            self._fetch_stalls += self._stalls.fetch(block.first_line, block.line_cycles)

    def _on_read(
        self, engine: Uc, access: int, address: int, size: int, value: int, _: object
    ) -> None:
        self._read_stalls += self._stalls.read(address, size)
        leave_if_then_to_the_translation(engine)


def leave_if_then_to_the_translation(engine: Uc) -> None:
    """Undo what Unicorn 2.1.4 leaves behind when it calls a memory hook inside an IT block.

    It stores the IT bits so that the hook can see them. The translated block goes on without
    looking at them, but the next one would take its first instructions for conditional ones.
    """
    state = engine.reg_read(UC_ARM_REG_XPSR)
    if state & IF_THEN_BITS:
        engine.reg_write(UC_ARM_REG_XPSR, state & ~IF_THEN_BITS)
