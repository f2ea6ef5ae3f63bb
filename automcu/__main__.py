"""The program: `automcu`, and `python -m automcu`, which is the same."""

import os
import signal
from types import FrameType

_SIGNAL_EXIT = 128  # what a shell reports for a program that a signal ended, less its number


def main() -> None:
    """Run `automcu`; a signal that comes before or after a command's work ends it with a line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)
    from automcu.cli.app import main as run  # takes some tenths of a second

    run()


def _end(number: int, _: FrameType | None) -> None:
    """End at once: an exception could be lost, or shown, by whatever module is being imported."""
    os.write(2, b"Stopped.\n")
    os._exit(_SIGNAL_EXIT + number)


# Surveys start processes, which import this module again under another name.
if __name__ == "__main__":
    main()
