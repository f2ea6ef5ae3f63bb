"""Reading a NumPy archive without ever unpickling: for the sources that are `.npz` files."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

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
