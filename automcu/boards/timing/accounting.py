"""Adding up cycles while Unicorn runs: what every way of doing it offers, and the one in Python.

The unit is the basic block: its whole cost is added when it is entered, and the penalty of its
last instruction when the next block turns out not to be the one behind it. Where execution is
stopped inside a block (the virtual board does so at every access to the cycle counter), the part
not executed is taken back, so that the count is then exact to the instruction; only the stalls of
flash lines that the block reaches later stay counted already.
"""

from typing import Protocol

from unicorn import UC_HOOK_BLOCK, UC_HOOK_MEM_READ, Uc
from unicorn.arm_const import UC_ARM_REG_XPSR

from automcu.boards.timing.blocks import BlockTimer, Extent, TimedBlock
from automcu.boards.timing.flash import FlashModel, FlashStalls
from automcu.records import Record

# ICI/IT bits of the XPSR (Armv7-M Architecture Reference Manual, DDI 0403, section B1.4.2).
IF_THEN_BITS = 0x0600FC00


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
