"""Data sets named in a sentence: well-known names, what people call them, and paths."""

import re

# The first that matches wins, so the more specific names come first: "MNIST digits" is MNIST.
_SYNONYMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE))
    for name, pattern in (
        ("fashion-mnist", r"fashion[-_ ]?mnist"),
        ("mnist", r"mnist"),
        ("cifar-100", r"cifar[-_ ]?100"),
        ("cifar-10", r"cifar[-_ ]?10"),
        ("digits", r"(?:hand[- ]?written|hand[- ]?drawn)[- ](?:digits?|numbers?|numerals?)"),
        ("digits", r"digits?|numerals?"),
        ("fashion-mnist", r"clothes|clothing|garments?"),
    )
)

DATASET_NAMES = tuple(dict.fromkeys(name for name, _ in _SYNONYMS))
"""The data sets that a sentence can name."""

_QUOTED_PATH = re.compile(r"""["']([^"'\n]*(?:/|\.npz|\.csv)[^"'\n]*)["']""")
_PATH = re.compile(r"(?<![\w/])(?:(?:~|\.{1,2})?/[^\s,;'\"]+|[\w./-]+\.(?:npz|csv)\b)")
_PATH_BEHIND_A_WORD = re.compile(
    r"\b(?:from|in|folder|directory|data|dataset|on)\s+([\w.-]{3,}/[\w./-]+)", re.IGNORECASE
)


def find_dataset(text: str) -> str | None:
    """Return the data set that `text` names: a path as it stands, else a well-known name."""
    for pattern in (_QUOTED_PATH, _PATH, _PATH_BEHIND_A_WORD):
        if match := pattern.search(text):
            return match[match.lastindex or 0].rstrip(".:!?")
    return next((name for name, pattern in _SYNONYMS if pattern.search(text)), None)
