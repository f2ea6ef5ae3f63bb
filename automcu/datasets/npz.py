"""NumPy archives: images and labels, or packs of JPEG files, read without ever unpickling.

A pack is small and read in one go. Its arrays: `jpeg` uint8, all files end to end; `offset`
[n + 1], where each begins and the last ends; `label` integers [n]. Where the file's name holds
"train" and a pack named alike with "test" lies beside it, that one is the test split.
"""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from automcu.datasets.images import decode, describe_unreadable, read_header
from automcu.datasets.record import Dataset, Labelled, Request, Source, assemble
from automcu.errors import WrongInputError


def array_names(path: Path) -> tuple[str, ...]:
    """Return the names of the arrays in an archive, none where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return ()


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read the arrays called `names`.

    Raises:
        WrongInputError: the file is damaged or truncated, or an array is pickled Python objects.
    """
    with _explained(path), np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in names}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise WrongInputError(f"{path} is damaged: {name} is not an array. Save it again.")
    return arrays


def read_array(path: Path) -> NDArray[Any]:
    """Read the one array of a `.npy` file.

    Raises:
        WrongInputError: as `read_arrays`.
    """
    with _explained(path), path.open("rb") as file:
        if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:  # NumPy would take it for a pickle
            raise WrongInputError(f"{path} is not a NumPy array. Save it with np.save.")
        array = np.load(path, allow_pickle=False)
    assert isinstance(array, np.ndarray), "an archive begins otherwise"
    return array


def _is_numpy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x93NUMPY", b"PK"))


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say in a sentence why NumPy could not read a file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "it is not a NumPy archive"
        raise WrongInputError(f"{path} cannot be read ({reason}). Save it again.") from error
    except ValueError as error:
        if not _is_numpy(path):
            raise WrongInputError(
                f"{path} is no NumPy file, whatever its name. Save the arrays with np.savez."
            ) from error
        if "pickle" in str(error).lower():
            raise WrongInputError(
                f"{path} holds Python objects, which are not loaded because they can run code. "
                "Save plain number arrays of one shape: np.stack(images)."
            ) from error
        raise WrongInputError(f"{path} is damaged ({error}). Save it again.") from error
    except MemoryError as error:
        raise WrongInputError(
            f"{path} does not fit in this computer's memory. Save fewer or smaller images."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, SyntaxError) as error:
        raise WrongInputError(
            f"{path} is damaged or incomplete. Copy or save it again with np.savez."
        ) from error


PAIRS = (("x", "y"), ("inputs", "labels"), ("images", "labels"), ("data", "target"))
VALIDATION_PAIRS = (("x_val", "y_val"), ("x_valid", "y_valid"), ("x_validation", "y_validation"))
CLASS_NAMES = "class_names"
IMAGE_CHANNELS = (1, 3)
MOST_CHANNELS = 4

EXPECTED = "x and y; inputs and labels; or x_train, y_train, x_test, y_test"


def _is_archive(request: Request) -> bool:
    return request.path.suffix.lower() == ".npz" and request.path.is_file()


def _load_archive(request: Request) -> Dataset:
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


ARCHIVES = Source(names=("FILE.npz",), recognises=_is_archive, load=_load_archive)


ARRAYS = ("jpeg", "offset", "label")


def _is_pack(request: Request) -> bool:
    path = request.path
    return path.suffix.lower() == ".npz" and path.is_file() and set(ARRAYS) <= {*array_names(path)}


def _load_pack(request: Request) -> Dataset:
    path = request.path
    train, notes = _read_pack(path, request.image_side)
    beside = path.with_name(path.name.replace("train", "test"))
    test = None
    if beside != path and beside.is_file():
        test, test_notes = _read_pack(beside, request.image_side)
        notes += test_notes
    return assemble(str(path), train, test=test, seed=request.seed, notes=notes)


def _read_pack(path: Path, image_side: int | None) -> tuple[Labelled, tuple[str, ...]]:
    arrays = read_arrays(path, ARRAYS)
    content = arrays["jpeg"].astype(np.uint8, copy=False).tobytes()
    offsets = arrays["offset"].astype(np.int64)
    labels = arrays["label"]
    if (
        len(offsets) != len(labels) + 1
        or len(labels) == 0
        or (np.diff(offsets) < 0).any()
        or not 0 <= offsets[0] <= offsets[-1] <= len(content)
    ):
        raise WrongInputError(
            f"{path}: the offsets do not mark one JPEG for each label. Pack the images again."
        )
    files = [content[start:end] for start, end in pairwise(offsets.tolist())]
    header = next(filter(None, map(read_header, files)), None)
    if header is None:
        raise WrongInputError(f"{path} holds no readable JPEG. Pack the images again.")
    side = image_side or min(header.width, header.height)
    channels = 1 if header.is_grey else 3
    decoded = [decode(file, side, channels) for file in files]
    damaged = [f"image {index}" for index, pixels in enumerate(decoded) if pixels is None]
    notes = describe_unreadable(damaged, len(files), str(path))
    intact = np.array([pixels is not None for pixels in decoded])
    images = np.stack([pixels for pixels in decoded if pixels is not None])
    return Labelled(images, labels[intact]), notes


JPEG_PACKS = Source(names=("PACK.npz",), recognises=_is_pack, load=_load_pack)
