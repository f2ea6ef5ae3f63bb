"""Limits and goals in plain English: milliseconds, bytes and fractions out of a sentence."""

import re
from typing import Literal

# At most nine digits on either side, so that no number overflows or loses its exactness.
_NUMBER = r"(?<![\w.,])(\d{1,3}(?:,\d{3}){1,2}(?:\.\d{1,9})?|\d{1,9}(?:[.,]\d{1,9})?|\.\d{1,9})"

_LATENCY = re.compile(
    _NUMBER + r"\s*-?\s*(ms|msec|millis|milliseconds?|us|µs|μs|microseconds?)\b", re.IGNORECASE
)
# A bare "2 s" may be the length of a recording; only a limit in front makes it a latency.
_SECONDS = re.compile(
    r"(?:under|below|within|in|than|most|to|maximum|max|<|<=|≤|latency(?: of)?)\s*"
    + _NUMBER
    + r"\s*-?\s*(s|sec|seconds?)\b",
    re.IGNORECASE,
)
_RATE = re.compile(
    _NUMBER
    + r"\s*(?:fps\b|hz\b|(?:frames|images|pictures|inferences|times|samples|runs)"
    + r"\s*(?:per|a|each|/)\s*s(?:ec(?:ond)?)?\b)",
    re.IGNORECASE,
)
_MILLISECONDS = {"m": 1.0, "u": 1e-3, "µ": 1e-3, "μ": 1e-3}

# Datasheets count in powers of two whatever the unit's spelling: 1 KB is 1,024 bytes.
_MEMORY = re.compile(
    _NUMBER + r"\s*-?\s*(k|m|)(?:i?b|(?:ilo|ega|ibi|ebi)?bytes?)\b(?!\s*(?:/|per)\s*s)",
    re.IGNORECASE,
)
_UNIT_BYTES = {"": 1, "k": 1024, "m": 1024 * 1024}
_MEMORY_KIND = r"(s?ram|memory|flash|rom|storage)"
_KIND_BEHIND = re.compile(
    r"\s*(?:of\s+|for\s+|in\s+)?(?:the\s+|its\s+|internal\s+|on-chip\s+|free\s+){0,2}"
    + _MEMORY_KIND
    + r"\b",
    re.IGNORECASE,
)
_KIND_IN_FRONT = re.compile(_MEMORY_KIND + r"\b[^,;.]*$", re.IGNORECASE)

_PERCENT = re.compile(_NUMBER + r"\s*-?\s*(?:%|percent\b|per cent\b)", re.IGNORECASE)
_SHARE_OF_HARDWARE = re.compile(
    r"\s*(?:of\s+)?(?:the\s+|its\s+)?(?:s?ram|memory|flash|rom|cpu|cycles|battery|time)\b",
    re.IGNORECASE,
)
_ERROR_WORD = re.compile(r"\berrors?(?:\s+rate)?\b", re.IGNORECASE)
_FRACTION = re.compile(
    r"\baccura\w+\s*(?:of|above|over|at least|>=|≥|>|=|:)?\s*(?:at least\s*)?(0?\.\d{1,9})\b",
    re.IGNORECASE,
)


def number(text: str) -> float:
    """Read a number as people write it: "1,000" is a thousand, "1,5" one and a half."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))


def latency_ms(text: str) -> float | None:
    """Return the strictest latency that the text asks for, in milliseconds."""
    found = [number(m[1]) * _MILLISECONDS[m[2][0].lower()] for m in _LATENCY.finditer(text)]
    found += [number(m[1]) * 1000.0 for m in _SECONDS.finditer(text)]
    found += [1000.0 / number(m[1]) for m in _RATE.finditer(text) if number(m[1]) > 0]
    return min((value for value in found if value > 0), default=None)


def memory_bytes(text: str) -> dict[Literal["ram", "flash"], int]:
    """Return the strictest memory limits of the text, in bytes.

    An amount belongs to the kind of memory named right behind it, else to the nearest one
    in front of it in the same clause; one that names no kind is taken as RAM, the scarcer.
    """
    found: dict[Literal["ram", "flash"], int] = {}
    for match in _MEMORY.finditer(text):
        size = int(number(match[1]) * _UNIT_BYTES[match[2].lower()])
        kind = _kind_of_memory(text[: match.start()], text[match.end() :])
        if size > 0:
            found[kind] = min(size, found.get(kind, size))
    return found


def _kind_of_memory(in_front: str, behind: str) -> Literal["ram", "flash"]:
    named = _KIND_BEHIND.match(behind) or _KIND_IN_FRONT.search(in_front)
    return "flash" if named and named[1].lower() in ("flash", "rom", "storage") else "ram"


def accuracy(text: str) -> float | None:
    """Return the highest accuracy that the text asks for, as a fraction of 1."""
    found = [float(match[1]) for match in _FRACTION.finditer(text)]
    for match in _PERCENT.finditer(text):
        behind = text[match.end() :]
        if _SHARE_OF_HARDWARE.match(behind):
            continue
        share = number(match[1]) / 100.0
        nearby = text[max(0, match.start() - 24) : match.start()] + " " + behind[:12]
        found.append(1.0 - share if _ERROR_WORD.search(nearby) else share)
    return max((value for value in found if 0.0 < value <= 1.0), default=None)
