"""The flash as the core meets it: lines, wait states, and the small caches in front of it.

The model, the same for every family with only the profile's figures differing: instruction
fetches and data reads each go through a fully associative cache of the profile's number of lines
that replaces the least recently used one. A line that is not held costs the wait states. On the
instruction side the next line is fetched ahead while the current one executes, so that going on
to it costs only the wait states that execution has not covered. Real caches differ in
associativity and replacement, and both sides share one flash; neither is modelled.
"""

from collections import OrderedDict
from dataclasses import dataclass

from automcu.mcu.profile import Device


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
