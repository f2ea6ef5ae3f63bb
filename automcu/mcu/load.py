"""Reading one profile: TOML to `Device`, or an error that names file and key."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from automcu.errors import WrongInputError
from automcu.mcu.coherence import first_contradiction
from automcu.mcu.profile import Device


def load_profile(path: Path) -> Device:
    """Read and check the profile at `path`.

    Raises:
        WrongInputError: the file is missing, is not TOML, has an unknown, missing or wrong key,
            or describes a board that cannot exist; the message names file, key and expectation.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongInputError(
            f"{path} cannot be read ({error.strerror}). Check the profile's path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongInputError(f"{path} is not TOML: {error}. Correct that line.") from error
    try:
        device = Device.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongInputError(
            f"{path}: {_key(first['loc'])}: {first['msg']}. "
            "Correct the key; docs/profiles.md lists all of them."
        ) from error
    problem = first_contradiction(device)
    if problem is None and device.id != path.stem:
        problem = f"id: must be the file's name, {path.stem!r}, and is {device.id!r}"
    if problem is not None:
        raise WrongInputError(f"{path}: {problem}. Correct the profile.")
    return device


def _key(location: tuple[int | str, ...]) -> str:
    """Write a location as in TOML: memory[2].size."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).lstrip(".")
