"""A profile for any part of a family that has one, and a profile's TOML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automcu.errors import WrongInputError
from automcu.mcu.family import Part, families
from automcu.mcu.find import load_profile, save_figures
from automcu.mcu.profile import Device
from automcu.records import write_atomically

_HEXADECIMAL = {"address", "vendor", "product", "bootloader_device_id", "bootloader_address"}


def profile_of(part: Part, shipped: Sequence[Device]) -> Device:
    """Return the profile of a bare part.

    Core, memory, wait states, pins and the boot loader's id are the part's own. What its data do
    not say (the cache in front of the flash, the supply current, the latency figures) is taken
    from the shipped profile that is nearest, and `sources` says so. A bare part has no crystal
    that one could count on: the clock is made from its own oscillator.

    Raises:
        WrongInputError: there are no profiles for the part's family.
    """
    makers = {
        prefix: family.part_profile
        for family in families().values()
        for prefix in family.part_prefixes
        if family.part_profile is not None
    }
    prefix = max((one for one in makers if part.name.startswith(one)), key=len, default=None)
    if prefix is None:
        known = [family.parts for family in families().values() if family.parts]
        raise WrongInputError(
            f"There is no firmware for {part.name.upper()} ({part.core}). Choose a part of the "
            f"{', '.join(known[:-1])} or {known[-1]}."
        )
    return makers[prefix](part, shipped)


def write_profile(device: Device, folder: Path, comment: str) -> Path:
    """Write `folder/ID.toml` with a comment at its top, and read it back as a check.

    The device's latency figures go into a file of their own; those of other compilers stay.

    Raises:
        WrongInputError: the profile contradicts itself, or the folder cannot be written to.
    """
    path = folder / f"{device.id}.toml"
    before = path.read_bytes() if path.is_file() else None
    write_atomically(path, render_profile(device, comment).encode())
    try:
        load_profile(path)
    except BaseException:
        if before is None:
            path.unlink()
        else:
            write_atomically(path, before)
        raise
    if device.latency:
        save_figures(folder, device.id, *device.latency)
    return path


def render_profile(device: Device, comment: str) -> str:
    """Return the profile as TOML, without the figures that are fitted."""
    values = device.model_dump(exclude_none=True)
    del values["latency"]
    scalars = {key: value for key, value in values.items() if not _is_table(value)}
    blocks = ["\n".join(f"# {line}".rstrip() for line in comment.splitlines()), _lines(scalars)]
    for key, value in values.items():
        if isinstance(value, dict):
            blocks.append(f"[{key}]\n{_lines(value)}")
        elif _is_table(value):
            blocks.extend(f"[[{key}]]\n{_lines(item)}" for item in value)
    return "\n\n".join(blocks) + "\n"


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], dict)
    )


def _lines(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{_key(key)} = {_value(key, value)}" for key, value in values.items())


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else json.dumps(key)


def _value(key: str, value: object) -> str:
    if isinstance(value, int):
        return f"0x{value:X}" if key in _HEXADECIMAL else f"{value:_}"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(k, v)}" for k, v in value.items()) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(key, item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
