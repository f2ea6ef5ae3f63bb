"""Compiling accounting.c on first use, into the user's cache folder."""

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
    """The compiled accounting, or None where there is no compiler or nowhere to keep the result.

    The file's name holds a hash of the source, so that a new version is compiled anew; it appears
    complete or not at all, so that several processes can start at once.
    """
    try:
        library = cache_folder() / _library_name()
        if not library.exists():
            _compile_to(library)
        return ctypes.CDLL(str(library))
    except (ToolError, OSError):
        return None


def _library_name() -> str:
    identity = f"{sys.platform} {platform.machine()} {ctypes.sizeof(ctypes.c_void_p)}".encode()
    digest = hashlib.sha256(_SOURCE.read_bytes() + identity).hexdigest()
    return f"accounting-{digest[:16]}{'.dll' if sys.platform == 'win32' else '.so'}"


def _compile_to(library: Path) -> None:
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled = Path(folder) / library.name
        host_compiler().shared_library([_SOURCE], compiled)
        compiled.replace(library)
