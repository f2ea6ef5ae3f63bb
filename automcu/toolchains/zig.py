"""zig's C compiler, which the `ziglang` package brings to every platform."""

import importlib.util
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

from automcu.errors import ToolError
from automcu.toolchains.process import first_line_of

_CACHE_VARIABLE = "ZIG_GLOBAL_CACHE_DIR"


def zig_command() -> tuple[str, ...]:
    """Return the command that starts zig's C compiler.

    Raises:
        ToolError: the package is missing.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise ToolError(
            "There is no C compiler. Install one with: pip install ziglang "
            "(or arm-none-eabi-gcc for Cortex-M)."
        )
    return (sys.executable, "-m", "ziglang", "cc")


@cache
def zig_version() -> str:
    """Return zig's own version, not that of the clang inside it."""
    return first_line_of((sys.executable, "-m", "ziglang", "version"))


def zig_environment() -> dict[str, str]:
    """Return the variables that zig needs on top of the user's.

    zig does not end when it cannot create its cache folder, so it gets one in the temporary
    folder if the usual place cannot be written to.
    """
    if _CACHE_VARIABLE in os.environ or _is_writable_folder(_usual_cache()):
        return {}
    return {_CACHE_VARIABLE: str(Path(tempfile.gettempdir()) / f"automcu-zig-{os.getuid()}")}


def _usual_cache() -> Path | None:
    if os.name != "posix":
        return Path(tempfile.gettempdir())  # elsewhere zig's own choice is always there
    home = os.environ.get("HOME")
    base = os.environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else None)
    return Path(base, "zig") if base else None


def _is_writable_folder(folder: Path | None) -> bool:
    if folder is None:
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
