"""Where the data folders are: beside the package in a checkout, inside it in an installed wheel."""

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
