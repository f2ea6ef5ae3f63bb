"""The image data sets that `keras.datasets` downloads: they need the optional TensorFlow."""

import importlib
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from automcu.datasets.assemble import Labelled, assemble
from automcu.datasets.record import Dataset
from automcu.datasets.source import Request, Source, plain_name
from automcu.errors import ToolError

NAMES = ("mnist", "fashion_mnist", "cifar10", "cifar100")

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


def _recognises(request: Request) -> bool:
    return _canonical(request.name) is not None


def _canonical(name: str) -> str | None:
    return next((known for known in NAMES if plain_name(known) == plain_name(name)), None)


def _load(request: Request) -> Dataset:
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


SOURCE = Source(names=NAMES, recognises=_recognises, load=_load)
