"""A NumPy archive of images and labels, with or without a split of its own."""

from pathlib import Path

from automcu.datasets.assemble import Labelled, assemble
from automcu.datasets.npz_archive import array_names, read_arrays
from automcu.datasets.record import Dataset
from automcu.datasets.source import Request, Source
from automcu.errors import WrongInputError

PAIRS = (("x", "y"), ("inputs", "labels"), ("images", "labels"), ("data", "target"))
VALIDATION_PAIRS = (("x_val", "y_val"), ("x_valid", "y_valid"), ("x_validation", "y_validation"))
CLASS_NAMES = "class_names"
IMAGE_CHANNELS = (1, 3)
MOST_CHANNELS = 4

EXPECTED = "x and y; inputs and labels; or x_train, y_train, x_test, y_test"


def _recognises(request: Request) -> bool:
    return request.path.suffix.lower() == ".npz" and request.path.is_file()


def _load(request: Request) -> Dataset:
    path = request.path
    stored = {name.lower(): name for name in array_names(path)}
    if not stored:
        read_arrays(path, ())
        raise WrongInputError(f"{path} holds no arrays. Save it with {EXPECTED}.")
    train = _first_pair(path, stored, (("x_train", "y_train"), *PAIRS))
    if train is None:
        raise WrongInputError(
            f"{path} has the arrays {', '.join(sorted(stored.values()))}. Save it with {EXPECTED}."
        )
    return assemble(
        str(path),
        train,
        validation=_first_pair(path, stored, VALIDATION_PAIRS),
        test=_first_pair(path, stored, (("x_test", "y_test"),)),
        seed=request.seed,
        class_names=_class_names(path, stored),
    )


def _first_pair(
    path: Path, stored: dict[str, str], pairs: tuple[tuple[str, str], ...]
) -> Labelled | None:
    for images, labels in pairs:
        if images in stored and labels in stored:
            names = (stored[images], stored[labels])
            arrays = read_arrays(path, names)
            _refuse_channels_first(arrays[names[0]].shape, path)
            return Labelled(arrays[names[0]], arrays[names[1]])
    return None


def _refuse_channels_first(shape: tuple[int, ...], path: Path) -> None:
    """Catch PyTorch's [n, channels, height, width]: it would load, and train on nonsense."""
    if len(shape) == 4 and shape[1] in IMAGE_CHANNELS and shape[2] == shape[3] > MOST_CHANNELS:
        raise WrongInputError(
            f"{path}: shape {list(shape)} has the channels before the pixels. "
            "Save the array as x.transpose(0, 2, 3, 1)."
        )


def _class_names(path: Path, stored: dict[str, str]) -> tuple[str, ...] | None:
    if CLASS_NAMES not in stored:
        return None
    name = stored[CLASS_NAMES]
    return tuple(str(value) for value in read_arrays(path, (name,))[name].ravel())


SOURCE = Source(names=("FILE.npz",), recognises=_recognises, load=_load)
