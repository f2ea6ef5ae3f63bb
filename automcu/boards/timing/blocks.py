"""Static times of basic blocks, worked out when a block is first executed.

A virtual board holds a raw image, so nothing tells code from literal pools until it runs. A block
that is entered by going straight on is timed in the light of the block before it; one that is
jumped to starts with an empty pipeline.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from automcu.boards.timing import cortex_m4, cortex_m7
from automcu.boards.timing.flash import FlashModel
from automcu.boards.timing.instruction import Instruction, InstructionTime, decode
from automcu.errors import WrongInputError
from automcu.mcu.profile import Core

TimeInstructions = Callable[[Sequence[Instruction]], list[InstructionTime]]

# Zero-wait nRF5340 (Cortex-M33) latencies came out within 5 % with the Cortex-M4's rules.
RULES: dict[Core, TimeInstructions] = {
    "cortex-m4": cortex_m4.time_instructions,
    "cortex-m7": cortex_m7.time_instructions,
    "cortex-m33": cortex_m4.time_instructions,
}

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
        self, read_memory: Callable[[int, int], bytes], core: Core, flash: FlashModel
    ) -> None:
        if core not in RULES:
            raise WrongInputError(
                f"There are no timing rules for {core}. Measure on the board itself instead."
            )
        self._read_memory = read_memory
        self._time_instructions = RULES[core]
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
