"""Reading a model file, whatever it may be, and naming the layer that cannot be read."""

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


def named(message: str, layer: str, kind: str) -> str:
    """The message, with the layer's name and what the file calls its kind."""
    if layer not in message:
        return f"layer {layer} ({kind}): {message}"
    if kind in message:
        return message
    return message.replace(f"layer {layer}", f"{kind} layer {layer}", 1)
