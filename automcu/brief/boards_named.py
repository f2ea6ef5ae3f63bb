"""Boards named in a sentence: exact names, part numbers, and words that only look like one."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]*")
_LONGEST_NAME_WORDS = 5

# "STM32F407VGT6": the first four characters after the family name the product line (RM0090 and
# its sisters are written for a line), the rest is the package and the memory size.
_STM32_LINE = re.compile(r"(?:stm32)?([fghluwc][0-9a-z]{3})[a-z0-9]{0,5}")
# A short prefix would match by accident; the shortest part name in use has four characters.
_SHORTEST_PREFIX = 4

BOARD_KINDS = {
    "discovery": "disc",
    "disco": "disc",
    "disc": "disc",
    "nucleo": "nucleo",
    "eval": "eval",
    "evaluation": "eval",
}
"""Words that say which of ST's boards around a part is meant, and how its name spells them."""

_VENDOR_WORD = re.compile(
    r"stm32|stm8|esp32|esp8266|nrf\d|nucleo|rp2\d|sam[cdelv]\d|atsam|lpc\d|m?imxrt|gd32|ch32|"
    r"msp430|atmega|attiny|max78|ef[mr]32|teensy|arduino|pico\b|raspberry|blackpill|bluepill|"
    r"disco\b|kendryte|k210|portenta|feather|xiao"
)
_LETTERS_AND_DIGITS = re.compile(r"(?=.*[a-z])(?=.*\d)[a-z0-9_+-]{4,}")
_NOT_A_BOARD = re.compile(
    r"int\d+|uint\d+|fp\d+|float\d+|\d+x\d+\w*|cifar\w*|nas\w*bench\w*|resnet\d+|"
    r"[\d.,]+[a-z%µμ]{1,12}|\d+x[a-z]+|[a-z]{2}\d{4}|[a-z]+-?\d{1,2}|\d+-?[a-z]+|h\.26[45]"
)
_NEAREST_SHOWN = 3
_RESEMBLANCE = 0.5


# Boards of other makers whose names are several words; a number in them is no amount.
_OTHER_MAKERS = re.compile(
    r"\braspberry(?:\s+pi)?(?:\s+(?:pico|zero|[2-5]))*(?:\s*w\b)?"
    r"|\brpi\b(?:\s+pico)?|\bpico(?:\s*[2w]\b)*"
    r"|\barduino(?:\s+(?:nano|uno|mega|due|mkr\w*|portenta|giga|every|zero|micro|r[34]|33|ble|sense|"
    r"rev\d|iot|h7|rp2040|connect|lite)\b)*"
    r"|\bteensy(?:\s*\d(?:\.\d)?)?|\bmicro:?bit\b|\bbeaglebone\w*|\bjetson(?:\s+\w+)?"
    r"|\bcoral(?:\s+micro|\s+dev\s+board)?\b|\b(?:blue|black)\s?pill\b|\bportenta(?:\s+h7)?",
    re.IGNORECASE,
)
# The family's first chip is called like the family, but is another one than those known here.
_CHIPS_OF_THEIR_OWN = frozenset(("esp32", "nrf", "esp"))
_STM32_FAMILY = re.compile(r"(?:stm32)?([fghluw]\d)")

Span = tuple[int, int]


@dataclass(frozen=True)
class NamedBoards:
    """What a text says of boards.

    `ids` are the boards that it names, where `spans` are. `unknown` are its words that only look
    like a board, where `unknown_spans` are; `unknown_makers` those of them that are sure to be
    one, of which names of several words are where `maker_spans` are.
    """

    ids: tuple[str, ...]
    unknown: tuple[str, ...]
    spans: tuple[Span, ...] = ()
    unknown_spans: tuple[Span, ...] = ()
    unknown_makers: tuple[str, ...] = ()
    maker_spans: tuple[Span, ...] = ()


def squash(name: str) -> str:
    """Reduce a name to what people agree on: "STM32 F407-Disc1" and "stm32f407disc1" are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_boards(text: str, boards: Mapping[str, Iterable[str]]) -> NamedBoards:
    """Find the boards that `text` names.

    Args:
        text: any text.
        boards: board id → its other names (aliases, MCU, product name).
    """
    names = {id: {squash(name) for name in (id, *others)} for id, others in boards.items()}
    found = list(_WORD.finditer(text))
    words = [match.group().rstrip("-_+") for match in found]
    mentions: list[frozenset[str]] = []
    spans: list[Span] = []
    unknown: list[tuple[str, Span]] = []
    position = 0
    while position < len(words):
        named, length = _match_at(words, position, names)
        last = position + length - 1
        span = found[position].start(), found[last].start() + len(words[last])
        if named:
            mentions.append(named)
            spans.append(span)
        elif _looks_like_a_board(words[position]):
            unknown.append((words[position], span))
        position += length
    ids = tuple(sorted(_agree(mentions)))
    others = _of_other_makers(text, spans)
    unknown = [one for one in unknown if not any(_overlap(one[1], span) for _, span in others)]
    makers = [one for one in unknown if _is_a_makers(one[0], ids, names)] + others
    return NamedBoards(
        ids=ids,
        unknown=tuple(dict.fromkeys(word for word, _ in (*unknown, *others))),
        spans=tuple(spans),
        unknown_spans=tuple(span for _, span in (*unknown, *others)),
        unknown_makers=tuple(dict.fromkeys(word for word, _ in makers)),
        maker_spans=tuple(span for _, span in others),
    )


def _of_other_makers(text: str, known: list[Span]) -> list[tuple[str, Span]]:
    return [
        (" ".join(match.group().split()), match.span())
        for match in _OTHER_MAKERS.finditer(text)
        if not any(_overlap(match.span(), span) for span in known)
    ]


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _is_a_makers(word: str, ids: tuple[str, ...], names: Mapping[str, set[str]]) -> bool:
    """Say whether a word is surely a board, and not the beginning of a name that is known."""
    plain = squash(word)
    begins = any(name.startswith(plain) for id in ids for name in names[id])
    return bool(_VENDOR_WORD.match(word.lower())) and not begins and plain not in BOARD_KINDS


def nearest_boards(words: Iterable[str], boards: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the ids of the boards whose names resemble `words` most, the nearest first."""
    wanted = [squash(word) for word in words]
    scores = {
        id: max(
            difflib.SequenceMatcher(None, word, squash(name)).ratio()
            for word in wanted
            for name in (id, *others)
        )
        for id, others in (boards.items() if wanted else ())
    }
    ranked = sorted(scores, key=lambda id: (-scores[id], id))
    return tuple(id for id in ranked if scores[id] >= _RESEMBLANCE)[:_NEAREST_SHOWN]


def _match_at(
    words: list[str], position: int, names: Mapping[str, set[str]]
) -> tuple[frozenset[str], int]:
    """Return the boards named at a position and how many words name them; the longest name wins."""
    for length in range(min(_LONGEST_NAME_WORDS, len(words) - position), 1, -1):
        span = squash("".join(words[position : position + length]))
        exact = frozenset(id for id, known in names.items() if span in known)
        if exact:
            return exact, length
    word = squash(words[position])
    if word in _CHIPS_OF_THEIR_OWN:
        return frozenset(), 1
    one_word = frozenset(id for id, known in names.items() if word in known) or frozenset(
        id for id, known in names.items() if _is_part_of(word, known)
    )
    return _of_the_kind_named(words, position, one_word, names), 1


def _is_part_of(word: str, known: set[str]) -> bool:
    family = _STM32_FAMILY.fullmatch(word)
    if family:
        return any(name.startswith(f"stm32{family[1]}") for name in known)
    if not _LETTERS_AND_DIGITS.fullmatch(word) or len(word) < _SHORTEST_PREFIX:
        return False
    line = _STM32_LINE.fullmatch(word)
    return any(
        name.startswith(word) or (line is not None and _line(name) == line[1]) for name in known
    )


def _line(name: str) -> str | None:
    match = _STM32_LINE.fullmatch(name)
    return match[1] if match else None


def _of_the_kind_named(
    words: list[str], position: int, ids: frozenset[str], names: Mapping[str, set[str]]
) -> frozenset[str]:
    """Keep the boards of the kind that a neighbouring word names: a Nucleo is no Discovery."""
    neighbours = words[max(0, position - 1) : position] + words[position + 1 : position + 2]
    kinds = {BOARD_KINDS[word.lower()] for word in neighbours if word.lower() in BOARD_KINDS}
    return frozenset(
        id for id in ids if all(any(kind in name for name in names[id]) for kind in kinds)
    )


def _agree(mentions: list[frozenset[str]]) -> frozenset[str]:
    """Several mentions of one board narrow it down; mentions of different boards all stand."""
    common = frozenset.intersection(*mentions) if mentions else frozenset()
    return common or frozenset().union(*mentions)


def _looks_like_a_board(word: str) -> bool:
    lowered = word.lower()
    if _VENDOR_WORD.match(lowered):
        return True
    return bool(_LETTERS_AND_DIGITS.fullmatch(lowered) and not _NOT_A_BOARD.fullmatch(lowered))
