"""Pictures: decoded to one size, grey or RGB, upright, and no file is fatal; and folders of them.

A folder has one sub-folder per class, or train/, validation/ and test/ around those.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from automcu.datasets.record import Dataset, Labelled, Request, Source, assemble
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


SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}
)
SPLIT_FOLDERS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
LARGEST_SIDE = 96
"""Visual Wake Words in MLPerf Tiny uses 96x96, about what a microcontroller can process."""

SIDE_STEP = 4
"""Sides are multiples of this where they can be: the network halves the resolution twice."""

MEMORY_LIMIT_BYTES = 2 << 30
"""All images as float32, in the computer's memory at once."""

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Listing:
    """The files of one split and the name of the class that each belongs to."""

    files: tuple[Path, ...]
    classes: tuple[str, ...]


def _is_folder(request: Request) -> bool:
    return request.path.is_dir()


def _load_folder(request: Request) -> Dataset:
    root = request.path
    listings = _list_splits(root)
    headers = {
        part: [read_header(file) for file in listing.files] for part, listing in listings.items()
    }
    readable = [header for part in headers.values() for header in part if header is not None]
    total = sum(len(part) for part in headers.values())
    if not readable:
        raise WrongInputError(
            f"None of the {total} image files in {root} can be read. Check that they are pictures."
        )
    channels = 1 if all(header.is_grey for header in readable) else 3
    side = request.image_side or _common_side(readable, channels)

    parts: dict[str, Labelled] = {}
    unreadable: list[str] = []
    for part, listing in listings.items():
        parts[part], damaged = _decode_all(listing, side, channels)
        unreadable += [str(file.relative_to(root)) for file in damaged]
    notes = describe_unreadable(unreadable, total, str(root))
    return assemble(
        str(root),
        parts["training"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        seed=request.seed,
        notes=notes,
    )


def load_pictures(
    folder: Path, side: int, channels: int
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return the pictures that lie in a folder without classes, and a note on damaged ones.

    They are uint8 [n, side, side, channels], in the order of their names.

    Raises:
        WrongInputError: there are none, or many of them are damaged.
    """
    files = tuple(
        file
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not files:
        raise WrongInputError(f"{folder} holds no images. Put PNG or JPEG files into it.")
    read, damaged = _decode_all(Listing(files, ("",) * len(files)), side, channels)
    notes = describe_unreadable([file.name for file in damaged], len(files), str(folder))
    return read.images, notes


def _list_splits(root: Path) -> dict[str, Listing]:
    folders = _subfolders(root)
    if not folders:
        raise WrongInputError(
            f"{root} has no sub-folders. Make one sub-folder of images for each class."
        )
    splits = {SPLIT_FOLDERS.get(folder.name.lower(), ""): folder for folder in folders}
    if "" in splits or "training" not in splits:
        return {"training": _list_classes(root)}
    return {part: _list_classes(folder) for part, folder in splits.items()}


def _list_classes(root: Path) -> Listing:
    listed = [
        (file, folder.name)
        for folder in _subfolders(root)
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    ]
    if not listed:
        raise WrongInputError(
            f"{root} has no images in its sub-folders. Put PNG or JPEG files into one sub-folder "
            "for each class."
        )
    return Listing(tuple(file for file, _ in listed), tuple(name for _, name in listed))


def _subfolders(root: Path) -> list[Path]:
    return sorted(
        entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )


def _common_side(headers: Sequence[Header], channels: int) -> int:
    """Choose a square: the median of the shorter sides, within what boards and memory can hold."""
    typical = int(median(min(header.width, header.height) for header in headers))
    in_memory = int((MEMORY_LIMIT_BYTES / (FLOAT_BYTES * channels * len(headers))) ** 0.5)
    side = max(1, min(typical, in_memory, LARGEST_SIDE))
    return side if side < SIDE_STEP else side - side % SIDE_STEP


def _decode_all(listing: Listing, side: int, channels: int) -> tuple[Labelled, list[Path]]:
    images = np.empty((len(listing.files), side, side, channels), dtype=np.uint8)
    labels: list[str] = []
    damaged: list[Path] = []
    for file, class_name in zip(listing.files, listing.classes, strict=True):
        pixels = decode(file, side, channels)
        if pixels is None:
            damaged.append(file)
            continue
        images[len(labels)] = pixels
        labels.append(class_name)
    return Labelled(images[: len(labels)], np.array(labels, dtype=np.str_)), damaged


FOLDERS = Source(names=("FOLDER",), recognises=_is_folder, load=_load_folder)
