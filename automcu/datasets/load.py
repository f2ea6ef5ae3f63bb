"""One function for every source of data; a new source is a new file and a line here."""

import difflib
from pathlib import Path

from automcu.datasets import csv_windows, digits, image_folder, jpeg_pack, keras_downloads, npz_file
from automcu.datasets.record import Dataset
from automcu.datasets.resize import resized
from automcu.datasets.source import Request, Source
from automcu.errors import WrongInputError

SOURCES: tuple[Source, ...] = (
    digits.SOURCE,
    keras_downloads.SOURCE,
    image_folder.SOURCE,
    jpeg_pack.SOURCE,
    npz_file.SOURCE,
    csv_windows.SOURCE,
)
"""In the order in which they are asked; a JPEG pack is a .npz too, so it comes first."""

LARGEST_IMAGE_SIDE = 1024


def load_dataset(
    name_or_path: str | Path,
    seed: int = 0,
    *,
    image_side: int | None = None,
    window_channels: int = 1,
) -> Dataset:
    """Load a data set by its name (`digits`, `mnist`, ...) or from a folder or file.

    `seed` draws the splits that the source does not have; `image_side` resizes to a square of so
    many pixels; `window_channels` is the number of signals in each CSV window.

    Raises:
        WrongInputError: nothing has that name, or what is there cannot be used.
        ToolError: TensorFlow is needed and missing, or a download failed.
    """
    if image_side is not None and not 1 <= image_side <= LARGEST_IMAGE_SIDE:
        raise WrongInputError(
            f"Images of {image_side} pixels a side are not possible. "
            f"Give a number from 1 to {LARGEST_IMAGE_SIDE}."
        )
    if window_channels < 1:
        raise WrongInputError(f"{window_channels} channels are not possible. Give 1 or more.")
    request = Request(str(name_or_path), seed, image_side, window_channels)
    for source in SOURCES:
        if source.recognises(request):
            dataset = source.load(request)
            return dataset if image_side is None else resized(dataset, image_side)
    raise _unknown(request)


def _unknown(request: Request) -> WrongInputError:
    if request.path.exists():
        return WrongInputError(
            f"{request.path} is neither a folder of images nor a .npz or .csv file. "
            "Convert it to one of these."
        )
    names = [name for source in SOURCES for name in source.names if name.islower()]
    near = difflib.get_close_matches(request.name.lower(), names, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Give a path, or one of {', '.join(names)}."
    return WrongInputError(f"There is no data set or file {request.name!r}. {hint}")
