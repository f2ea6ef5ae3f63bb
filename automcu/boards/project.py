"""A compiled and built project folder, as a bench needs it."""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError
from automcu.records import Record

ESTIMATE = "estimate.json"
GOLDEN = "golden.npz"
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
    """Inputs with the outputs that the integer reference gives: int8, one row per input.

    `layer_checksums`, uint32 [some inputs, layers], has the CRC-32 of what each layer puts out for
    the first inputs. It and `model_hash` are None where whoever wrote the file left them out.
    """

    inputs: NDArray[np.int8]
    outputs: NDArray[np.int8]
    labels: NDArray[np.int64] | None
    layer_checksums: NDArray[np.uint32] | None = None
    model_hash: str | None = None


class LabelledSet(Record, arbitrary_types_allowed=True):
    """Inputs as the network takes them, int8 [n, ...], with the class of each, int64 [n]."""

    inputs: NDArray[np.int8]
    labels: NDArray[np.int64]


def project_folder(path: Path) -> Path:
    """Return the C project in `path`: the folder itself, or a run's.

    Raises:
        WrongInputError: there is none.
    """
    for candidate in (path, path / "project"):
        if (candidate / "project.json").is_file():
            return candidate
    raise WrongInputError(
        f"{path} holds no compiled project: its project.json is missing. "
        "Make one with automcu compile or automcu design."
    )


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


def project_device(project: Path) -> str:
    """Return the id of the device that a project was compiled for.

    Raises:
        WrongInputError: the project does not say so.
    """
    path = project / "project.json"
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["device"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WrongInputError(
            f"{path} is damaged ({error!r}). Compile the project again."
        ) from error


def class_counts(
    outputs: NDArray[np.int8], labels: NDArray[np.int64] | None
) -> dict[str, tuple[int, ...]]:
    """Count answers and labels by class; see `Measurement`.

    Args:
        outputs: int8 [n, classes]; the largest value is the answer.
        labels: [n], or None where there are none.
    """
    if labels is None:
        return {}
    classes = outputs.shape[1]
    in_range = labels[(labels >= 0) & (labels < classes)]
    counts = np.bincount(in_range, minlength=classes).tolist()
    if len(in_range) < len(labels):
        counts.append(len(labels) - len(in_range))
    answers = np.bincount(outputs.argmax(axis=1), minlength=classes).tolist()
    return {"answer_counts": tuple(answers), "label_counts": tuple(counts)}


def load_golden(project: Path, limit: int | None) -> Golden:
    """Read the first `limit` golden inputs, or all.

    Raises:
        WrongInputError: they are missing, damaged, or none.
    """
    path = project / GOLDEN
    try:
        with np.load(path) as arrays:
            golden = Golden(
                inputs=arrays["inputs"][:limit],
                outputs=arrays["outputs"][:limit],
                labels=arrays["labels"][:limit] if "labels" in arrays else None,
                layer_checksums=arrays.get("layer_checksums"),
                model_hash=str(arrays["model_hash"]) if "model_hash" in arrays else None,
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
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
