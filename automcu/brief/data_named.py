"""Data sets named in a sentence: well-known names, what people call them, and paths."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# Words for data in general, "digits" say, go with the more specific name: "MNIST digits" is MNIST.
_SYNONYMS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE))
    for name, pattern in (
        ("fashion-mnist", r"fashion[-_ ]?mnist"),
        ("mnist", r"(?<!fashion[-_ ])(?<!fashion)mnist"),
        ("cifar-100", r"cifar[-_ ]?100"),
        ("cifar-10", r"cifar[-_ ]?10"),
        (
            "digits",
            r"(?:hand[- ]?written |hand[- ]?drawn |handgeschriebenen? )?"
            r"(?:digits?|numerals?|ziffern?|chiffres?|dígitos?|cifre)"
            r"(?: written by hand| manuscrits| escritos a mano)?"
            r"|(?:hand[- ]?written|hand[- ]?drawn)[- ]numbers?",
        ),
        ("fashion-mnist", r"clothes|clothing|garments?"),
    )
)
_GENERAL = {"digits": ("mnist",)}
"""Data whose words also describe more specific data."""

DATASET_NAMES = tuple(dict.fromkeys(name for name, _ in _SYNONYMS))
"""The data sets that a sentence can name."""

_NOUN = r"(?:data ?sets?|data|folder|directory|file|datensatz|daten|ordner|dossier|données)"
_PATHS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"""(?P<all>["'“„«]\s?(?P<path>[^"'”“»\n]*(?:/|\.npz|\.csv)[^"'”“»\n]*?)\s?["'”“»])""",
        rf"""(?P<all>\b{_NOUN}:?\s+(?:in |from |aus |at )?["'“„«](?P<path>[^"'”“»\n]+)["'”“»])""",
        r"(?P<all>(?<![\w/])(?P<path>(?:~|\.{1,2})?/[\w.~](?:[^\s,;'\"()]*[\w/])?|[\w./-]+\.(?:npz|csv)\b))",
        rf"(?P<all>\b(?:from|in|aus|dans|{_NOUN})\s+(?P<path>(?![\d.,]+\s?[a-z]{{1,2}}/)[\w.-]{{2,}}/[\w./-]*\w/?))",
    )
)

_WORDS_OF_A_LIMIT = re.compile(
    r"(?:s?ram|flash|rom)/(?:s?ram|flash|rom)|\d\s?[km]?b/\d", re.IGNORECASE
)


_ALTERNATIVE = re.compile(
    r"[\s(,]*(?:or|not|vs|instead of|rather than|oder|nicht|statt|ou|pas)\s+", re.IGNORECASE
)


@dataclass(frozen=True)
class NamedData:
    """`name`: the data set or path that a text names; `others`: more of them that do not agree.

    `spans` are the parts of the text that name them.
    """

    name: str | None
    others: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def find_data(text: str) -> NamedData:
    """Find the data that a text names: a path as it stands, else a well-known name."""
    named = [
        (name, match.span()) for name, pattern in _SYNONYMS for match in pattern.finditer(text)
    ]
    for pattern in _PATHS:
        if (match := pattern.search(text)) and not _WORDS_OF_A_LIMIT.search(match["path"]):
            span = match.span("all")
            outside = [inner for _, inner in named if inner[1] <= span[0] or inner[0] >= span[1]]
            return NamedData(match["path"], (), tuple(sorted([span, *outside])))
    names = list(dict.fromkeys(name for name, _ in named))
    if not _names_alternatives(text, [span for _, span in named]):
        names = [name for name in names if not any(one in names for one in _GENERAL.get(name, ()))]
    specific = names
    spans = tuple(sorted({span for _, span in named}))
    if not specific:
        return NamedData(None, (), ())
    return NamedData(specific[0], tuple(specific[1:]), spans)


def _names_alternatives(text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Say whether "or" or "not" stands between two names: "digits or MNIST" is no one set."""
    ordered = sorted(spans)
    return any(_ALTERNATIVE.fullmatch(text[one[1] : other[0]]) for one, other in pairwise(ordered))
