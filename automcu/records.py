"""Frozen records that cross files, the folders they lie in, and the one way to write a file.

A file is written whole, or not at all. automcu's own data lie beside the package in a checkout and
inside it in an installed wheel.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from automcu.errors import AutomcuError, WrongInputError, file_problem

_DIGEST_LETTERS = 64  # of SHA-256, before the content of a cache entry
_NEARLY_FULL = 1 << 20  # bytes that are left where a library could not write
_NO_SCRATCH = (
    "Temporary files cannot be written ({reason}). Free some space, or name another folder with "
    "TMPDIR, and run the command again."
)


class Record(BaseModel):
    """A frozen, strictly validated record that saves as one JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def save(self, path: Path) -> None:
        """Write the record to `path` as JSON; the file appears complete or not at all."""
        write_atomically(path, self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record back.

        Raises:
            WrongInputError: the file is missing, is not JSON, or does not hold this record.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise WrongInputError(
                f"{path} cannot be read ({error.strerror}). Run the stage that writes it again."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise WrongInputError(
                f"{path} is not a valid {cls.__name__} record: {where}: {first['msg']}. "
                "Delete it and run the stage that writes it again."
            ) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` beside `path` under a temporary name, then rename it into place.

    Raises:
        WrongInputError: the folder cannot be written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise WrongInputError(str(file_problem(error, path))) from error


def read_cached(path: Path) -> bytes | None:
    """Return a cache entry's content; None where it is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST_LETTERS], content[_DIGEST_LETTERS:]
    return body if hashlib.sha256(body).hexdigest().encode() == digest else None


def write_cached(path: Path, body: bytes) -> None:
    """Write a cache entry, which begins with a hash of the rest.

    A folder that cannot be written to only means that nothing is cached.
    """
    try:
        write_atomically(path, hashlib.sha256(body).hexdigest().encode() + body)
    except AutomcuError:
        return


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder for files of a library, which goes when the block ends.

    Libraries rarely say why they could not write, so that is asked of the disk.

    Raises:
        WrongInputError: there is no place for temporary files.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="automcu-")
    except OSError as error:
        raise WrongInputError(_NO_SCRATCH.format(reason=error.strerror or error)) from error
    with folder as path:
        try:
            yield Path(path)
        except Exception as error:
            if shutil.disk_usage(path).free < _NEARLY_FULL:
                where = f"{tempfile.gettempdir()} is full"
                raise WrongInputError(_NO_SCRATCH.format(reason=where)) from error
            raise


def append_line(path: Path, entry: dict[str, object]) -> None:
    """Append one JSON object as a line to a log such as `log.jsonl`.

    Raises:
        WrongInputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=str) + "\n")
    except OSError as error:
        raise WrongInputError(str(file_problem(error, path))) from error


def no_such_file(path: Path, what: str) -> str:
    """Say in a sentence why there is no `what`, such as "model file", at a path."""
    if path.exists() or path.is_symlink():
        return f"{_what_is_there(path)}, not a {what}."
    return f"There is no {what} {path}."


def _what_is_there(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"{path} is a link that leads nowhere"
    if path.is_dir():
        return f"{path} is a folder"
    return f"{path} is a file" if path.is_file() else f"{path} is a device"


_PACKAGE = Path(__file__).parent


def resource_folder(name: Literal["agents", "hw_profiles", "firmware"]) -> Path:
    """Return the folder `name`, from the installed wheel or from the checkout.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for candidate in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"automcu's folder {name!r} is missing; reinstall automcu")


def cache_folder() -> Path:
    """The user's folder for what can be made anew; it need not exist yet.

    Raises:
        OSError: this user has no home.
    """
    root = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    if root:
        return Path(root) / "automcu"
    try:
        return Path.home() / ".cache" / "automcu"
    except RuntimeError as error:
        raise OSError("this user has no home folder") from error
