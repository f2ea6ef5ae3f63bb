"""The same brief without prose: the keys of a TOML file, which the flags share."""

import tomllib
from pathlib import Path
from typing import Any

from automcu.brief.amounts import single_amount
from automcu.brief.draft import Draft
from automcu.errors import WrongInputError

KEYS = (
    "text",
    "device",
    "data",
    "family",
    "max_latency_ms",
    "max_energy",
    "max_ram",
    "max_flash",
    "min_accuracy",
)


def read_brief_file(path: Path) -> dict[str, Any]:
    """Read the settings of a brief from a TOML file; a relative data path is relative to the file.

    Raises:
        WrongInputError: the file is missing, is not TOML, or holds an unknown key.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongInputError(
            f"The brief {path} cannot be read ({error.strerror}). Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongInputError(f"{path} is not a TOML file: {error}. Correct it there.") from error
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise WrongInputError(
            f"{path} has the unknown key '{unknown[0]}'. The keys of a brief are {', '.join(KEYS)}."
        )
    data = settings.get("data")
    if isinstance(data, str) and (path.parent / data).exists():
        settings["data"] = str(path.parent / data)
    return settings


def draft_from_settings(
    *,
    device: str | None = None,
    data: str | None = None,
    family: str | None = None,
    max_latency_ms: float | None = None,
    max_energy: str | float | None = None,
    max_ram: str | int | None = None,
    max_flash: str | int | None = None,
    min_accuracy: str | float | None = None,
) -> Draft:
    """Turn settings into a draft; amounts may carry units ("64 KB", "97 %") or be plain.

    Args:
        device: a board's id, already resolved.
        data: a data set's name or path.
        family: the name of a family of networks, or "auto" for all.
        max_latency_ms: milliseconds.
        max_energy: millijoule of an inference, or an amount with a unit.
        max_ram: bytes, or an amount with a unit.
        max_flash: bytes, or an amount with a unit.
        min_accuracy: a fraction of 1, or a percentage.

    Raises:
        WrongInputError: a value is out of its range; the message names the setting.
    """
    return Draft(
        boards=(device,) if device else (),
        dataset=None if data is None else _text("data", data),
        family=None if family is None else _text("family", family),
        max_latency_ms=None if max_latency_ms is None else _milliseconds(max_latency_ms),
        max_energy_mj=None if max_energy is None else _millijoule(max_energy),
        max_ram_bytes=None if max_ram is None else _bytes("max_ram", max_ram),
        max_flash_bytes=None if max_flash is None else _bytes("max_flash", max_flash),
        min_accuracy=None if min_accuracy is None else _fraction(min_accuracy),
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise WrongInputError(f"{name} is {value!r}, but it must be text. Correct it.")
    return value


def _milliseconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise WrongInputError(f"max_latency_ms is {value!r}. Give milliseconds above 0, as in 20.")
    return float(value)


def _millijoule(value: object) -> float:
    found = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str):
        found = single_amount(value, "energy") or single_amount(value, "count") or 0.0
    if not 0.0 < found < 1e9:
        raise WrongInputError(f'max_energy is {value!r}. Give energy of an inference, as "2 mJ".')
    return found


def _bytes(name: str, value: object) -> int:
    found = 0.0
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str):
        found = single_amount(value, "memory") or single_amount(value, "count") or 0.0
    if not 1.0 <= found <= 2.0**40:
        raise WrongInputError(f'{name} is {value!r}. Give an amount of memory, as in "64 KB".')
    return int(found)


def _fraction(value: object) -> float:
    found = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = value / 100.0 if value > 1 else float(value)
    elif isinstance(value, str):
        plain = single_amount(value, "count")
        percent = single_amount(value, "share")
        if percent is not None:
            found = percent / 100.0
        elif plain is not None:
            found = plain / 100.0 if plain > 1 else plain
    if not 0.0 < found <= 1.0:
        raise WrongInputError(f'min_accuracy is {value!r}. Give a share of 1 or "97 %".')
    return found
