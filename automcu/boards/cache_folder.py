"""Where things are kept that can be made anew: compiled hooks, the list of running boards."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The user's folder for automcu's temporary files; it need not exist yet.

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
