"""Where folders are: automcu's own data, and what a user's machine keeps for it.

The data lie beside the package in a checkout and inside it in an installed wheel.
"""

import os
import sys
from pathlib import Path
from typing import Literal

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
