"""The amount that a few words say of an entry of the brief.

A language model's reading of a sentence is checked against the parser that reads sentences by
rules, so that no figure is the model's own.
"""

import re
from typing import Literal

from automcu.brief import LimitEntry, PhrasedText, Said, read_limits_said

Unit = Literal[
    "ms",
    "us",
    "s",
    "per_second",
    "mJ",
    "uJ",
    "J",
    "B",
    "KB",
    "MB",
    "percent",
    "percent_error",
    "fraction",
]
Entry = Literal["latency", "energy", "ram", "flash", "accuracy"]

FIELDS: dict[Entry, LimitEntry] = {
    "latency": "max_latency_ms",
    "energy": "max_energy_mj",
    "ram": "max_ram_bytes",
    "flash": "max_flash_bytes",
    "accuracy": "min_accuracy",
}
"""The brief's entry for each of Intake's."""

_FACTORS: dict[Entry, dict[Unit, float]] = {
    "latency": {"ms": 1.0, "us": 1e-3, "s": 1e3},
    "energy": {"mJ": 1.0, "uJ": 1e-3, "J": 1e3},
    "ram": {"B": 1.0, "KB": 1024.0, "MB": 1024.0**2},
    "flash": {"B": 1.0, "KB": 1024.0, "MB": 1024.0**2},
    "accuracy": {"percent": 0.01, "fraction": 1.0},
}


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Words that name an entry anywhere in a quote: looser than what the rules ask for, whose words have
# to stand next to the amount.
_NAMED: dict[Entry, re.Pattern[str]] = {
    "ram": _words(r"ram\b|memory|speicher|mémoire"),
    "flash": _words(r"flash|\brom\b|storage|program memory"),
    "accuracy": _words(r"accura|correct|right|genau|richtig|korrekt|précis"),
}
_NOT_NAMED: dict[Entry, re.Pattern[str]] = {
    "ram": _words(r"flash|\brom\b|storage|program memory|psram|external"),
    "flash": _words(r"external"),
    "accuracy": _words(r"ram\b|memory|flash|cpu|battery|error|wrong|mistake|fehler|falsch"),
}
_DIMENSIONS: dict[Entry, tuple[str, ...]] = {
    "ram": ("memory", "thousand"),
    "flash": ("memory", "thousand"),
    "accuracy": ("share",),
}
_WRONG_WAY = {"ram": "lower", "flash": "lower", "accuracy": "upper"}


def said_amount(entry: Entry, amount: float, unit: Unit, words: str) -> float | None:
    """Return an amount in the brief's unit if the words say it of that entry, else None.

    Args:
        entry: what it limits.
        amount: what a model read.
        unit: its unit.
        words: part of the user's sentence.
    """
    wanted = _wanted(entry, amount, unit)
    if wanted is None:
        return None
    said = [limit.value for limit in read_limits_said(words).limits if limit.field == FIELDS[entry]]
    said += [value for one in PhrasedText(words).said() if (value := _loosely(entry, one, words))]
    return next((one for one in said if abs(one - wanted) <= 1e-6 * abs(wanted)), None)


def _wanted(entry: Entry, amount: float, unit: Unit) -> float | None:
    """Return what a model read in the brief's unit; None for a unit of something else."""
    if entry == "accuracy" and unit == "percent_error":
        return 1.0 - amount / 100.0
    if entry == "latency" and unit == "per_second":
        return 1e3 / amount if amount else None
    factor = _FACTORS[entry].get(unit)
    return None if factor is None else amount * factor


def _loosely(entry: Entry, one: Said, words: str) -> float | None:
    """Return an amount whose entry is named elsewhere in the words, and nothing else is."""
    if entry not in _NAMED or one.amount.dimension not in _DIMENSIONS[entry]:
        return None
    named = _NAMED[entry].search(words) and not _NOT_NAMED[entry].search(words)
    if not named or one.subject is not None or one.direction in ("bad", _WRONG_WAY[entry]):
        return None
    value = one.amount.value or 0.0
    if one.amount.per or value <= 0.0:
        return None
    found = value / 100.0 if entry == "accuracy" else float(int(value))
    return found if entry != "accuracy" or found <= 1.0 else None
