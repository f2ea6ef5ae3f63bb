"""A text in phrases: each amount with the words next to it that say what it limits, and which way.

An amount takes the direction ("under") and the subject ("of RAM") that stand next to it with
nothing but links between; no subject is taken twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from automcu.brief.amounts import (
    INFERENCE_WORDS,
    Amount,
    Token,
    find_amounts,
    has_decimal_comma,
    tokenise,
)
from automcu.brief.battery import NamedCells, find_cells
from automcu.brief.vocabulary import (
    COMPARISONS,
    DIRECTIONS,
    EXCEEDING,
    EXCEPTIONS,
    FACTOR_MARKS,
    FACTOR_WORDS,
    FILLER,
    LEFT_OVER,
    LINKS,
    LONGEST_PHRASE,
    MS_PER_DAY,
    NEGATIONS,
    OCCASIONS,
    OF_ALL,
    SUBJECTS,
    TIMES,
)

OPPOSITE = {"upper": "lower", "lower": "upper", "good": "bad", "bad": "good"}
"""Which way a limit goes after "not"."""

COMPARED = (" than", " als", " que")
"""How a direction ends that compares with an amount."""
_FEW_LINKS = 6
_AND = frozenset(("and", "und", "et", "/", "&", "+", "or"))
# Directions that may stand between an amount and its subject: "64 KB max RAM".
_INSIDE = frozenset(
    ("max", "maximum", "maximal", "min", "minimum", "limit", "in", "at", "or better", "or more")
) | {"or less"}
_SUBJECTS_OF: dict[str, tuple[str, ...]] = {
    "time": ("latency", "battery", "input", "sampling", "rate", "tolerance"),
    "memory": ("ram", "flash", "other", "input", "tolerance"),
    "thousand": ("ram", "flash", "other", "tolerance"),
    "share": ("accuracy", "error", "ram", "flash", "battery", "other", "tolerance"),
    "energy": ("energy", "battery", "other", "latency", "tolerance"),
    "power": ("energy", "battery", "other", "tolerance"),
    "rate": ("rate", "sampling", "input", "latency", "tolerance"),
    "frequency": ("sampling", "rate", "other"),
    "count": (
        *("latency", "energy", "ram", "flash", "accuracy", "error", "rate", "other", "tolerance"),
    ),
}


@dataclass(frozen=True)
class Phrase:
    """A few tokens, `first` up to, not including, `end`, that mean one thing together."""

    kind: Literal[
        "amount", "direction", "subject", "negation", "exception", "link", "word", "break"
    ]
    first: int
    end: int
    meaning: str = ""
    amount: Amount | None = None


@dataclass(frozen=True)
class Said:
    """An amount at phrase `at` with what stands next to it: `first` up to, not including, `end`.

    `words` are those of the direction; the subject "both" is RAM and flash together. `excepted`
    amounts are not meant ("instead of 20 ms"), to be left over, or a difference.
    """

    amount: Amount
    at: int
    first: int
    end: int
    direction: str | None = None
    words: str = ""
    subject: str | None = None
    excepted: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether words such as "under" or "at least" make it a limit."""
        return self.direction not in (None, "weak", "about")


class PhrasedText:
    """A text as tokens, battery cells, amounts and phrases."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenise(text)
        self.cells = find_cells(self.tokens)
        found = find_amounts(self.tokens, has_decimal_comma(text))
        self.amounts = _without_cells(found, self.cells)
        self.phrases = tuple(_phrases(self.tokens, self.amounts))
        self._claimed: set[int] = set()

    def said(self) -> tuple[Said, ...]:
        """Return the amounts with their surroundings, in their order."""
        found = [
            self._surroundings(at, phrase.amount)
            for at, phrase in enumerate(self.phrases)
            if phrase.amount is not None
        ]
        return tuple(one for one in found if _is_amount(one))

    def span(self, one: Said) -> tuple[int, int]:
        """Where an amount and its surroundings stand in the text."""
        return self.token_span(self.phrases[one.first].first, self.phrases[one.end - 1].end)

    def token_span(self, first: int, end: int) -> tuple[int, int]:
        """Where tokens stand in the text."""
        return self.tokens[first].start, self.tokens[end - 1].end

    def words(self, one: Said) -> str:
        """The words of an amount and its surroundings."""
        start, end = self.span(one)
        return " ".join(self.text[start:end].split())

    def between(self, one: Said, other: Said) -> list[str]:
        """The phrases between two amounts."""
        return [self._written(phrase) for phrase in self.phrases[one.at + 1 : other.at]]

    def word_behind(self, one: Said) -> str | None:
        """Return the word that stands right behind, if it says something."""
        if one.end >= len(self.phrases):
            return None
        phrase = self.phrases[one.end]
        word = self._written(phrase)
        return word if phrase.kind == "word" and word not in FILLER else None

    def _written(self, phrase: Phrase) -> str:
        return " ".join(token.lower for token in self.tokens[phrase.first : phrase.end])

    def _surroundings(self, at: int, amount: Amount) -> Said:
        subject = "error" if amount.of_errors else None
        said = self._look_left(Said(amount, at, at, at + 1, subject=subject))
        factor = self._factor_of(said)
        if factor is not None:
            said = replace(said, excepted=True, first=factor)
        behind = self._subject_behind(at, amount)
        if behind is not None and not self._belongs_further(said, behind):
            said = self._with_subject_behind(said, behind)
        elif said.subject is not None:
            self._claimed.update(range(said.first, at))
        said = self._not_exceeded_behind(self._comparison_behind(self._direction_behind(said)))
        said = self._left_over_behind(said)
        return replace(said, end=self._per_behind(said.end))

    def _look_left(self, said: Said) -> Said:
        links = 0
        for position in range(said.at - 1, -1, -1):
            phrase = self.phrases[position]
            if phrase.kind == "direction" and said.direction in (None, "weak", "about"):
                words = self._written(phrase)
                said = replace(said, direction=phrase.meaning, words=words, first=position)
                factor = self._factor_before(position) if words.endswith(COMPARED) else None
                if factor is not None:
                    return replace(said, excepted=True, first=factor)
            elif phrase.kind == "direction" and phrase.meaning in ("weak", "about", "upper"):
                continue
            elif phrase.kind == "negation" and said.is_strict and said.direction in OPPOSITE:
                opposite = OPPOSITE[said.direction]
                said = replace(said, direction=opposite, words="", first=position)
            elif phrase.kind == "exception" or (
                phrase.kind == "negation" and said.at - position <= _FEW_LINKS
            ):
                return replace(said, excepted=True, first=position)
            elif phrase.kind == "subject" and said.subject is None:
                if position in self._claimed or not _may_limit(phrase.meaning, said.amount):
                    return said
                said = replace(said, subject=phrase.meaning, first=position)
                if self._another_memory(position, -1, phrase.meaning) is not None:
                    said = replace(said, subject="both")
            else:
                links += 1
                if phrase.kind != "link" or links > _FEW_LINKS:
                    return said
        return said

    def _factor_before(self, at: int) -> int | None:
        """Return where "3 times" or "20 %" before "faster than" begins."""
        before = at - 1
        if before >= 0 and self._written(self.phrases[before]) in TIMES:
            before -= 1
        factor = self.phrases[before].amount if before >= 0 else None
        if factor is None:
            return before + 1 if before + 1 < at else None
        of_its_own = before > 0 and self.phrases[before - 1].kind == "subject"
        plain = factor.dimension in ("share", "count", "other")
        return before if plain and not of_its_own else None

    def _factor_of(self, said: Said) -> int | None:
        """Return where "twice" in "twice as fast as 40 ms" stands, "half" in "half the 64 KB"."""
        marked = False
        for position in range(said.at - 1, -1, -1):
            phrase = self.phrases[position]
            factor = phrase.amount
            if factor is not None:
                part_of_it = factor.value is not None and factor.value < 1.0
                marked = marked or self._written(phrase).endswith(" of")  # "half of"
                joined = marked or (part_of_it and position < said.at - 1)
                return position if joined and factor.dimension == "count" else None
            if phrase.kind == "exception":
                return position
            words = set(self._written(phrase).split())
            if not words <= FACTOR_WORDS and phrase.kind != "subject":
                return None
            marked = marked or bool(words & FACTOR_MARKS)
        return None

    def occasions_behind(self, one: Said) -> int | None:
        """Return the end of "of the time" behind a share, and of its likes."""
        at = one.end
        while at < len(self.phrases) and self._written(self.phrases[at]) in OF_ALL:
            at += 1
        found = at > one.end and at < len(self.phrases)
        return at + 1 if found and self._written(self.phrases[at]) in OCCASIONS else None

    def _with_subject_behind(self, said: Said, behind: int) -> Said:
        subject = self.phrases[behind].meaning
        self._claimed.add(behind)
        another = self._another_memory(behind, 1, subject)
        if another is not None and not self._has_an_amount(another):
            return replace(said, subject="both", end=another + 1)
        return replace(said, subject=subject, end=behind + 1)

    def _another_memory(self, at: int, step: int, subject: str) -> int | None:
        """Return where "and flash" beside "RAM" stands, if it is nobody else's."""
        joint, other = at + step, at + 2 * step
        if not (0 <= other < len(self.phrases)) or subject not in ("ram", "flash"):
            return None
        phrase = self.phrases[other]
        memory = phrase.kind == "subject" and phrase.meaning in ("ram", "flash")
        if not memory or phrase.meaning == subject or other in self._claimed:
            return None
        return other if self._written(self.phrases[joint]) in _AND else None

    def _has_an_amount(self, subject: int) -> bool:
        """Say whether an amount of its own follows: "and flash below 1 MB"."""
        behind = self._next_significant(subject + 1)
        return behind is not None and self.phrases[behind].kind == "amount"

    def _subject_behind(self, at: int, amount: Amount) -> int | None:
        for position in range(at + 1, min(len(self.phrases), at + 1 + _FEW_LINKS)):
            phrase = self.phrases[position]
            if phrase.kind == "subject":
                return position if _may_limit(phrase.meaning, amount) else None
            inside = phrase.kind == "direction" and self._written(phrase) in _INSIDE
            if phrase.kind != "link" and not inside:
                return None
        return None

    def _belongs_further(self, said: Said, subject: int) -> bool:
        """Say whether a subject between two amounts is the second one's.

        So it is where the first has one, in "RAM 64 KB flash 1 MB", where it fits the second alone,
        where it is a tolerance, or where what is between them says so: "97 % with RAM: 64 KB".
        """
        behind = self._next_significant(subject + 1)
        amount = self.phrases[behind].amount if behind is not None else None
        meaning = self.phrases[subject].meaning
        if amount is None or behind is None or not _may_limit(meaning, amount):
            return False
        if self._subject_behind(behind, amount) is not None:
            return False
        share_of_memory = said.amount.dimension == "share" and meaning in ("ram", "flash")
        joined = self._written(self.phrases[subject + 1]) in (":", "=")
        return said.subject is not None or share_of_memory or joined or meaning == "tolerance"

    def _next_significant(self, at: int) -> int | None:
        for position in range(at, len(self.phrases)):
            if self.phrases[position].kind not in ("link", "direction"):
                return position
        return None

    def _direction_behind(self, said: Said) -> Said:
        """Take "max" or "or better" behind an amount, unless another amount follows it."""
        for position in (said.at + 1, said.end):
            if position > said.end or position >= len(self.phrases) or said.is_strict:
                continue
            phrase = self.phrases[position]
            if phrase.kind != "direction" or phrase.meaning == "weak":
                continue
            if not self._has_an_amount(position):
                words = self._written(phrase)
                said = replace(
                    said,
                    direction=phrase.meaning,
                    words=words,
                    end=max(said.end, position + 1),
                    excepted=said.excepted or words.endswith(COMPARED),
                )
        return said

    def _comparison_behind(self, said: Said) -> Said:
        """Read "97 % < accuracy" and "5 ms < latency < 20 ms": the amount stands on the left."""
        at = said.at + 1
        if at + 1 >= len(self.phrases) or said.first < said.at:
            return said
        symbol, subject = self.phrases[at], self.phrases[at + 1]
        if self._written(symbol) not in COMPARISONS or subject.kind != "subject":
            return said
        if not _may_limit(subject.meaning, said.amount):
            return said
        opposite = OPPOSITE[symbol.meaning]
        return replace(said, direction=opposite, words="", subject=subject.meaning, end=at + 2)

    def _not_exceeded_behind(self, said: Said) -> Said:
        """Read "20 ms must not be exceeded"."""
        negated = False
        for position in range(said.end, min(len(self.phrases), said.end + _FEW_LINKS)):
            phrase = self.phrases[position]
            if phrase.kind == "direction" and self._written(phrase) in EXCEEDING:
                meaning = OPPOSITE[phrase.meaning] if negated else phrase.meaning
                return replace(said, direction=meaning, words="", end=position + 1)
            negated = negated or phrase.kind == "negation"
            if phrase.kind not in ("link", "negation"):
                return said
        return said

    def _left_over_behind(self, said: Said) -> Said:
        """Read "32 KB of RAM free", which is not for the network."""
        if said.end >= len(self.phrases) or said.amount.dimension not in ("memory", "thousand"):
            return said
        if self._written(self.phrases[said.end]) not in LEFT_OVER:
            return said
        return replace(said, excepted=True, end=said.end + 1)

    def _per_behind(self, end: int) -> int:
        """Take "per inference" behind "1 mJ of energy"."""
        words = [self._written(phrase) for phrase in self.phrases[end : end + 2]]
        said = len(words) == 2 and words[0] in ("per", "pro", "par", "each")
        return end + 2 if said and words[1] in INFERENCE_WORDS else end


def _may_limit(subject: str, amount: Amount) -> bool:
    return subject in _SUBJECTS_OF.get(amount.dimension, ("other", "sampling", "battery"))


def _is_amount(one: Said) -> bool:
    """Say whether it is more than words: "a second network" and "two boards" are not."""
    amount = one.amount
    if amount.by_article:
        long = amount.dimension == "time" and amount.unit_factor >= MS_PER_DAY
        return long or one.direction is not None or one.subject is not None
    if amount.in_digits or amount.dimension != "count":
        return True
    return one.is_strict or one.subject in ("ram", "flash", "accuracy", "error")


def _without_cells(amounts: Sequence[Amount], cells: Sequence[NamedCells]) -> tuple[Amount, ...]:
    return tuple(
        one
        for one in amounts
        if not any(one.first < cell.end and cell.first < one.end for cell in cells)
    )


def _phrases(tokens: Sequence[Token], amounts: Sequence[Amount]) -> Iterator[Phrase]:
    starts = {amount.first: amount for amount in amounts}
    position = 0
    while position < len(tokens):
        amount = starts.get(position)
        phrase = (
            Phrase("amount", position, amount.end, amount=amount)
            if amount
            else _phrase_at(tokens, position, starts)
        )
        yield phrase
        position = phrase.end


def _phrase_at(tokens: Sequence[Token], at: int, amounts: dict[int, Amount]) -> Phrase:
    for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
        if any(inner in amounts for inner in range(at, at + length)):
            continue
        words = tuple(token.lower for token in tokens[at : at + length])
        if words in DIRECTIONS:
            return Phrase("direction", at, at + length, DIRECTIONS[words])
        if words in SUBJECTS:
            return Phrase("subject", at, at + length, SUBJECTS[words])
        if words in EXCEPTIONS:
            return Phrase("exception", at, at + length)
    token = tokens[at]
    if token.lower in NEGATIONS:
        return Phrase("negation", at, at + 1)
    if token.lower in LINKS or _is_abbreviation_point(tokens, at):
        return Phrase("link", at, at + 1)
    return Phrase("word" if token.kind in ("word", "name") else "break", at, at + 1)


def _is_abbreviation_point(tokens: Sequence[Token], at: int) -> bool:
    """Say whether a point ends "max." or "ca." rather than a sentence."""
    if tokens[at].text != "." or at == 0 or tokens[at - 1].end != tokens[at].start:
        return False
    return tokens[at - 1].lower in ("max", "min", "ca", "approx", "mind")
