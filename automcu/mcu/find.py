"""From what a user calls a board to its profile."""

import difflib
import re

from automcu.errors import WrongInputError
from automcu.mcu.catalogue import all_devices, device_with_id
from automcu.mcu.profile import Device

_NEAREST_SHOWN = 3
_RESEMBLANCE = 0.5
_SHORTEST_PREFIX = 3


def find_device(name: str) -> Device:
    """Return the device that `name` means: an id, alias, MCU or board name in any spelling.

    Upper and lower case, spaces and punctuation do not matter. Words around the name are allowed
    ("STM32F407 discovery board"), and so is the beginning of a name if only one device has it.

    Raises:
        WrongInputError: no device is called that (the message has the nearest names), or several
            are (the message lists them).
    """
    # A profile of a bare part may be called as a board's MCU is: an id comes first.
    called = device_with_id(name)
    if called is not None:
        return called
    devices = all_devices()
    names = {device_id: _names(device) for device_id, device in devices.items()}
    for matches in (_exact(name, names), _within(name, names), _beginning(name, names)):
        if len(matches) == 1:
            return devices[matches[0]]
        if matches:
            raise WrongInputError(f"{name!r} may be {_listed(matches)}. Name one of them.")
    raise WrongInputError(
        f"There is no device {name!r}. Did you mean {_listed(_nearest(name, names))}? "
        "`automcu devices` lists all."
    )


def _names(device: Device) -> set[str]:
    return {_squash(n) for n in (device.id, device.name, device.mcu, *device.aliases)}


def _squash(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _exact(name: str, names: dict[str, set[str]]) -> list[str]:
    wanted = _squash(name)
    return [device_id for device_id, known in names.items() if wanted in known]


def _within(name: str, names: dict[str, set[str]]) -> list[str]:
    """Devices named by the longest run of whole words in `name` that names any."""
    words = [_squash(word) for word in name.split()]
    for length in range(len(words) - 1, 0, -1):
        for start in range(len(words) - length + 1):
            matches = _exact("".join(words[start : start + length]), names)
            if matches:
                return matches
    return []


def _beginning(name: str, names: dict[str, set[str]]) -> list[str]:
    wanted = _squash(name)
    if len(wanted) < _SHORTEST_PREFIX:
        return []
    return [
        device_id
        for device_id, known in names.items()
        if any(one.startswith(wanted) for one in known)
    ]


def _nearest(name: str, names: dict[str, set[str]]) -> list[str]:
    """Return the ids whose names resemble `name` most, all ids if none does."""
    by_name = {one: device_id for device_id, known in names.items() for one in sorted(known)}
    close = difflib.get_close_matches(_squash(name), by_name, len(by_name), _RESEMBLANCE)
    ids = list(dict.fromkeys(by_name[one] for one in close))
    return ids[:_NEAREST_SHOWN] or list(names)


def _listed(ids: list[str]) -> str:
    if len(ids) == 1:
        return ids[0]
    return f"{', '.join(ids[:-1])} or {ids[-1]}"
