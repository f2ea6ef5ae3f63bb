"""A sentence read by a language model, of which only stays what the sentence says.

The rules of `automcu.brief` read it first, and what they understood stands. The model fills in what
they left open, each entry with the words that say so; code looks these up and reads the figure in
them itself, with the parser that reads sentences by rules, so that no figure is the model's own.
Data are chosen among known names, never by path. So a sentence that tries to command the model, or
a model that makes things up, changes nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from automcu.brief import (
    BOARD_KINDS,
    DATASET_NAMES,
    Draft,
    LimitEntry,
    PhrasedText,
    Said,
    find_boards,
    read_limits_said,
    squash,
    without_words,
)
from automcu.planner.council import instructions
from automcu.planner.language_model import LanguageModel
from automcu.planner.records import Amount, IntakeAnswer, IntakeView, Named, Unit

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


_LONGEST_SENTENCE = 2000
_BOARDS_SHOWN = 200
_LEAST_LETTERS = 4

Boards = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Reading:
    """What a model read and the rules did not, with the words that it was read from."""

    draft: Draft
    words: tuple[tuple[str, str], ...]


def read_with_model(model: LanguageModel, draft: Draft, boards: Boards) -> Reading | None:
    """Ask for what a draft leaves open; None where there was no usable answer.

    Args:
        model: the language model; `problem` says why there was none.
        draft: what the rules, the file and the flags say; its text is the sentence.
        boards: board id → its other names.
    """
    view = IntakeView(
        sentence=draft.text[:_LONGEST_SENTENCE],
        boards=tuple(sorted(boards))[:_BOARDS_SHOWN],
        data=DATASET_NAMES,
    )
    answer = model.ask("intake", instructions("intake"), view, IntakeAnswer)
    return grounded(answer, draft, boards) if answer else None


def grounded(answer: IntakeAnswer, draft: Draft, boards: Boards) -> Reading:
    """Return of an answer what fills a gap of the draft and stands in its sentence."""
    found: dict[str, object] = {}
    words: list[tuple[str, str]] = []

    def take(entry: str, value: object, quote: str) -> None:
        found[entry] = value
        words.append((entry, quote))

    if answer.board and len(draft.boards) != 1:
        named = _boards(answer.board, draft, boards)
        if named:
            take("boards", named, answer.board.quote)
    if answer.data and draft.dataset is None and _names_data(answer, draft.text):
        take("dataset", answer.data.name, answer.data.quote)
    for entry, field in FIELDS.items():
        amount: Amount | None = getattr(answer, entry)
        if amount and getattr(draft, field) is None and _stands_in(amount.quote, draft.text):
            value = said_amount(entry, amount.amount, amount.unit, amount.quote)
            if value is not None:
                take(field, int(value) if field.endswith("_bytes") else value, amount.quote)
    left = without_words(draft.unused, [quote for _, quote in words])
    return Reading(
        Draft.model_validate({"text": draft.text, "unused": left, **found}), tuple(words)
    )


def _stands_in(quote: str, sentence: str) -> bool:
    """Say whether the sentence has the quote as whole words: "4 KB" is not in "64 KB"."""
    plain, wanted = (" ".join(text.casefold().split()) for text in (sentence, quote))
    return bool(wanted) and bool(re.search(rf"(?<![\w.,]){re.escape(wanted)}(?!\w)", plain))


def _names_data(answer: IntakeAnswer, sentence: str) -> bool:
    """Say whether data are known, and named by words that name nothing else."""
    data = answer.data
    if data is None or data.name not in DATASET_NAMES or not _stands_in(data.quote, sentence):
        return False
    others = (answer.board, *(getattr(answer, entry) for entry in FIELDS))
    if any(one and data.quote.casefold() in one.quote.casefold() for one in others):
        return False
    return any(len(word) >= _LEAST_LETTERS for word in re.findall(r"[^\W\d]+", data.quote))


def _boards(named: Named, draft: Draft, boards: Boards) -> tuple[str, ...]:
    """Return the boards that the quoted words fit best, the model's own alone where it is one.

    Several are an open question, none of them the model's is no answer.
    """
    if not _stands_in(named.quote, draft.text):
        return ()
    fitting = _best_fitting(named.quote, boards)
    if draft.boards:
        fitting = tuple(id for id in fitting if id in draft.boards)
    return fitting if named.name in fitting else ()


def _best_fitting(quote: str, boards: Boards) -> tuple[str, ...]:
    """Return the boards whose names hold most of the words, a part number or its end among them."""
    exact = find_boards(quote, boards).ids
    if len(exact) == 1:
        return exact
    words = re.findall(r"[a-z0-9]+", quote.lower())
    parts = [word for word in words if len(word) > 1 and re.search(r"\d", word)]
    kinds = [BOARD_KINDS[word] for word in words if word in BOARD_KINDS]
    scores = {id: _score(parts, kinds, (id, *others)) for id, others in boards.items()}
    best = max(scores.values(), default=0)
    return tuple(sorted(id for id, score in scores.items() if score and score == best))


def _score(parts: list[str], kinds: list[str], names: tuple[str, ...]) -> int:
    spelled = [squash(name) for name in names]
    held = sum(any(part in name for name in spelled) for part in parts)
    return held + sum(any(kind in name for name in spelled) for kind in kinds) if held else 0
