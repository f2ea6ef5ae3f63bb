"""Memory-mapped registers of a virtual board: its peripherals, and the core's own.

Peripherals at 0x40000000 are the serial line, ready bits, and plain memory for the rest. The core's
registers at 0xE0000000 are cycle counter, system timer and system control block (Armv7-M
Architecture Reference Manual, DDI 0403, chapters B3 and C1). There are no interrupts: the firmware
polls.
"""

from collections.abc import Mapping

from unicorn import Uc

from automcu.boards.timing.accounting import Accounting, new_accounting
from automcu.boards.timing.blocks import NOTHING_COUNTED, Counts
from automcu.boards.virtual.memory import BoardMemory, virtual_registers
from automcu.boards.virtual.serial_line import Line
from automcu.mcu.core import Core
from automcu.mcu.family import UsartLayout, family_of
from automcu.mcu.profile import Device

RECEIVED_BIT = 1 << 5
TRANSMITTED_BITS = 1 << 7 | 1 << 6  # register empty, transmission complete
RECEIVER_BIT = 1 << 2
TRANSMITTER_BIT = 1 << 3


# Polls in a row, without a byte in or out, that show that the program waits for input. A
# transmitting program polls once for every byte.
_POLLS_BEFORE_FLUSH = 2
_POLL_S = 0.05


class IdleLine:
    """Tells waiting from working, and waits with the program: at most 50 ms a poll."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._polls = 0

    def busy(self) -> None:
        """A byte went in or out."""
        self._polls = 0

    def poll(self) -> None:
        """The program looked for a byte, and there is none."""
        self._polls += 1
        if self._polls >= _POLLS_BEFORE_FLUSH:
            self._line.flush()
            self._line.wait(_POLL_S)


class Usart:
    """Status and data registers on top of a serial line.

    Reading the status of an idle USART blocks until something arrives (at most 50 ms), so that a
    polling program does not keep the host's processor busy.
    """

    size = 0x400

    def __init__(self, layout: UsartLayout, line: Line) -> None:
        self._layout = layout
        self._line = line
        self._control = 0
        self._idle = IdleLine(line)

    def read(self, offset: int) -> int | None:
        """The value at a register offset; None for a register that is plain memory."""
        if offset == self._layout.status:
            return self._status()
        if offset == self._layout.receive:
            self._idle.busy()
            return self._line.take_byte()
        return None

    def write(self, offset: int, value: int) -> None:
        """Take what was written at a register offset."""
        if offset == self._layout.transmit:
            self._idle.busy()
            if self._is_on(TRANSMITTER_BIT):
                self._line.put(bytes((value & 0xFF,)))
        elif offset == self._layout.control:
            self._control = value

    def _status(self) -> int:
        status = TRANSMITTED_BITS | self._layout.always_set
        if not self._is_on(RECEIVER_BIT):
            return status
        if not self._line.has_input:
            self._idle.poll()
        return status | (RECEIVED_BIT if self._line.has_input else 0)

    def _is_on(self, direction_bit: int) -> bool:
        wanted = self._layout.enable_bit | direction_bit
        return self._control & wanted == wanted


_START_RECEIVING = 0x000
_START_SENDING = 0x008
_RECEIVED = 0x110
_SENT = 0x120
_ENABLE = 0x500
_RECEIVE_POINTER = 0x534
_RECEIVE_COUNT = 0x538
_SEND_POINTER = 0x544
_SEND_COUNT = 0x548

_IS_ON = 8


class Uarte:
    """Its registers on top of a serial line; all but events and tasks remember what is written."""

    size = 0x1000

    def __init__(self, line: Line, memory: BoardMemory) -> None:
        self._line = line
        self._memory = memory
        self._idle = IdleLine(line)
        self._registers: dict[int, int] = {}
        self._missing = 0
        self._received = b""

    def read(self, offset: int) -> int | None:
        """The value at a register offset; looking for bytes that are not there yet takes time."""
        if offset == _RECEIVED:
            self._receive()
            return int(bool(self._received) and not self._missing)
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Take what was written at a register offset."""
        self._registers[offset] = value
        if offset == _RECEIVED:
            self._received = b""
        elif offset == _START_RECEIVING:
            self._missing = self._registers.get(_RECEIVE_COUNT, 0)
        elif offset == _START_SENDING and self._is_on:
            self._send()

    @property
    def _is_on(self) -> bool:
        return self._registers.get(_ENABLE, 0) == _IS_ON

    def _receive(self) -> None:
        if not self._is_on or not self._missing:
            return
        if not self._line.has_input:
            self._idle.poll()
        while self._missing and self._line.has_input:
            self._idle.busy()
            self._received += bytes((self._line.take_byte(),))
            self._missing -= 1
        if self._received and not self._missing:
            self._memory.write(self._registers.get(_RECEIVE_POINTER, 0), self._received)

    def _send(self) -> None:
        self._idle.busy()
        pointer, count = (self._registers.get(r, 0) for r in (_SEND_POINTER, _SEND_COUNT))
        self._line.put(self._memory.read(pointer, count) or b"")
        self._registers[_SENT] = 1


PERIPHERAL_BASE = 0x4000_0000
PERIPHERAL_SIZE = 0x2000_0000


class Peripherals:
    """What reads and writes between 0x40000000 and 0x5FFFFFFF do."""

    def __init__(self, device: Device, line: Line, memory: BoardMemory) -> None:
        self._virtual = virtual = virtual_registers(device)
        self._serial = Usart(virtual.usart, line) if virtual.usart else Uarte(line, memory)
        self._serial_address = device.serial.address
        self._registers = dict(virtual.at_reset)
        self._constants = part_constants(device)

    def read(self, address: int) -> int:
        """The 32-bit register at `address`."""
        offset = address - self._serial_address
        if 0 <= offset < self._serial.size:
            value = self._serial.read(offset)
            if value is not None:
                return value
        if address in self._constants:
            return self._constants[address]
        return self._with_mirrored_bits(address, self._registers.get(address, 0))

    def write(self, address: int, value: int) -> None:
        """Write the 32-bit register at `address`."""
        offset = address - self._serial_address
        if 0 <= offset < self._serial.size:
            self._serial.write(offset, value)
        self._registers[address] = value

    def _with_mirrored_bits(self, address: int, value: int) -> int:
        for bits in self._virtual.mirrored.get(address, ()):
            mirrored = bits.mask << bits.shift
            value = value & ~mirrored | (value & bits.mask) << bits.shift
        return value | self._virtual.always_set.get(address, 0)


def part_constants(device: Device) -> dict[int, int]:
    """Registers that tell what part this is: DBGMCU_IDCODE, by its address."""
    address = family_of(device).id_register
    if address is None:
        return {}
    return {address: device.flashing.bootloader_device_id or 0}


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


CORE_BASE = 0xE000_0000
CORE_SIZE = 0x0010_0000

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


class SystemResetError(Exception):
    """The program asked for a reset (AIRCR.SYSRESETREQ); it leaves the engine by this."""


class SystemRegisters:
    """What reads and writes between 0xE0000000 and 0xE00FFFFF do."""

    def __init__(self, core: Core, counter: CycleCounter, constants: Mapping[int, int]) -> None:
        self._counter = counter
        self._constants = {_CPUID: core.cpuid, _CCSIDR: core.cache_size or 0, **constants}
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
