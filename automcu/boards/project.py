"""A compiled and built project folder, and whether its image is for a device."""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automcu.errors import WrongInputError
from automcu.mcu.profile import Device, code_flash
from automcu.records import Record
from automcu.toolchains.build import Build, changed_files

ESTIMATE = "estimate.json"
GOLDEN = "golden.npz"
_HASH_LETTERS = 16
_VECTOR_TABLE_BYTES = 8
# What may be in golden.npz: its types, the first of which is what it should be, and fewest axes.
_GOLDEN_ARRAYS: dict[str, tuple[tuple[type[np.generic], ...], int]] = {
    "inputs": ((np.int8,), 2),
    "outputs": ((np.int8,), 2),
    "labels": ((np.integer,), 1),
    "layer_checksums": ((np.uint32,), 2),
    "model_hash": ((np.str_,), 0),
}
# What numpy and zipfile raise on files that are cut short, changed, or something else.
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,  # a lone .npy under this name
    SyntaxError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


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


class Firmware(Record):
    """What is flashed, and why it is not known to be what `automcu build` made, if it is not."""

    image: bytes
    doubt: str | None


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
    description = _read_object(project / "project.json", "model_hash", "layers")
    try:
        layer_names = tuple(layer["name"] for layer in description["layers"])
    except (KeyError, TypeError) as error:
        raise WrongInputError(
            f"{project / 'project.json'} is damaged (its layers have no names). "
            "Compile the project again."
        ) from error
    return BuiltProject(
        model_hash=str(description["model_hash"]),
        layer_names=layer_names,
        estimated_cycles=_estimated_cycles(project / ESTIMATE),
        image=load_firmware(project).image,
    )


def load_firmware(project: Path) -> Firmware:
    """Read what a build left to be flashed, and compare it with what the build says of itself.

    Raises:
        WrongInputError: there is none, or it is the build of another network or for another board.
    """
    path = project / "build/firmware.bin"
    try:
        image = path.read_bytes()
    except OSError as error:
        raise WrongInputError(
            f"{path} is missing. Compile and build the project first: automcu compile, "
            "then automcu build."
        ) from error
    try:
        build = Build.load(project / "build/build.json")
    except WrongInputError:
        return Firmware(image=image, doubt=_unverified(path, "no build.json says how it was made"))
    if not build.sha256:
        return Firmware(image=image, doubt=_unverified(path, "an older automcu built it"))
    changed = changed_files(project, build)
    if changed:
        what = f"{' and '.join(changed)} changed since automcu build"
        return Firmware(image=image, doubt=_unverified(path, what))
    _check_up_to_date(project, build)
    return Firmware(image=image, doubt=None)


def _unverified(path: Path, reason: str) -> str:
    return (
        f"{path} is not verified: {reason}. Unless it is a build of your own, "
        "run automcu build again."
    )


def _check_up_to_date(project: Path, build: Build) -> None:
    """See that the project was not compiled anew since it was built."""
    described = _read_object(project / "project.json", "model_hash", "device")
    built = {"model_hash": build.model_hash, "device": build.device}
    for key, value in built.items():
        if value not in (None, described[key]):
            raise WrongInputError(
                f"The firmware in {project / 'build'} was built for the {key.replace('_', ' ')} "
                f"{value}, and the project was compiled since for {described[key]}. "
                "Run automcu build again."
            )


def project_device(project: Path) -> str:
    """Return the id of the device that a project was compiled for.

    Raises:
        WrongInputError: the project does not say so.
    """
    return str(_read_object(project / "project.json", "device")["device"])


def _read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object that has these keys."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise WrongInputError(
            f"{path} is missing. Compile the project first: automcu compile."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise WrongInputError(
            f"{path} is damaged (it is no JSON). Compile the project again."
        ) from error
    if not isinstance(found, dict):
        raise WrongInputError(
            f"{path} is damaged (it is no JSON object). Compile the project again."
        )
    missing = [key for key in keys if key not in found]
    if missing:
        raise WrongInputError(
            f"{path} is damaged (it does not say {' and '.join(missing)}). "
            "Compile the project again."
        )
    return found


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
    arrays = _golden_arrays(path)
    missing = [name for name in ("inputs", "outputs") if name not in arrays]
    if missing:
        raise _damaged(path, f"it has no {' and no '.join(missing)}")
    labels, checksums = arrays.get("labels"), arrays.get("layer_checksums")
    inputs, outputs = arrays["inputs"], arrays["outputs"]
    if len({len(one) for one in (inputs, outputs, labels) if one is not None}) > 1:
        raise _damaged(path, "there are not as many outputs and labels as inputs")
    if len(inputs) == 0:
        raise WrongInputError(
            f"{path} holds no inputs. Compile the project again, with at least one calibration "
            "input."
        )
    return Golden(
        inputs=inputs[:limit],
        outputs=outputs[:limit],
        labels=None if labels is None else labels[:limit].astype(np.int64),
        layer_checksums=checksums,
        model_hash=str(arrays["model_hash"]) if "model_hash" in arrays else None,
    )


def _golden_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of golden.npz, each of the type and number of axes that it must have."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _GOLDEN_ARRAYS if name in archive}
    except FileNotFoundError as error:
        raise WrongInputError(f"{path} is missing. Compile the project again.") from error
    except (
        _UNREADABLE
    ) as error:  # numpy's own words advise to unpickle what anybody may have put there
        reason = error.strerror if isinstance(error, OSError) else None
        raise _damaged(path, reason or "it is no archive of plain arrays") from error
    for name, array in arrays.items():
        kinds, least_axes = _GOLDEN_ARRAYS[name]
        if not any(np.issubdtype(array.dtype, kind) for kind in kinds) or array.ndim < least_axes:
            raise _damaged(
                path, f"{name} is {array.dtype} with {array.ndim} axes, not {kinds[0].__name__}"
            )
    return arrays


def _damaged(path: Path, why: str) -> WrongInputError:
    return WrongInputError(f"{path} cannot be read ({why}). Compile the project again.")


def _estimated_cycles(path: Path) -> dict[str, int]:
    """Cycles by layer from the estimate that compiling left; nothing where it left none."""
    if not path.is_file():
        return {}
    layers = json.loads(path.read_text(encoding="utf-8"))["layers"]
    return {layer["name"]: layer["cycles"] for layer in layers}


def check_image(device: Device, image: bytes) -> None:
    """See that `image` starts with a vector table for this device, and fits.

    Raises:
        WrongInputError: it does not.
    """
    flash = code_flash(device)
    if len(image) > flash.size:
        raise WrongInputError(
            f"The image has {len(image)} bytes, the flash of {device.name} {flash.size}. "
            "Build it for this device, or choose a larger device."
        )
    stack = int.from_bytes(image[0:4], "little")
    entry = int.from_bytes(image[4:8], "little")
    in_ram = any(r.kind == "ram" and r.address < stack <= r.address + r.size for r in device.memory)
    in_image = flash.address <= entry < flash.address + len(image) and entry % 2 == 1
    if len(image) < _VECTOR_TABLE_BYTES or not in_ram or not in_image:
        raise WrongInputError(
            f"The image does not begin with a vector table for {device.name}. "
            "Build it for this device with `automcu build`, and give the .bin file."
        )


def sectors_covering(device: Device, image_bytes: int) -> list[int]:
    """Numbers of the flash sectors, counted from the start of flash, that an image lies in.

    Raises:
        WrongInputError: the profile's sectors end before the image does.
    """
    sectors = []
    start = 0
    for number, size in enumerate(device.flashing.flash_sector_bytes):
        if start < image_bytes:
            sectors.append(number)
        start += size
    if start < image_bytes:
        raise WrongInputError(
            f"The sectors in the profile of {device.id} cover {start} bytes, but the image has "
            f"{image_bytes}. Complete flash_sectors under [flashing]."
        )
    return sectors


def first_difference(found: bytes, expected: bytes) -> int | None:
    """The offset of the first byte that differs, or is missing; None when there is none."""
    if found == expected:
        return None
    pairs = enumerate(zip(found, expected, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(found), len(expected)))


class FlashReport(Record):
    """One successful flashing: `kept_bytes` were right already and not written again."""

    method: str
    written_bytes: int
    kept_bytes: int = 0
    seconds: float
