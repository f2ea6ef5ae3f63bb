"""Whose files an output folder holds: somebody's own are never written over."""

import hashlib
import json
from pathlib import Path

from automcu.errors import WrongInputError
from automcu.records import Record

_MARK = ".automcu.json"
_FOLDERS = ("model", "portable")
_LAYERS = "_layers.h"
_SUFFIXES = (".c", ".h", _LAYERS, "_weights.c", "_weights.h")  # after the network's name
# What an earlier attempt may have left before there was a mark: `compile --calibrate`'s own file.
_LEFT_BY_ATTEMPTS = {"model.int8.onnx"}


class _Mark(Record):
    """SHA-256 of the generated files by their paths in the folder; empty while they are written."""

    files: dict[str, str]


def check_output_folder(folder: Path) -> None:
    """See that a project may be written into `folder`: it is new, empty, or an unedited project.

    Raises:
        WrongInputError: it is a file, holds something else, or a generated file was edited.
    """
    if folder.exists() and not folder.is_dir():
        raise WrongInputError(f"{folder} is a file. Name a folder with --out.")
    if not folder.is_dir():
        return
    mark = folder / _MARK
    if mark.is_file():
        _check_unedited(folder, _Mark.load(mark))
        return
    foreign = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in _LEFT_BY_ATTEMPTS and not entry.name.startswith(".model.int8.onnx.")
    )
    if foreign and not _is_project(folder):
        raise WrongInputError(
            f"{folder} holds files that are not automcu's, such as {foreign[0]}. "
            "Choose a new or empty folder with --out."
        )


def begin_output(folder: Path) -> None:
    """Mark the folder as automcu's before the first file is written.

    What is half written is no project: project.json comes back as the last file.
    """
    _Mark(files={}).save(folder / _MARK)
    (folder / "project.json").unlink(missing_ok=True)


def end_output(folder: Path) -> None:
    """Remember the generated files as they were written, so that edits are noticed."""
    sums = {path.relative_to(folder).as_posix(): _sum(path) for path in _generated(folder)}
    _Mark(files=sums).save(folder / _MARK)


def _generated(folder: Path) -> list[Path]:
    """The C that was generated and is there; what a user put beside it is not ours."""
    headers = [
        header for name in _FOLDERS for header in sorted((folder / name).glob(f"*{_LAYERS}"))
    ]
    named = [header.with_name(header.name.removesuffix(_LAYERS)) for header in headers]
    paths = [name.with_name(f"{name.name}{suffix}") for name in named for suffix in _SUFFIXES]
    return [path for path in (folder / "CMakeLists.txt", *paths) if path.is_file()]


def _check_unedited(folder: Path, mark: _Mark) -> None:
    for name, expected in mark.files.items():
        path = folder / name
        if path.is_file() and _sum(path) != expected:
            raise WrongInputError(
                f"{path} was edited since it was compiled, and would be lost. Keep a copy and "
                "delete it, or choose another folder with --out."
            )


def _is_project(folder: Path) -> bool:
    """Whether the folder is a project that was written without a mark."""
    try:
        described = json.loads((folder / "project.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(described, dict) and "model_hash" in described


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
