"""Decoding pictures: one size, grey or RGB, upright, and no file is fatal."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from automcu.errors import WrongInputError

GREY_MODES = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"})
SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16B", "I;16L"})
DECODE_MARGIN = 2
"""JPEGs are decoded at this many times the wanted size, then reduced: fast, and no aliasing."""

UNREADABLE_FRACTION = 0.1
"""Above this share of damaged pictures, the folder is probably not what the user meant."""

NAMED_IN_MESSAGE = 3

Picture = Path | bytes
"""A picture is a file, or the bytes of one."""

DECODING_ERRORS = (
    UnidentifiedImageError,
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Header:
    """What a picture says about itself before its pixels are decoded."""

    width: int
    height: int
    is_grey: bool


def read_header(picture: Picture) -> Header | None:
    """Return the picture's size and kind, or None where it is not a picture."""
    try:
        with _open(picture) as image:
            return Header(image.width, image.height, image.mode in GREY_MODES)
    except DECODING_ERRORS:
        return None


def decode(picture: Picture, side: int, channels: int) -> NDArray[np.uint8] | None:
    """Return uint8 [side, side, channels], or None where the picture is damaged."""
    try:
        with _open(picture) as image:
            image.draft(None, (side * DECODE_MARGIN, side * DECODE_MARGIN))
            upright = ImageOps.exif_transpose(image)
            converted = _eight_bit(upright).convert("L" if channels == 1 else "RGB")
            resized = converted.resize((side, side), Image.Resampling.BILINEAR)
            return np.asarray(resized, dtype=np.uint8).reshape(side, side, channels)
    except DECODING_ERRORS:
        return None


def describe_unreadable(names: Sequence[str], total: int, where: str) -> tuple[str, ...]:
    """Return one sentence about the pictures that were left out, or nothing if there are none.

    Raises:
        WrongInputError: so many are damaged that the rest cannot be trusted.
    """
    if not names:
        return ()
    listed = ", ".join(names[:NAMED_IN_MESSAGE])
    more = f" and {len(names) - NAMED_IN_MESSAGE} more" if len(names) > NAMED_IN_MESSAGE else ""
    sentence = f"{where}: {len(names)} of {total} images cannot be read: {listed}{more}."
    if len(names) > UNREADABLE_FRACTION * total:
        raise WrongInputError(f"{sentence} Repair or remove them.")
    return (f"{sentence} They were left out.",)


def _open(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Reduce 16-bit grey to 8 bits; Pillow's own conversion would clip at 255."""
    if image.mode not in SIXTEEN_BIT_MODES:
        return image
    return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
