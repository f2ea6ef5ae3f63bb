"""Compiling C beside this package on first use, into the user's cache folder."""

import ctypes
import hashlib
import platform
import sys
import tempfile
from functools import cache
from pathlib import Path

from automcu.errors import ToolError
from automcu.resources import cache_folder
from automcu.toolchains import host_compiler

_SOURCE = Path(__file__).with_name("accounting.c")


@cache
def native_library() -> ctypes.CDLL | None:
    """The compiled accounting, or None where there is no compiler or nowhere to keep the result."""
    try:
        return ctypes.CDLL(str(compiled_library(_SOURCE)))
    except (ToolError, OSError):
        return None


def compiled_library(source: Path) -> Path:
    """The shared library made from one C file.

    The file's name holds a hash of the source, so that a new version is compiled anew; it appears
    complete or not at all, so that several processes can start at once.

    Raises:
        ToolError: there is no compiler, or it refuses the source.
        OSError: the cache folder cannot be written to.
    """
    library = cache_folder() / _library_name(source)
    if not library.exists():
        _compile_to(source, library)
    return library


def _library_name(source: Path) -> str:
    identity = f"{sys.platform} {platform.machine()} {ctypes.sizeof(ctypes.c_void_p)}".encode()
    digest = hashlib.sha256(source.read_bytes() + identity).hexdigest()
    return f"{source.stem}-{digest[:16]}{'.dll' if sys.platform == 'win32' else '.so'}"


def _compile_to(source: Path, library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled = Path(folder) / library.name
        host_compiler().shared_library([source], compiled)
        compiled.replace(library)
