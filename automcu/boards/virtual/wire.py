"""How the bytes of a serial line travel over TCP: bare, or with the line's settings beside them.

RFC 2217 carries baud rate, parity and the modem lines as Telnet options. pyserial's own server
side speaks it; here it stands in front of a port that exists only in software.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import serial
from serial.rfc2217 import M_NORMAL, PortManager

WireProtocol = Literal["socket", "rfc2217"]

_TELNET_COMMAND = b"\xff"
# Of a subnegotiation more than this is of no option: RFC 2217's longest value has four bytes, and
# only a signature is text.
_LONGEST_OPTION_BYTES = 256
# What PortManager raises where an option has no value, an impossible one, or ends before it began.
_MALFORMED = (TypeError, ValueError, KeyError, struct.error)

# Receivers sample in the middle of a bit: over ten bits, half a bit is what they can be off by.
_BAUD_RATE_TOLERANCE = 0.03


@dataclass(frozen=True, slots=True)
class LineSettings:
    """What the board's USART is set to; with no baud rate it measures the host's."""

    parity: str
    baud_rate: int | None = None

    def fit(self, parity: str, baud_rate: int) -> bool:
        """Whether bytes sent with other settings arrive."""
        if self.baud_rate is None:
            return parity == self.parity
        off = abs(baud_rate / self.baud_rate - 1)
        return parity == self.parity and off < _BAUD_RATE_TOLERANCE


# AN3155: the boot loader listens at 8E1, at the baud rate of the first byte.
BOOT_LOADER_SETTINGS = LineSettings(serial.PARITY_EVEN)


class Wire(Protocol):
    """One host's connection, from its first byte to its last."""

    def decode(self, received: bytes) -> bytes:
        """The line's bytes in what came from the host."""

    def encode(self, content: bytes) -> bytes:
        """The line's bytes as the host wants them."""


class BareWire:
    """pyserial's socket://: nothing but the line's bytes."""

    def decode(self, received: bytes) -> bytes:
        """The bytes themselves."""
        return received

    def encode(self, content: bytes) -> bytes:
        """The bytes themselves."""
        return content


class ResetPins:
    """Reset and BOOT0 behind the modem lines, wired as two transistors do on many boards.

    RTS without DTR holds the board in reset; when RTS lets go of it, DTR says whether BOOT0 is
    high. Both lines set, as when a port is opened, or neither, leave the board alone. It is the
    circuit of the ESP32 boards, which esptool's documentation shows ("Boot Mode Selection").
    """

    def __init__(self, on_reset: Callable[[bool], None]) -> None:
        self._on_reset = on_reset
        self._held = False
        self._rts = False
        self._dtr = False

    def set(self, rts: bool | None = None, dtr: bool | None = None) -> None:
        """Change modem lines; `on_reset(boot0)` is called when the board leaves reset."""
        self._rts = self._rts if rts is None else rts
        self._dtr = self._dtr if dtr is None else dtr
        if self._rts and not self._dtr:
            self._held = True
        elif self._held and not self._rts:
            self._held = False
            self._on_reset(self._dtr)


class Rfc2217Wire:
    """pyserial's rfc2217://: settings and modem lines travel beside the bytes.

    Bytes that the host sends with other settings than the board's are lost.
    """

    def __init__(
        self,
        answer: Callable[[bytes], None],
        pins: ResetPins,
        settings_of_board: Callable[[], LineSettings],
    ) -> None:
        self._settings_of_board = settings_of_board
        self._host = _SoftwarePort(pins)
        # Typed for a serial.Serial, of which it uses what these two have.
        port: Any = self._host
        connection: Any = _Connection(answer)
        self._manager = PortManager(port, connection)

    def decode(self, received: bytes) -> bytes:
        """Take the Telnet options out, and obey those that make sense."""
        if self._is_plain(received):
            return received if self._fits() else b""
        return b"".join(self._decode_byte(bytes((byte,))) for byte in received)

    def _is_plain(self, received: bytes) -> bool:
        manager = self._manager
        between_options = manager.mode == M_NORMAL and manager.suboption is None
        return between_options and _TELNET_COMMAND not in received

    def _decode_byte(self, byte: bytes) -> bytes:
        """One byte at a time, so that a malformed option costs nothing of what follows it."""
        manager: Any = self._manager  # a suboption is a bytearray, which no annotation says
        try:
            content = b"".join(manager.filter(byte))
        except _MALFORMED:
            manager.mode, manager.suboption = M_NORMAL, None
            return b""
        if manager.suboption is not None:
            del manager.suboption[_LONGEST_OPTION_BYTES:]
        return content if self._fits() else b""

    def encode(self, content: bytes) -> bytes:
        """Double the byte that would begin a Telnet command."""
        return content.replace(_TELNET_COMMAND, _TELNET_COMMAND * 2)

    def _fits(self) -> bool:
        return self._settings_of_board().fit(self._host.parity, self._host.baudrate)


class _Connection:
    """What PortManager writes its answers to."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


class _SoftwarePort:
    """What PortManager takes for the serial port, and sets as the host wants it."""

    def __init__(self, pins: ResetPins) -> None:
        self._pins = pins
        self.baudrate = 115_200
        self.bytesize = serial.EIGHTBITS
        self.parity = serial.PARITY_NONE
        self.stopbits = serial.STOPBITS_ONE
        self.xonxoff = False
        self.rtscts = False
        self.break_condition = False
        self.cts = self.dsr = self.cd = True
        self.ri = False

    @property
    def rts(self) -> bool:
        """Set only: PortManager never reads it."""
        return False

    @rts.setter
    def rts(self, state: bool) -> None:
        self._pins.set(rts=state)

    @property
    def dtr(self) -> bool:
        """Set only: PortManager never reads it."""
        return False

    @dtr.setter
    def dtr(self, state: bool) -> None:
        self._pins.set(dtr=state)

    def reset_input_buffer(self) -> None:
        """Nothing waits here: what the board sends goes on at once."""

    def reset_output_buffer(self) -> None:
        """Nothing waits here: what the host sends has arrived."""
