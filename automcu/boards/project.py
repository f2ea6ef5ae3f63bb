"""A compiled and built project folder, as a bench needs it."""

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError
from automcu.records import Record

ESTIMATE = "estimate.json"
_HASH_LETTERS = 16


class BuiltProject(Record):
    """What is to run on the board, and what was promised of it, where that was written down."""

    model_hash: str
    layer_names: tuple[str, ...]
    estimated_cycles: dict[str, int]
    image: bytes

    @property
    def image_hash(self) -> str:
        """The beginning of the image's SHA-256."""
        return hashlib.sha256(self.image).hexdigest()[:_HASH_LETTERS]


class Golden(Record, arbitrary_types_allowed=True):
    """Inputs with the outputs that the integer reference gives: int8, one row per input."""

    inputs: NDArray[np.int8]
    outputs: NDArray[np.int8]
    labels: NDArray[np.int64] | None


class LabelledSet(Record, arbitrary_types_allowed=True):
    """Inputs as the network takes them, int8 [n, ...], with the class of each, int64 [n]."""

    inputs: NDArray[np.int8]
    labels: NDArray[np.int64]


def load_project(project: Path) -> BuiltProject:
    """Read the project in a folder.

    Raises:
        WrongInputError: something is missing or damaged.
    """
    try:
        description = json.loads((project / "project.json").read_text(encoding="utf-8"))
        return BuiltProject(
            model_hash=description["model_hash"],
            layer_names=tuple(layer["name"] for layer in description["layers"]),
            estimated_cycles=_estimated_cycles(project / ESTIMATE),
            image=(project / "build" / "firmware.bin").read_bytes(),
        )
    except FileNotFoundError as error:
        raise WrongInputError(
            f"{error.filename} is missing. Compile and build the project first: automcu compile, "
            "then automcu build."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WrongInputError(
            f"{project / 'project.json'} is damaged ({error!r}). Compile the project again."
        ) from error


def load_golden(project: Path, limit: int | None) -> Golden:
    """Read the first `limit` golden inputs, or all.

    Raises:
        WrongInputError: they are missing, damaged, or none.
    """
    path = project / "golden.npz"
    try:
        with np.load(path) as arrays:
            golden = Golden(
                inputs=arrays["inputs"][:limit],
                outputs=arrays["outputs"][:limit],
                labels=arrays["labels"][:limit] if "labels" in arrays else None,
            )
    except (OSError, ValueError, KeyError) as error:
        raise WrongInputError(
            f"{path} cannot be read ({error}). Compile the project again."
        ) from error
    if len(golden.inputs) == 0 or len(golden.inputs) != len(golden.outputs):
        raise WrongInputError(
            f"{path} has {len(golden.inputs)} inputs and {len(golden.outputs)} outputs. "
            "Compile the project again, with at least one calibration input."
        )
    return golden


def _estimated_cycles(path: Path) -> dict[str, int]:
    """Cycles by layer from the estimate that compiling left; nothing where it left none."""
    if not path.is_file():
        return {}
    layers = json.loads(path.read_text(encoding="utf-8"))["layers"]
    return {layer["name"]: layer["cycles"] for layer in layers}
