"""All boards: those that automcu ships and those in the user's own folder."""

import os
import sys
from functools import cache
from pathlib import Path

from automcu.errors import WrongInputError
from automcu.mcu.load import load_profile
from automcu.mcu.profile import Device
from automcu.resources import resource_folder

_USER_FOLDER_VARIABLE = "AUTOMCU_PROFILES"


def all_devices() -> dict[str, Device]:
    """Return every known device by id, in the order of the ids.

    A profile in the user's own folder replaces a shipped one of the same id, and one in the
    folder that $AUTOMCU_PROFILES names replaces both.

    Raises:
        WrongInputError: a profile is wrong, or $AUTOMCU_PROFILES is not a folder.
    """
    devices = shipped_devices()
    for folder in _user_folders():
        devices.update(_load_all(folder))
    return dict(sorted(devices.items()))


def device_with_id(device_id: str) -> Device | None:
    """Return the device with exactly this id, reading no other profile; None where there is none.

    Raises:
        WrongInputError: its profile is wrong, or $AUTOMCU_PROFILES is not a folder.
    """
    if Path(device_id).name != device_id:
        return None
    for folder in (*reversed(_user_folders()), resource_folder("hw_profiles")):
        path = folder / f"{device_id}.toml"
        if path.is_file():
            return load_profile(path)
    return None


def shipped_devices() -> dict[str, Device]:
    """Return the devices that come with automcu, by id."""
    return dict(_devices_in(resource_folder("hw_profiles")))


def user_folder() -> Path:
    """Where a user's own profiles are written: $AUTOMCU_PROFILES, or the configuration folder.

    Raises:
        WrongInputError: the user has no home folder.
    """
    named = os.environ.get(_USER_FOLDER_VARIABLE)
    folder = Path(named) if named else _own_folder()
    if folder is None:
        raise WrongInputError(
            f"There is no home folder for profiles. Name a folder in {_USER_FOLDER_VARIABLE}."
        )
    return folder


def _user_folders() -> list[Path]:
    """The user's folders that exist; profiles in a later one replace those in an earlier one."""
    named = os.environ.get(_USER_FOLDER_VARIABLE)
    if named and not Path(named).is_dir():
        raise WrongInputError(
            f"{_USER_FOLDER_VARIABLE} names {named}, which is not a folder. Correct or unset it."
        )
    folders = dict.fromkeys((_own_folder(), Path(named) if named else None))
    return [folder for folder in folders if folder is not None and folder.is_dir()]


def _own_folder() -> Path | None:
    root = os.environ.get("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME")
    try:
        return (Path(root) if root else Path.home() / ".config") / "automcu" / "hw_profiles"
    except RuntimeError:
        return None


@cache
def _devices_in(folder: Path) -> dict[str, Device]:
    return _load_all(folder)


def _load_all(folder: Path) -> dict[str, Device]:
    return {path.stem: load_profile(path) for path in sorted(folder.glob("*.toml"))}
