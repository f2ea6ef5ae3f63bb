"""A sentence read by rules: no model, no network, the same answer every time.

It is read whole. Each character belongs to something that was read, to a problem, to words that
were not used, or to words that say nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from automcu.brief.amounts import tokenise
from automcu.brief.boards_named import NamedBoards, find_boards
from automcu.brief.brief import Draft, Problem
from automcu.brief.limits import SaidLimit, read_limits_said
from automcu.brief.vocabulary import DIRECTIONS, FILLER

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

LONGEST_READ = 4000
"""Characters of a sentence that are read: whoever pastes a document is asked for its gist."""

Span = tuple[int, int]
_TRANSFORMER = re.compile(r"\b(?:vision[- ])?transformers?\b|\bf?t?er?vits?\b|\bvits?\b", re.I)
_CONVOLUTIONAL = re.compile(r"\bcnns?\b|\bconv(?:olution(?:al)?)?[- ]?(?:nets?|networks?)\b", re.I)
_READ = "\ufffc"
# The full-width forms of ASCII, which keyboards of East Asia write, are 0xFEE0 above it.
_FULL_WIDTH = {code + 0xFEE0: code for code in range(0x21, 0x7F)} | {ord("≦"): "≤", ord("≧"): "≥"}
_BREAKS = frozenset(",;:!?()[]{}\n")


@dataclass(frozen=True)
class NamedData:
    """`name`: the data set or path that a text names; `others`: more of them that do not agree.

    `spans` are the parts of the text that name them.
    """

    name: str | None
    others: tuple[str, ...]
    spans: tuple[Span, ...]


def read_sentence(text: str, boards: Mapping[str, Iterable[str]]) -> Draft:
    """Read what a sentence says about board, data, limits and goal; never raises.

    Args:
        text: any text; English is read best, limits in German and French as well.
        boards: board id → its other names.
    """
    original, text = text, text[:LONGEST_READ].translate(_FULL_WIDTH)
    data = find_data(text)
    left = _without(text, data.spans)
    family, family_spans = _family(left)
    left = _without(left, family_spans)
    known = find_boards(left, boards)
    left = _without(left, (*known.spans, *known.maker_spans))
    said = read_limits_said(left)
    others = find_boards(_without(left, said.amount_spans), boards)
    unknown = _unknown_boards(text, known, others)
    read = (*data.spans, *family_spans, *known.spans, *known.maker_spans, *said.spans)
    if unknown:
        read = (*read, *others.unknown_spans)
    return Draft.model_validate(
        {
            "text": original,
            "boards": known.ids,
            "unknown_boards": unknown,
            "dataset": data.name,
            "family": family,
            **_limits(said.limits),
            "problems": (*_too_long(original), *said.problems, *_two_data_sets(data)),
            "unused": _unused(text, read),
        }
    )


def _without(text: str, spans: Sequence[Span]) -> str:
    """Return the text with what was read blotted out; all else keeps its place."""
    for start, end in spans:
        text = text[:start] + _READ * (end - start) + text[end:]
    return text


def _family(text: str) -> tuple[Literal["cnn", "vit"] | None, tuple[Span, ...]]:
    transformers = tuple(match.span() for match in _TRANSFORMER.finditer(text))
    convolutional = tuple(match.span() for match in _CONVOLUTIONAL.finditer(text))
    if transformers:
        return "vit", transformers
    return ("cnn", convolutional) if convolutional else (None, ())


def _unknown_boards(text: str, known: NamedBoards, left: NamedBoards) -> tuple[str, ...]:
    """Return the words for boards that are not known.

    Words that only look like a board matter where none is known, a maker's name always.
    """
    makers = [" ".join(text[start:end].split()) for start, end in known.maker_spans]
    return tuple(dict.fromkeys([*makers, *(left.unknown_makers if known.ids else left.unknown)]))


def _two_data_sets(data: NamedData) -> tuple[Problem, ...]:
    if not data.others:
        return ()
    names = " or ".join(str(name) for name in (data.name, *data.others))
    return (
        Problem(
            words=names,
            message=f"Which data are meant: {names}? Name one of them, or give --data.",
            settled_by=("dataset",),
        ),
    )


def _too_long(text: str) -> tuple[Problem, ...]:
    if len(text) <= LONGEST_READ:
        return ()
    message = (
        f"The sentence has {len(text):,} characters, of which {LONGEST_READ:,} were read. "
        "Say board, data and limits in a few sentences."
    )
    return (Problem(words=f"what follows character {LONGEST_READ:,}", message=message),)


def _limits(said: Sequence[SaidLimit]) -> dict[str, Any]:
    """Return the strictest limit of each kind; where there are several, a note says so."""
    found: dict[str, Any] = {}
    notes: dict[str, str] = {}
    for field in dict.fromkeys(one.field for one in said):
        same = [one for one in said if one.field == field]
        strictest = max if field == "min_accuracy" else min
        one = strictest(same, key=lambda limit: limit.value)
        found[field] = int(one.value) if field.endswith("_bytes") else one.value
        more = f"the stricter of {len(same)}" if len({each.value for each in same}) > 1 else None
        note = "; ".join(part for part in (one.note, more) if part)
        if note:
            notes[field] = note
    return {**found, "notes": notes}


def _unused(text: str, read: Sequence[Span]) -> tuple[str, ...]:
    """Return what is left, in groups of words that stand together and say something."""
    groups: list[Span] = []
    end_of_last = None
    for token in tokenise(text):
        inside = any(start < token.end and token.start < end for start, end in read)
        ends = inside or token.text in _BREAKS or _ends_a_sentence(text, token.end, token.text)
        if ends:
            end_of_last = None
            continue
        if end_of_last is None:
            groups.append((token.start, token.end))
        else:
            groups[-1] = (groups[-1][0], token.end)
        end_of_last = token.end
    found = [_trimmed(text[start:end]) for start, end in groups]
    return tuple(group for group in found if group)


def without_words(groups: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """Return word groups without those words, which were read after all."""
    left = list(groups)
    for quote in words:
        pattern = re.compile(re.escape(" ".join(quote.split())), re.IGNORECASE)
        left = [part for group in left for part in _cut(pattern, quote, group)]
    return tuple(part for part in map(_trimmed, left) if part)


def _cut(pattern: re.Pattern[str], quote: str, group: str) -> list[str]:
    if group.casefold() in " ".join(quote.split()).casefold():
        return []
    return pattern.split(group)


def _ends_a_sentence(text: str, end: int, token: str) -> bool:
    return token == "." and (end == len(text) or text[end].isspace())


def _trimmed(group: str) -> str:
    """Drop words that say nothing from both ends."""
    tokens = list(tokenise(group))
    while tokens and _says_nothing(tokens[0].lower):
        if tuple(token.lower for token in tokens[:2]) in DIRECTIONS:  # "at least one camera"
            break
        tokens.pop(0)
    while tokens and _says_nothing(tokens[-1].lower):
        tokens.pop()
    if not tokens:
        return ""
    return " ".join(group[tokens[0].start : tokens[-1].end].split())


def _says_nothing(word: str) -> bool:
    return word in FILLER or (not any(char.isalnum() for char in word) and word not in "'\"%$€<>≤≥")


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
