"""Reading a model file, whatever it may be."""

from pathlib import Path

from automcu.errors import WrongInputError

LARGEST_FILE = 64 << 20


def read_content(path: Path) -> bytes:
    """The bytes of a model file.

    Raises:
        WrongInputError: it cannot be read, or is larger than any model for a small board.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise WrongInputError(f"{path} is larger than 64 MB. Give a model for a small board.")
        return path.read_bytes()
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Check its name."
        ) from error
