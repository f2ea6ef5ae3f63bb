"""The one USART that a virtual board's firmware talks through."""

from automcu.boards.virtual.families import (
    RECEIVED_BIT,
    RECEIVER_BIT,
    TRANSMITTED_BITS,
    TRANSMITTER_BIT,
    UsartLayout,
)
from automcu.boards.virtual.polling import IdleLine
from automcu.boards.virtual.serial_line import Line


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
