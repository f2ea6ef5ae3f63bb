"""DWT_CYCCNT, fed by the timing model, which works only while the counter is on.

Counting costs time, so the hooks are in the engine only between the program's setting and
clearing of CYCCNTENA. A hook takes effect on code that is translated after it was installed.
Switching therefore means: stop at the instruction that switches, change the hooks, discard all
translated code, and execute that instruction again, which then changes nothing any more.

A read of the counter stops the engine in the same way: only a stopped engine knows which
instruction it is at, and a block that begins at the reading instruction has added nothing yet.
Inside an IT block Unicorn cannot stop; there the value is that of the block's beginning.
"""

from unicorn import Uc

from automcu.boards.timing import NOTHING_COUNTED, Accounting, Counts, new_accounting
from automcu.mcu.profile import Device

_WORD = 0xFFFF_FFFF


class CycleCounter:
    """The counter's state, and the accounting behind it."""

    def __init__(self, engine: Uc, device: Device) -> None:
        self._engine = engine
        self._device = device
        self._accounting: Accounting | None = None
        self._attached = False
        self._asked_at: int | None = None
        self._offset = 0
        self._wants_exact_place = False
        self.enabled = False
        self.trace_enabled = False

    def switch(self, enabled: bool | None = None, trace_enabled: bool | None = None) -> None:
        """Set CYCCNTENA (of DWT_CTRL) or TRCENA (of DEMCR); the counter runs while both are set."""
        self.enabled = self.enabled if enabled is None else enabled
        self.trace_enabled = self.trace_enabled if trace_enabled is None else trace_enabled
        if self._runs != self._attached:
            self._engine.emu_stop()

    def read(self) -> int:
        """The counter as the executing instruction sees it."""
        return (self._cycles_so_far() + self._offset) & _WORD

    def write(self, value: int) -> None:
        """Set the counter."""
        self._offset = value - self._cycles_so_far()

    def stopped_at(self, address: int) -> None:
        """The engine stands still before the instruction at `address`: settle what is due."""
        if self._accounting is not None and self._attached:
            inside = self._accounting.stopped_at(address)
            self._asked_at = address if inside and self._wants_exact_place else None
        self._wants_exact_place = False
        if self._runs != self._attached:
            self._switch_hooks()

    def counts(self) -> Counts:
        """What was counted since reset, the current block as a whole."""
        return self._accounting.counts() if self._accounting is not None else NOTHING_COUNTED

    @property
    def _runs(self) -> bool:
        return self.enabled and self.trace_enabled

    def _cycles_so_far(self) -> int:
        """Cycles up to the executing instruction, which stops once to find out where it is."""
        if self._accounting is None:
            return 0
        if not self._attached:
            return self._accounting.counts().cycles
        if self._asked_at == self._accounting.block_address():
            self._asked_at = None
        else:
            self._wants_exact_place = True
            self._engine.emu_stop()
        return self._accounting.cycles_before_block()

    def _switch_hooks(self) -> None:
        if self._accounting is None:
            self._accounting = new_accounting(self._engine, self._device)
        if self._runs:
            self._accounting.attach(self._engine)
        else:
            self._accounting.detach(self._engine)
        self._attached = self._runs
        self._engine.ctl_flush_tb()
