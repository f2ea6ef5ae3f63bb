"""The accounting of cycles in plain Python: slow, and the oracle for the one in C."""

from collections import OrderedDict

from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, Uc
from unicorn.arm_const import UC_ARM_REG_XPSR

from automcu.boards.timing.blocks import (
    BlockTimer,
    Counts,
    Extent,
    FlashModel,
    TimedBlock,
    flash_model,
)
from automcu.mcu import Device

# ICI/IT bits of the XPSR (Armv7-M Architecture Reference Manual, DDI 0403, section B1.4.2).
IF_THEN_BITS = 0x0600FC00


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


class PythonAccounting:
    """What `automcu.boards.timing.accounting.Accounting` must count, without its C."""

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


def new_python_accounting(engine: Uc, device: Device) -> PythonAccounting:
    """In place of `accounting.new_accounting`."""
    flash = flash_model(device)
    timer = BlockTimer(lambda a, n: bytes(engine.mem_read(a, n)), device.core, flash)
    return PythonAccounting(timer, flash)
