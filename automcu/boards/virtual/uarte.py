"""Nordic's UARTE: it fetches what it sends from RAM, and puts there what it receives.

nRF5340 Product Specification, UARTE chapter; the nRF52's has the same registers.
"""

from automcu.boards.virtual.memory import BoardMemory
from automcu.boards.virtual.polling import IdleLine
from automcu.boards.virtual.serial_line import Line

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
