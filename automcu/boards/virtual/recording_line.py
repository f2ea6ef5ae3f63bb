"""A serial line on which nobody ever speaks, and everything that the program sends is kept."""


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
