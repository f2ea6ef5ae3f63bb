"""A serial line within this process: firmware that runs here is spoken to without a port."""

import threading

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
