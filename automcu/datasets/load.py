"""Data sets by name or path: scikit-learn's digits, Keras's downloads, or a user's files.

The 1,797 digits have 8x8 pixels and 17 grey levels (Alpaydin and Kaynak, Optical Recognition of
Handwritten Digits, UCI repository, 1998); what `keras.datasets` downloads needs the optional
TensorFlow.
"""

import difflib
import importlib
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from automcu.datasets.csv_windows import WINDOWS
from automcu.datasets.images import FOLDERS
from automcu.datasets.npz import ARCHIVES, JPEG_PACKS
from automcu.datasets.record import (
    Dataset,
    Labelled,
    Request,
    Source,
    assemble,
    plain_name,
    resized,
)
from automcu.errors import ToolError, WrongInputError

GREY_LEVEL_MAXIMUM = 16


def _are_digits(request: Request) -> bool:
    return plain_name(request.name) == "digits"


def _load_digits(request: Request) -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = (bunch.images / GREY_LEVEL_MAXIMUM).astype(np.float32)
    return assemble("digits", Labelled(images, bunch.target), seed=request.seed)


DIGITS = Source(names=("digits",), recognises=_are_digits, load=_load_digits)


KERAS_NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")

CLASS_NAMES = {
    "fashion_mnist": (
        *("t-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}


def _is_of_keras(request: Request) -> bool:
    return _canonical(request.name) is not None


def _canonical(name: str) -> str | None:
    return next((known for known in KERAS_NAMES if plain_name(known) == plain_name(name)), None)


def _load_from_keras(request: Request) -> Dataset:
    name = _canonical(request.name)
    assert name is not None
    (x_train, y_train), (x_test, y_test) = _download(name)
    return assemble(
        name,
        Labelled(x_train, y_train),
        test=Labelled(x_test, y_test),
        seed=request.seed,
        class_names=CLASS_NAMES.get(name),
    )


def _download(name: str) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        module = importlib.import_module(f"keras.datasets.{name}")
    except ImportError as error:
        raise ToolError(
            f"The data set {name!r} is downloaded by Keras, which is not installed. "
            "Run: pip install 'automcu[tflite]'"
        ) from error
    try:
        with redirect_stdout(sys.stderr):  # Keras prints its progress; stdout is for results
            return module.load_data()
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ToolError(
            f"Keras could not download {name!r} ({reason}); check the network connection, "
            "or give a file or folder of your own."
        ) from error


KERAS = Source(names=KERAS_NAMES, recognises=_is_of_keras, load=_load_from_keras)


SOURCES: tuple[Source, ...] = (
    DIGITS,
    KERAS,
    FOLDERS,
    JPEG_PACKS,
    ARCHIVES,
    WINDOWS,
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
