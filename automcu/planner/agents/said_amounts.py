"""The amounts that a few words say: numbers in digits or in English words, times their units.

A language model's reading of a sentence is checked against these, so that no figure is its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from automcu.brief import number

Unit = Literal[
    "ms", "us", "s", "per_second", "B", "KB", "MB", "percent", "percent_error", "fraction"
]
Entry = Literal["latency", "ram", "flash", "accuracy"]

_DIGITS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,9})?|\d{1,9}(?:[.,]\d{1,9})?|\.\d{1,9}")
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS: dict[str, float] = {
    **{word: float(value) for value, word in enumerate(_ONES)},
    **{word: float(value) for value, word in zip(range(20, 100, 10), _TENS, strict=True)},
    "hundred": 100.0,
    "thousand": 1000.0,
}
_NAMED_SHARES = (
    *(("half", 2), ("third", 3), ("quarter", 4), ("fifth", 5), ("tenth", 10), ("twentieth", 20)),
    *(("fiftieth", 50), ("hundredth", 100), ("thousandth", 1000)),
)
_SHARES = {word: 1.0 / parts for word, parts in _NAMED_SHARES}


@dataclass(frozen=True)
class _Meaning:
    """A unit: how a text spells it, and its amounts in milliseconds, bytes or as a fraction."""

    spelled: re.Pattern[str]
    value: Callable[[float], float]


def _meaning(spelled: str, value: Callable[[float], float]) -> _Meaning:
    return _Meaning(re.compile(spelled, re.IGNORECASE), value)


_START = r"(?<![^\W\d_])"  # of a word, right behind a digit included: "20ms"
_PERCENT = r"%|\bper ?cent|\bprozent|\bpour cent|\bpor ciento"
_KNOWN: dict[Unit, _Meaning] = {
    "ms": _meaning(_START + r"(?:ms(?:ec)?\b|milli)", lambda amount: amount),
    "us": _meaning(_START + r"(?:[uµμ]s\b|mi[ck]ro)", lambda amount: amount / 1000.0),
    "s": _meaning(_START + r"(?:s\b|se[ckg])", lambda amount: amount * 1000.0),
    "per_second": _meaning(
        _START + r"(?:fps\b|hz\b|hertz|(?:per|a|each|/|pro) ?s(?:e[ckg]|\b))",
        lambda amount: 1000.0 / amount if amount else 0.0,
    ),
    "B": _meaning(_START + r"b(?:ytes?)?\b", lambda amount: amount),
    "KB": _meaning(_START + r"(?:ki?b\b|ki(?:lo|bi))", lambda amount: amount * 1024.0),
    "MB": _meaning(_START + r"(?:mi?b\b|me(?:ga|bi))", lambda amount: amount * 1024.0**2),
    "percent": _meaning(_PERCENT, lambda amount: amount / 100.0),
    "percent_error": _meaning(_PERCENT, lambda amount: 1.0 - amount / 100.0),
    "fraction": _meaning(r"\d", lambda amount: amount),
}


@dataclass(frozen=True)
class _Limited:
    """An entry of the brief: its units, the words that must stand by, and those that must not."""

    units: tuple[Unit, ...]
    named: re.Pattern[str]
    not_named: re.Pattern[str] | None = None


def _limited(*units: Unit, named: str, not_named: str | None = None) -> _Limited:
    forbidden = re.compile(not_named, re.IGNORECASE) if not_named else None
    return _Limited(units, re.compile(named, re.IGNORECASE), forbidden)


_FLASH = r"flash|\brom\b|storage|program memory"
_ENTRIES: dict[Entry, _Limited] = {
    # "A recording of 2 s" is no limit: seconds need a word that makes them one.
    "latency": _limited(
        *("ms", "us", "s", "per_second"),
        named=rf"{_START}(?:ms|milli|[uµμ]s\b|mi[ck]ro|fps|hz\b|hertz|(?:per|each|/|pro) ?s|"
        r"under|below|with|in\b|than|most|max|latency|answer|unter|höchstens|binnen)",
    ),
    "ram": _limited("B", "KB", "MB", named=r"ram\b|memory|speicher|mémoire", not_named=_FLASH),
    "flash": _limited("B", "KB", "MB", named=_FLASH),
    "accuracy": _limited(
        *("percent", "percent_error", "fraction"),
        named=r"accura|correct|right|error|wrong|mistake|genau|richtig|korrekt|fehler|précis",
        not_named=r"ram\b|memory|flash|cpu|battery",
    ),
}
_ERROR = re.compile(r"error|wrong|mistake|fehler|falsch", re.IGNORECASE)
_LARGEST = {"latency": 1e9, "ram": 2.0**40, "flash": 2.0**40, "accuracy": 1.0}


def said_amount(entry: Entry, amount: float, unit: Unit, words: str) -> float | None:
    """Return an amount in the brief's unit if the words say it of that entry, else None.

    Args:
        entry: what it limits.
        amount: what a model read.
        unit: its unit.
        words: part of the user's sentence.
    """
    limited, meaning = _ENTRIES[entry], _KNOWN[unit]
    if unit not in limited.units or not limited.named.search(words):
        return None
    if limited.not_named and limited.not_named.search(words):
        return None
    if entry == "accuracy" and (unit == "percent_error") != bool(_ERROR.search(words)):
        return None
    wanted = meaning.value(amount)
    if not 0.0 < wanted <= _LARGEST[entry]:
        return None
    said = [
        _KNOWN[spelled].value(found)
        for spelled in limited.units
        if _KNOWN[spelled].spelled.search(words)
        and (spelled == "percent_error") == (unit == "percent_error")
        for found in numbers_in(words)
    ]
    close = [value for value in said if abs(value - wanted) <= 1e-6 * abs(wanted)]
    return close[0] if close else None


def numbers_in(words: str) -> list[float]:
    """Return the numbers of a text, in digits and in English words, shares among them."""
    found = [number(match) for match in _DIGITS.findall(words)]
    run: list[float] = []
    for token in [*re.findall(r"[a-z]+", words.lower()), ""]:
        if token in _SHARES:
            found.append(_SHARES[token])
        if token in _WORDS:
            run.append(_WORDS[token])
        elif token != "and" and run:
            found.append(_spoken(run))
            run = []
    return found


def _spoken(run: list[float]) -> float:
    """Read ("two", "hundred", "fifty") as 250."""
    total = current = 0.0
    for value in run:
        if value == 100.0:
            current = max(current, 1.0) * value
        elif value == 1000.0:
            total, current = total + max(current, 1.0) * value, 0.0
        else:
            current += value
    return total + current
