"""The core's own registers at 0xE0000000: cycle counter, system timer, system control block.

Armv7-M Architecture Reference Manual (DDI 0403), chapters B3 and C1. There are no interrupts:
the firmware polls.
"""

from collections.abc import Mapping

from automcu.boards.virtual.cycle_counter import CycleCounter
from automcu.mcu.profile import Core

BASE = 0xE000_0000
SIZE = 0x0010_0000

_DWT_CTRL = 0xE000_1000
_DWT_CYCCNT = 0xE000_1004
_SYST_CSR = 0xE000_E010
_SYST_RVR = 0xE000_E014
_SYST_CVR = 0xE000_E018
_CPUID = 0xE000_ED00
_AIRCR = 0xE000_ED0C
_CCSIDR = 0xE000_ED80
_DEMCR = 0xE000_EDFC

_CYCCNTENA = 1 << 0
_TRCENA = 1 << 24
_SYSRESETREQ = 1 << 2
_VECTKEY = 0x05FA
_COMPARATORS = 4 << 28  # DWT_CTRL.NUMCOMP
_COUNTFLAG = 1 << 16
_TIMER_MASK = 0x00FF_FFFF
# While cycles are not counted, time passes only for a program that looks at the timer.
_CYCLES_PER_LOOK = 64

_IDENTITIES: Mapping[Core, int] = {
    "cortex-m4": 0x410F_C241,
    "cortex-m7": 0x411F_C272,
    "cortex-m33": 0x410F_D214,
}
# 4 KiB of data cache: four ways of 32 sets (Cortex-M7 TRM, DDI 0489, section 4.3.5)
_CACHE_SIZE = 0xF003_E019


class SystemResetError(Exception):
    """The program asked for a reset (AIRCR.SYSRESETREQ); it leaves the engine by this."""


class SystemRegisters:
    """What reads and writes between 0xE0000000 and 0xE00FFFFF do."""

    def __init__(self, core: Core, counter: CycleCounter, constants: Mapping[int, int]) -> None:
        self._counter = counter
        self._constants = {_CPUID: _IDENTITIES.get(core, 0), _CCSIDR: _CACHE_SIZE, **constants}
        self._registers: dict[int, int] = {}
        self._looks = 0
        self._timer_start = 0

    def read(self, address: int) -> int:
        """The 32-bit register at `address`."""
        if address == _DWT_CYCCNT:
            return self._counter.read()
        if address == _DWT_CTRL:
            return _COMPARATORS | (_CYCCNTENA if self._counter.enabled else 0)
        if address in (_SYST_CSR, _SYST_CVR):
            return self._read_timer(address)
        return self._constants.get(address, self._registers.get(address, 0))

    def write(self, address: int, value: int) -> None:
        """Write the 32-bit register at `address`.

        Raises:
            SystemResetError: that was a request to reset the system.
        """
        self._registers[address] = value
        if address == _DWT_CTRL:
            self._counter.switch(enabled=bool(value & _CYCCNTENA))
        elif address == _DEMCR:
            self._counter.switch(trace_enabled=bool(value & _TRCENA))
        elif address == _DWT_CYCCNT:
            self._counter.write(value)
        elif address == _SYST_CVR:
            self._timer_start = self._now()
        elif address == _AIRCR and value >> 16 == _VECTKEY and value & _SYSRESETREQ:
            raise SystemResetError

    def _read_timer(self, address: int) -> int:
        self._looks += 1
        period = (self._registers.get(_SYST_RVR, 0) & _TIMER_MASK) + 1
        elapsed = self._now() - self._timer_start
        if address == _SYST_CVR:
            return (-elapsed) % period
        flag = _COUNTFLAG if elapsed >= period else 0
        self._timer_start += elapsed // period * period
        return self._registers.get(_SYST_CSR, 0) | flag

    def _now(self) -> int:
        return self._counter.counts().cycles + self._looks * _CYCLES_PER_LOOK
