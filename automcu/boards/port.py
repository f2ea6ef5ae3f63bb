"""A serial port under any pyserial URL, with deadlines, and with errors that say what to do.

Real ports, `socket://`, `rfc2217://`, `loop://`, `spy://` and pseudo-terminals all pass through
here. Not all of them can do parity or modem lines: those that cannot are used without.
"""

import errno
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

import serial
from serial.tools import list_ports

from automcu.errors import BoardError

if sys.platform == "win32":
    _TERMINAL_ERRORS: tuple[type[Exception], ...] = ()
else:
    import termios

    _TERMINAL_ERRORS = (termios.error,)  # which is not an OSError

Parity = Literal["none", "even"]

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN}
# How long one read of the driver may block. Deadlines are kept by asking again, because changing
# a port's own timeout renegotiates every setting over rfc2217.
_TICK_S = 0.05
_BULK_BYTES = 4096
_WRITE_TIMEOUT_S = 10.0
_BITS_PER_BYTE = 11
_RESET_PULSE_S = 0.1
_REFUSALS = (OSError, ValueError, serial.SerialException, *_TERMINAL_ERRORS)


class Port:
    """An open byte stream to a board."""

    def __init__(self, url: str, driver: serial.Serial) -> None:
        self.url = url
        self._driver = driver
        # pyserial says of a socket only whether anything has arrived, not how much.
        self._is_socket = url.startswith("socket://")

    @property
    def seconds_per_byte(self) -> float:
        """How long a byte takes on the line, start, parity and stop bits included."""
        return _BITS_PER_BYTE / float(self._driver.baudrate)

    def read(self, count: int, timeout_s: float) -> bytes:
        """Return `count` bytes, or fewer when `timeout_s` has passed.

        Raises:
            BoardError: the connection is gone.
        """
        deadline = time.monotonic() + timeout_s
        received = bytearray(self._read_some(count))
        while len(received) < count and time.monotonic() < deadline:
            received += self._read_some(count - len(received))
        return bytes(received)

    def read_available(self) -> bytes:
        """Return what has arrived, waiting a moment for the first byte; possibly nothing."""
        try:
            waiting = self._driver.in_waiting
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error
        received = self._read_some(max(1, waiting))
        if received and self._is_socket:
            self._driver.timeout = 0
            received += self._read_some(_BULK_BYTES)
            self._driver.timeout = _TICK_S
        return received

    def write(self, content: bytes) -> None:
        """Send all of `content`.

        Raises:
            BoardError: the connection is gone, or the other side takes no bytes any more.
        """
        try:
            self._driver.write(content)
        except serial.SerialTimeoutException as error:
            raise BoardError(
                f"{self.url} takes no bytes any more. "
                "Unplug the board, plug it in again and repeat the command."
            ) from error
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def discard_input(self) -> None:
        """Forget what has arrived so far."""
        try:
            self._driver.reset_input_buffer()
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def use_parity(self, parity: Parity) -> None:
        """Switch to 8E1 or 8N1; a port that cannot do parity stays as it is."""
        if self._driver.parity != _PARITY[parity]:
            _set_parity_if_possible(self._driver, parity)

    def reset_board(self, boot0: bool) -> None:
        """Pulse the reset pin, with BOOT0 high or low when the board comes out of reset.

        This needs the usual two transistors between DTR, RTS and the board's pins; without them,
        or on a port without modem lines, nothing happens.
        """
        try:
            for rts, dtr in ((True, False), (False, boot0), (False, False)):
                # The line that keeps both from being set for a moment goes first.
                self._driver.dtr = dtr
                self._driver.rts = rts
                time.sleep(_RESET_PULSE_S)
        except _REFUSALS:
            return

    def close(self) -> None:
        """Close the port; closing twice does no harm."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read_some(self, count: int) -> bytes:
        try:
            return bytes(self._driver.read(count))
        except (OSError, serial.SerialException) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> BoardError:
        return BoardError(
            f"The connection to the board at {self.url} is gone ({error}): its cable was pulled, "
            "or it reset. Check the cable and repeat the command."
        )


def open_port(url: str, baud_rate: int, parity: Parity = "none") -> Port:
    """Open a serial port: a device such as /dev/ttyACM0 or COM3, or any pyserial URL.

    Raises:
        BoardError: there is no such port, another program uses it, or it may not be used.
    """
    try:
        driver = serial.serial_for_url(url, do_not_open=True)
        driver.baudrate = baud_rate
        driver.timeout = _TICK_S
        if not url.startswith("rfc2217://"):  # which knows no such thing
            driver.write_timeout = _WRITE_TIMEOUT_S
        if "://" not in url:
            driver.exclusive = True
        driver.open()
    except _REFUSALS as error:
        raise _why_not_open(url, error) from error
    _set_parity_if_possible(driver, parity)
    return Port(url, driver)


def _set_parity_if_possible(driver: serial.Serial, parity: Parity) -> None:
    """Set the parity, or leave it: sockets ignore it and pseudo-terminals refuse it (EINVAL)."""
    before = driver.parity
    try:
        driver.parity = _PARITY[parity]
    except _REFUSALS:
        driver.parity = before


def _why_not_open(url: str, error: Exception) -> BoardError:
    number = next((n for e in _causes(error) if (n := getattr(e, "errno", None))), None)
    if isinstance(error, ValueError):
        return BoardError(f"{url} is not a serial port or a URL that pyserial knows. {_known()}")
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return BoardError(f"There is no port {url}. {_known()}")
    if number in (errno.EACCES, errno.EPERM):
        return BoardError(
            f"The port {url} may not be opened (permission denied). On Linux, add yourself to its "
            "group: sudo usermod -aG dialout $USER, then log in again."
        )
    if number in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        return BoardError(
            f"Another program uses the port {url}. Close it: it may be a serial monitor."
        )
    if number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ETIMEDOUT):
        return BoardError(
            f"Nothing listens at {url}. "
            "Start the virtual board or the port server there, or check the address."
        )
    return BoardError(f"The port {url} cannot be opened ({error}). {_known()}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _known() -> str:
    found = sorted(port.device for port in list_ports.comports())
    if not found:
        return "No serial port is plugged in: check the cable and the board's power."
    return f"Use one of those that are plugged in: {', '.join(found)}."
