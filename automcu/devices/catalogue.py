"""All boards: those that automcu ships and those in the user's own folder."""

import os
from functools import cache
from pathlib import Path

from automcu.devices.load import load_profile
from automcu.devices.profile import Device
from automcu.errors import WrongInputError
from automcu.resources import resource_folder

_USER_FOLDER_VARIABLE = "AUTOMCU_PROFILES"


def all_devices() -> dict[str, Device]:
    """Return every known device by id, in the order of the ids.

    A profile in the folder that $AUTOMCU_PROFILES names replaces a shipped one of the same id.

    Raises:
        WrongInputError: a profile is wrong, or $AUTOMCU_PROFILES is not a folder.
    """
    devices = dict(_devices_in(resource_folder("hw_profiles")))
    user_folder = os.environ.get(_USER_FOLDER_VARIABLE)
    if user_folder:
        if not Path(user_folder).is_dir():
            raise WrongInputError(
                f"{_USER_FOLDER_VARIABLE} names {user_folder}, which is not a folder. "
                "Correct or unset it."
            )
        devices.update(_load_all(Path(user_folder)))
    return dict(sorted(devices.items()))


@cache
def _devices_in(folder: Path) -> dict[str, Device]:
    return _load_all(folder)


def _load_all(folder: Path) -> dict[str, Device]:
    return {path.stem: load_profile(path) for path in sorted(folder.glob("*.toml"))}
