"""A program that polls its serial line without end must not keep the host's processor busy."""

from automcu.boards.virtual.serial_line import Line

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
