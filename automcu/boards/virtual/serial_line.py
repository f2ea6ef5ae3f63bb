"""The board's end of its serial line: on a TCP port, within this process, or with nobody there."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from automcu.boards.virtual.wire import (
    BOOT_LOADER_SETTINGS,
    BareWire,
    ResetPins,
    Rfc2217Wire,
    Wire,
    WireProtocol,
)

_RECEIVE_BYTES = 65536
_SEND_TIMEOUT_S = 10.0
# What waits while a program does not look; a USART without a buffer loses far more.
_MOST_WAITING_BYTES = 1 << 20
# A program that has not asked for input for so long may hang: the line looks after itself then.
_UNATTENDED_S = 0.5


class Line(Protocol):
    """What a USART needs of the line that it is on."""

    @property
    def has_input(self) -> bool:
        """Whether a received byte waits to be taken."""

    def take_byte(self) -> int:
        """The next received byte, 0 if there is none."""

    def put(self, content: bytes) -> None:
        """Send bytes, at the latest when `flush` is called."""

    def flush(self) -> None:
        """Send now what `put` has collected."""

    def wait(self, timeout_s: float | None) -> None:
        """Block until bytes arrive or the time is over."""


class DisconnectedError(Exception):
    """The host hung up in the middle of something."""


class PinResetError(Exception):
    """The host pulled the reset pin; `boot0` is the level of BOOT0 when it let go."""

    def __init__(self, boot0: bool) -> None:
        super().__init__()
        self.boot0 = boot0


class SerialLine:
    """Serves one host at a time; a host that leaves and comes back finds the board as it was.

    Bytes are received and sent in bulk: the board's registers work on buffers. What the board
    sends while no host listens is lost, as on a wire.
    """

    def __init__(self, port: int = 0, protocol: WireProtocol = "socket") -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._protocol = protocol
        self._host: socket.socket | None = None
        self._wire: Wire = BareWire()
        self.settings = BOOT_LOADER_SETTINGS
        self._reset: PinResetError | None = None
        self._attending = threading.Lock()
        self._attended = time.monotonic()
        self._received = bytearray()
        self._to_send = bytearray()
        self.connections = 0

    @property
    def url(self) -> str:
        """What to open the board with."""
        return f"{self._protocol}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def has_input(self) -> bool:
        """Whether a received byte waits to be taken."""
        return bool(self._received)

    def take_byte(self) -> int:
        """The next received byte, 0 if there is none (an empty USART reads as that)."""
        return self._received.pop(0) if self._received else 0

    def put(self, content: bytes) -> None:
        """Send bytes, at the latest when the board next waits for input."""
        self._to_send += content

    def flush(self) -> None:
        """Send now what `put` has collected."""
        host = self._host  # which another thread may drop meanwhile
        if self._to_send and host is not None:
            try:
                host.sendall(self._wire.encode(bytes(self._to_send)))
            except OSError:
                self.hang_up()
        self._to_send.clear()

    def wait(self, timeout_s: float | None) -> None:
        """Block until bytes arrive, a host comes or goes, or the time is over.

        Raises:
            PinResetError: the host has reset the board.
        """
        with self._attending:
            self._attend(timeout_s)
            self._attended = time.monotonic()
        self.obey_reset()

    def obey_reset(self) -> None:
        """Forget all bytes and raise PinResetError if the host has reset the board."""
        if self._reset is not None:
            reset, self._reset = self._reset, None
            self._received.clear()
            self._to_send.clear()
            raise reset

    @contextlib.contextmanager
    def unattended(self, stop: Callable[[], None]) -> Iterator[None]:
        """While a program runs, call `stop` when the host resets the board, even if it hangs.

        Only RFC 2217 has a reset pin.
        """
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_UNATTENDED_S):
                if time.monotonic() - self._attended < _UNATTENDED_S:
                    continue
                with self._attending:
                    self._attend(0.0)
                if self._reset is not None:
                    stop()

        watcher = threading.Thread(target=watch, daemon=True)
        if self._protocol == "rfc2217":
            watcher.start()
        try:
            yield
        finally:
            over.set()
            if watcher.is_alive():
                watcher.join()

    def read(self, count: int) -> bytes:
        """Wait for `count` bytes from one host.

        Raises:
            DisconnectedError: it hung up before they were complete.
        """
        self.flush()
        connection = self.connections
        while len(self._received) < count:
            self.wait(None)
            if self.connections != connection:
                raise DisconnectedError
        content = bytes(self._received[:count])
        del self._received[:count]
        return content

    def hang_up(self) -> None:
        """Drop the host, as if the cable was pulled."""
        if self._host is not None:
            self._host.close()
            self._host = None
        self._received.clear()
        self._to_send.clear()
        self.connections += 1

    def _attend(self, timeout_s: float | None) -> None:
        sources = [self._listener] if self._host is None else [self._listener, self._host]
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if self._host in ready:
            self._receive()
        if self._listener in ready:
            self._accept()

    def _receive(self) -> None:
        assert self._host is not None
        try:
            content = self._host.recv(_RECEIVE_BYTES)
        except OSError:
            content = b""
        if not content:
            self.hang_up()
            return
        decoded = self._wire.decode(content)
        if self._host is not None:  # the wire hangs up on a host that does not read its answers
            self._received += decoded
            del self._received[_MOST_WAITING_BYTES:]

    def _accept(self) -> None:
        """Let a host in, unless there is one: a serial port has one user."""
        try:
            newcomer, _ = self._listener.accept()
        except OSError:  # it has left again, or this process has too many files open
            return
        if self._host is not None and not _has_left(self._host):
            newcomer.close()
            return
        if self._host is not None:
            self.hang_up()
        with contextlib.suppress(OSError):  # it has left again, which the next receive notices
            newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        newcomer.settimeout(_SEND_TIMEOUT_S)
        self._host = newcomer
        if self._protocol == "rfc2217":
            self._wire = Rfc2217Wire(
                self._answer, ResetPins(self._note_reset), lambda: self.settings
            )

    def _answer(self, content: bytes) -> None:
        """Send what is not the line's but the protocol's."""
        if self._host is not None:
            try:
                self._host.sendall(content)
            except OSError:
                self.hang_up()

    def _note_reset(self, boot0: bool) -> None:
        self._reset = PinResetError(boot0)


def _has_left(host: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        ready, _, _ = select.select([host], [], [], 0)
        return bool(ready) and host.recv(1, socket.MSG_PEEK) == b""
    return True


class RecordingLine:
    """A `Line` for running a program by itself; `sent` is what it sent."""

    def __init__(self) -> None:
        self.sent = bytearray()

    @property
    def has_input(self) -> bool:
        """Never."""
        return False

    def take_byte(self) -> int:
        """An empty USART reads as 0."""
        return 0

    def put(self, content: bytes) -> None:
        """Keep it."""
        self.sent += content

    def flush(self) -> None:
        """Nothing is held back."""

    def wait(self, timeout_s: float | None) -> None:
        """Nothing will come."""


_TICK_S = 0.05  # as long as a real port's driver blocks


class LocalCable:
    """A `Line` to the board, and to a `Port` the driver that it reads and writes.

    Board and host are two threads. The board's end hangs up when its program has ended; the
    host's with `close`, after which the board sees nothing but silence.
    """

    baudrate = 115_200
    timeout = _TICK_S

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._to_board = bytearray()
        self._to_host = bytearray()
        self._hung_up = False

    @property
    def has_input(self) -> bool:
        """Whether a received byte waits to be taken by the board."""
        return bool(self._to_board)

    def take_byte(self) -> int:
        """The board's next received byte, 0 if there is none."""
        with self._changed:
            return self._to_board.pop(0) if self._to_board else 0

    def put(self, content: bytes) -> None:
        """Send bytes from the board."""
        with self._changed:
            self._to_host += content

    def flush(self) -> None:
        """Wake the host, for whom there may be bytes."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float | None) -> None:
        """Block the board until bytes arrive or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._to_board, timeout_s)

    def hang_up(self) -> None:
        """End the board's side: the host reads what was sent, then an error."""
        with self._changed:
            self._hung_up = True
            self._changed.notify_all()

    @property
    def in_waiting(self) -> int:
        """How many bytes wait for the host."""
        return len(self._to_host)

    def read(self, count: int) -> bytes:
        """At most `count` bytes for the host, after a moment's wait for the first.

        Raises:
            OSError: the board's program has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._to_host or self._hung_up, _TICK_S)
            content = bytes(self._to_host[:count])
            del self._to_host[:count]
        if not content and self._hung_up:
            raise OSError("the program has ended")
        return content

    def write(self, content: bytes) -> None:
        """Send bytes to the board."""
        with self._changed:
            self._to_board += content
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is held that would have to be given back."""
