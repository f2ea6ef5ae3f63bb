"""The amounts in a text: each number with its unit, and where it stands.

A text becomes tokens, tokens become amounts; what an amount limits is for `limits` to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from automcu.brief.vocabulary import (
    ARTICLES,
    DIGITS,
    LONGEST_FRENCH,
    NEVER_ALONE,
    SHARES,
    THOUSANDS,
    UNITS,
    Dimension,
    digits_value,
    french_value,
    meant_instead,
    multiplier,
    spoken_value,
    unit_named,
    word_set,
    word_value,
)

_TOKEN = re.compile(
    r"(?P<times>(?<=\d)[x×*](?=[^\W_]))"
    r"|(?P<name>(?!(?:under|below|within|sub|over|unter)\d)[^\W\d_½¼¾⅓⅔⅛][^\W_]*\d[\w-]*"
    r"|(?!(?:under|sub|below|max|min|over|above|than|unter)-)[^\W\d_]+-\d+(?![\w.,-]))"
    rf"|(?P<number>{DIGITS})"
    r"|(?P<elision>\b(?:[dlnsj]|qu)['’](?=\w))|(?P<word>[^\W\d_½¼¾⅓⅔⅛]+(?:['’][^\W\d_]+)?)|(?P<symbol><=|>=|=<|=>|==|[^\w\s]|_)",
    re.IGNORECASE,
)
_FOREIGN = re.compile(
    r"\b(?:auf|mit|höchstens|mindestens|und|erkennen|weniger|prozent|genauigkeit|nicht|für|der|"
    r"das|sur|avec|moins|des|une|plus de|reconnaître|pour|avec|con|menos|para|meno|su)\b",
    re.IGNORECASE,
)

TokenKind = Literal["name", "number", "word", "symbol"]


@dataclass(frozen=True)
class Token:
    """A word, a number, a name with digits in it, or a symbol, and where it stands in the text."""

    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        """The token in lower case."""
        return self.text.lower().replace("’", "'")


@dataclass(frozen=True)
class Amount:
    """A number with its unit: tokens `first` up to, not including, `end`.

    `value` is in the dimension's own unit, None where the number cannot be read. `per` is what it
    was said to be for, where that is no inference; `hint` a unit that may have been meant;
    `of_errors` says that it counts them, as "one error in 50".
    """

    first: int
    end: int
    dimension: Dimension
    value: float | None
    by_article: bool = False
    in_digits: bool = True
    unit_factor: float = 1.0
    per: str | None = None
    hint: str | None = None
    of_errors: bool = False


@dataclass(frozen=True)
class _Number:
    value: float | None
    end: int
    by_article: bool = False
    in_digits: bool = True


INFERENCE_WORDS = word_set(
    """
    inference inferences frame frames image images picture pictures photo photos sample samples
    classification classifications prediction predictions detection detections run runs
    recognition recognitions decision decisions digit digits result results answer answers input
    inferenz inferenzen bild bilder bildern klassifikation klassifikationen vorhersage erkennung
    inférence inférences prédiction imagen
    """
)
"""What one run of the network may be called."""

_TIMES = frozenset(("times", "time", "x", "×", "mal", "fois", "veces", "inf"))
_PER = frozenset(("per", "a", "an", "each", "every", "pro", "je", "par", "por", "/", "al"))
_ERRORS = frozenset(("error", "errors", "mistake", "mistakes", "fehler", "wrong"))
_VAGUE = word_set("few several couple tens hundreds dozens einige wenige paar quelques")
_CLASS_WORDS = frozenset(("digit", "digits", "input", "result", "results", "answer", "answers"))
"""Words of an inference that are counted for other reasons: "10 digits in 20 ms" are 10 classes."""
_NO_UNITS = frozenset(("d", "x", "st", "nd", "rd", "th", "er", "te", "ten", "e", "ème"))
_LEADING_LETTERS = re.compile(r"[^\W\d_]+")
_PREFIXES = frozenset(("nano", "micro", "mikro", "milli", "kilo", "mega"))
_LARGEST_DENOMINATOR = 16
_DECIMAL_POINTS = frozenset(("point", "komma", "virgule", "coma"))
_EVERY = frozenset(("every", "each", "alle", "jede", "jeden", "chaque", "cada"))
_HYPHENS = frozenset("-‐‑–")


def tokenise(text: str) -> tuple[Token, ...]:
    """Split a text into tokens; what is between them is white space."""
    found = []
    for match in _TOKEN.finditer(text):
        group = match.lastgroup or "symbol"
        kind = cast(TokenKind, {"times": "symbol", "elision": "word"}.get(group, group))
        found.append(Token(kind, match.group(), match.start(), match.end()))
    return tuple(found)


def has_decimal_comma(text: str) -> bool:
    """Say whether a text is in a language that writes 1,5 for one and a half."""
    return bool(_FOREIGN.search(text))


def find_amounts(tokens: Sequence[Token], decimal_comma: bool = False) -> tuple[Amount, ...]:
    """Return the amounts in tokens, in their order; they do not overlap.

    Numbers alone are of dimension "count", an article alone is none.
    """
    reader = _Reader(tokens, decimal_comma)
    found: list[Amount] = []
    position = 0
    while position < len(tokens):
        amount = reader.amount_at(position)
        if amount:
            found.append(amount)
        position = amount.end if amount else position + 1
    return tuple(found)


def single_amount(text: str, dimension: Dimension) -> float | None:
    """Read a text that is one amount of a dimension and nothing else, as a flag's value is."""
    tokens = tokenise(text)
    amounts = find_amounts(tokens)
    if len(amounts) != 1 or (amounts[0].first, amounts[0].end) != (0, len(tokens)):
        return None
    amount = amounts[0]
    if amount.dimension == "thousand" and dimension == "memory":
        return amount.value
    return amount.value if amount.dimension == dimension and amount.per is None else None


class _Reader:
    """Reads one amount at a position of the tokens."""

    def __init__(self, tokens: Sequence[Token], decimal_comma: bool) -> None:
        self._tokens = tokens
        self._decimal_comma = decimal_comma

    def amount_at(self, at: int) -> Amount | None:
        every = self._every(at)
        if every:
            return every
        number = self._number(at)
        if number is None:
            return None
        return self._with_unit(at, number)

    def _word(self, at: int) -> str:
        return self._tokens[at].lower if 0 <= at < len(self._tokens) else ""

    def _touches(self, at: int) -> bool:
        """Say whether a token follows the one before it without a space."""
        return 0 < at < len(self._tokens) and self._tokens[at - 1].end == self._tokens[at].start

    def _number(self, at: int) -> _Number | None:
        sign = self._word(at) in ("-", "−") and self._stands_free(at)
        start = at + 1 if sign and self._touches(at + 1) else at
        if start < len(self._tokens) and self._tokens[start].kind == "number":
            number: _Number | None = self._digits(start)
        else:
            number = self._spoken(start) if start == at else None
        if number and start > at and number.value is not None:
            return _Number(-number.value, number.end)
        return number

    def _stands_free(self, at: int) -> bool:
        """Say whether a minus is a sign: nothing before it, a space, or a bracket."""
        return not self._touches(at) or self._word(at - 1) in ("(", "<", ">", "=", "≤", "≥", ":")

    def _digits(self, at: int) -> _Number:
        value = digits_value(self._tokens[at].text, self._decimal_comma)
        end = at + 1
        fraction = self._fraction(at)
        if fraction is not None:
            return _Number(fraction, self._behind_ordinal(at + 3))
        if value is not None and (more := self._fraction(end)) is not None:
            return _Number(value + more, end + 3)
        if value is not None and end < len(self._tokens):
            times = multiplier(self._word(end))
            if (times and times >= 1e3) or self._word(end) == "hundred":
                return _Number(value * (times or 1.0), end + 1)
        return _Number(value, end)

    def _behind_ordinal(self, at: int) -> int:
        """Return where "th of a" behind "1/20" ends."""
        if self._word(at) not in ("th", "rd", "nd", "st") or not self._touches(at):
            return at
        at += 1 + (self._word(at + 1) == "of")
        return at + (self._word(at) in ARTICLES)

    def _fraction(self, at: int) -> float | None:
        """Read "1/2", but not "64/256"."""
        parts = self._tokens[at : at + 3]
        if len(parts) < 3 or parts[1].text not in ("/", "⁄") or parts[0].kind != "number":
            return None
        if parts[2].kind != "number" or not self._touches(at + 1) or not self._touches(at + 2):
            return None
        above, below = digits_value(parts[0].text), digits_value(parts[2].text)
        if above is None or below is None or not 0 < above < below:
            return None
        if above != 1.0 and below > _LARGEST_DENOMINATOR:
            return None
        return above / below

    def _spoken(self, at: int) -> _Number | None:
        """Read number words: "sixty-four", "two hundred and fifty", "half a", "a fiftieth of a"."""
        share = self._share(at)
        if share:
            return share
        french = self._french(at)
        if french:
            return french
        vague = at + (self._word(at) in ARTICLES)
        if self._word(vague) in _VAGUE:
            return _Number(None, vague + 1 + (self._word(vague + 1) == "of"), in_digits=False)
        values: list[tuple[float, bool]] = []
        end = at
        if self._word(at) in ARTICLES:
            if multiplier(self._word(at + 1)) is None:
                return self._article(at)
            values.append((1.0, False))
            end = at + 1
        while (value := self._word_value(end)) is not None:
            values.append(value)
            end += 1
            joint = end + 1 if self._word(end) in ("and", "-", "et") and values else end
            if joint > end and self._word_value(joint) is not None:
                end = joint
        if not values:
            return None
        total = spoken_value(values)
        decimals, end = self._decimals(end)
        total = None if total is None or decimals is None else total + decimals
        half = self._and_a_half(end)
        if total is not None and half:
            return _Number(total + half[0], half[1], in_digits=False)
        return _Number(total, end, in_digits=False)

    def _french(self, at: int) -> _Number | None:
        """Read a French numeral of several words: "quatre-vingt-dix-sept"."""
        words: list[str] = []
        found = None
        end = at
        while len(words) < LONGEST_FRENCH and end < len(self._tokens):
            words.append(self._word(end))
            end += 1
            value = french_value(words)
            if value is not None and len(words) > 1:
                found = _Number(value, end, in_digits=False)
            end += self._word(end) in _HYPHENS
        return found

    def _decimals(self, at: int) -> tuple[float | None, int]:
        """Read "point two five"; 0 where there are none, None where they cannot be read."""
        if self._word(at) not in _DECIMAL_POINTS:
            return 0.0, at
        end = at + 1
        digits = ""
        while (value := self._word_value(end)) is not None and not value[1]:
            digits += f"{value[0]:g}" if value[0] < 10 or not digits else "?"
            end += 1
        if not digits:
            return 0.0, at
        return (float(f"0.{digits}") if digits.isdigit() else None), end

    def _word_value(self, at: int) -> tuple[float, bool] | None:
        word = self._word(at)
        times = multiplier(word)
        if times and (self._word(at - 1), word) != ("pour", "cent"):
            return times, True
        value = word_value(word)
        return None if value is None or (word in ARTICLES and word != "one") else (value, False)

    def _article(self, at: int) -> _Number:
        half = self._and_a_half(at + 1)
        if half:
            return _Number(1.0 + half[0], half[1], in_digits=False)
        behind = self._word_value(at + 1)
        if behind is not None:
            return self._spoken(at + 1) or _Number(1.0, at + 1)
        return _Number(1.0, at + 1, by_article=True, in_digits=False)

    def _and_a_half(self, at: int) -> tuple[float, int] | None:
        """Read "and a half"."""
        if self._word(at) == "and" and self._word(at + 1) in ARTICLES:
            share = SHARES.get(self._word(at + 2))
            return None if share is None else (share, at + 3)
        return None

    def _share(self, at: int) -> _Number | None:
        """Read "half a", "a quarter of a", "three quarters of a", "ein halbes"."""
        count, named = 1.0, at
        if self._word(at) in ARTICLES and self._word(at + 1) in SHARES:
            named = at + 1
        elif self._word(at + 1) in SHARES and (value := word_value(self._word(at))) is not None:
            count, named = value, at + 1
        share = SHARES.get(self._word(named))
        if share is None:
            return None
        end = named + 1
        end += self._word(end) in ("of", "de", "d")
        end += self._word(end) in ARTICLES
        return _Number(count * share, end, in_digits=False)

    def _with_unit(self, at: int, number: _Number) -> Amount | None:
        for read in (self._rate, self._percent_words, self._ratio, self._measure, self._thousands):
            amount = read(at, number)
            if amount:
                return amount
        misspelled = self._misspelled(at, number)
        if misspelled or number.by_article:
            return misspelled
        if not number.in_digits:
            return Amount(at, number.end, "count", number.value, in_digits=False)
        size = self._size(number.end)
        if size > number.end:
            return Amount(at, size, "other", None)
        return Amount(at, number.end, "count", number.value)

    def _after_hyphen(self, at: int) -> int:
        return at + 1 if self._word(at) in _HYPHENS and self._touches(at) else at

    def _measure(self, at: int, number: _Number) -> Amount | None:
        named = self._after_hyphen(number.end)
        if named >= len(self._tokens):
            return None
        prefixed = self._word(named) + self._word(named + 1)
        apart = self._word(named) in _PREFIXES and prefixed in UNITS
        unit = UNITS[prefixed] if apart else unit_named(self._tokens[named].text)
        if unit is None or (number.by_article and not unit.spelled_out):
            return None
        value = None if number.value is None else number.value * unit.factor
        end, per = self._per(named + 1 + apart)
        dimension: Dimension = unit.dimension
        if per and per in UNITS and UNITS[per].dimension == "time":
            if dimension == "energy":  # energy in a time is power
                seconds = UNITS[per].factor / 1e3
                dimension, per = "power", None
                value = None if value is None else value / seconds
            elif dimension == "memory":
                dimension, per = "bandwidth", None
        return Amount(
            at, end, dimension, value, number.by_article, number.in_digits, unit.factor, per
        )

    def _per(self, at: int) -> tuple[int, str | None]:
        """Read "per inference"; returns where it ends and, if it is not of a run, of what."""
        if self._word(at) in ("for", "für", "pour", "per", "pro", "par"):
            several = self._for_several(at)
            if several[1] or self._word(at) not in _PER:
                return several
        if self._word(at) not in _PER:
            return at, None
        thing = self._word(at + 1)
        if self._word(at) == "each" and thing not in INFERENCE_WORDS:
            return at + 1, None
        if thing in INFERENCE_WORDS:
            return at + 2, None
        if thing in UNITS and (UNITS[thing].spelled_out or self._word(at) in ("/", "per")):
            return at + 2, thing
        if self._word(at) in ("per", "pro", "par", "por") and thing.isalpha():
            return at + 2, thing
        return at, None

    def _for_several(self, at: int) -> tuple[int, str | None]:
        """Read "for 10 images" and "per 1000 inferences", which are not per inference."""
        number = self._number(at + 1)
        if number is None or not number.value or number.value <= 1.0:
            return at, None
        thing = self._word(number.end)
        if thing not in INFERENCE_WORDS or thing in _CLASS_WORDS:
            return at, None
        return number.end + 1, f"{number.value:g} {thing}"

    def _rate(self, at: int, number: _Number) -> Amount | None:
        """Read "10 frames per second", "twice a minute", "one inference every 10 seconds"."""
        position = self._after_hyphen(number.end)
        runs = self._word(position) in INFERENCE_WORDS or self._word(position) in _TIMES
        position += runs
        counted = runs and self._word(position - 1) not in _CLASS_WORDS
        duration = self._duration(position) if counted else None
        position += runs and self._word(position) == "in"
        period = self._period(position) or duration
        spoken_often = self._word(at) in ("once", "twice", "thrice", "einmal", "zweimal")
        if period is None or not (runs or number.in_digits or spoken_often):
            return None
        if number.value is None:
            return Amount(at, period[1], "rate", None)
        per = "samples" if runs and self._word(position - 1).startswith("sample") else None
        rate = number.value * 1e3 / period[0]
        return Amount(at, period[1], "rate", rate, in_digits=number.in_digits, per=per)

    def _duration(self, at: int) -> tuple[float, int] | None:
        """Read "in 200 ms" and "in under 5 seconds" behind a number of inferences."""
        if self._word(at) not in ("in", "within", "en"):
            return None
        at += 1
        at += 2 if (self._word(at), self._word(at + 1)) == ("less", "than") else 0
        at += self._word(at) == "under"
        number = self._number(at)
        unit = UNITS.get(self._word(number.end)) if number else None
        if not number or not number.value or number.value <= 0:
            return None
        if unit is None or unit.dimension != "time":
            return None
        return number.value * unit.factor, number.end + 1

    def _period(self, at: int) -> tuple[float, int] | None:
        """Read "per second", "a minute", "every 10 s", "in der Sekunde", "/s"."""
        if self._word(at) in ("in", "pro", "per") and self._word(at + 1) in ("der", "einer"):
            at += 1
        elif self._word(at) not in _PER and self._word(at) not in _EVERY:
            return None
        unit = UNITS.get(self._word(at + 1))
        if unit and unit.dimension == "time":
            return unit.factor, at + 2
        number = self._number(at + 1)
        if self._word(at) == "/" or number is None or number.by_article:
            return None
        if not number.value or number.value <= 0:
            return None
        unit = UNITS.get(self._word(number.end))
        if unit is None or unit.dimension != "time":
            return None
        return number.value * unit.factor, number.end + 1

    def _every(self, at: int) -> Amount | None:
        """Read "every 10 seconds", which says how often."""
        first = at
        if self._word(at) in ARTICLES and self._word(at + 1) in INFERENCE_WORDS:
            at += 2
        if self._word(at) == "toutes" and self._word(at + 1) == "les":
            at += 1
        elif self._word(at) not in _EVERY and not (at > first and self._word(at) in _PER):
            return None
        if self._word(at) == "les":
            number = self._number(at + 1)
            unit = UNITS.get(self._word(number.end)) if number else None
            if not number or not number.value or not unit or unit.dimension != "time":
                return None
            return Amount(first, number.end + 1, "rate", 1e3 / (number.value * unit.factor))
        period = self._period(at)
        return period and Amount(first, period[1], "rate", 1e3 / period[0])

    def _percent_words(self, at: int, number: _Number) -> Amount | None:
        words = (self._word(number.end), self._word(number.end + 1))
        if words in (("per", "cent"), ("pour", "cent"), ("por", "ciento"), ("per", "cento")):
            return Amount(at, number.end + 2, "share", number.value, in_digits=number.in_digits)
        return None

    def _ratio(self, at: int, number: _Number) -> Amount | None:
        """Read "9 out of 10", "neun von zehn", "one in 50" as percent."""
        words = (self._word(number.end), self._word(number.end + 1))
        wrong = words[0] in _ERRORS
        start = number.end + wrong
        if (self._word(start), self._word(start + 1)) == ("out", "of"):
            behind = start + 2
        elif self._word(start) in ("in", "von", "sur") or (wrong and self._word(start) == "per"):
            behind = start + 1
        else:
            return None
        whole = self._number(behind)
        if whole is None or whole.by_article or not number.value or not whole.value:
            return None
        named = self._word(whole.end)
        if (
            words[0] == "in"
            and not wrong
            and (named in UNITS or whole.value < 2 or number.value >= whole.value)
        ):
            return None
        named = self._word(whole.end)
        end = whole.end + (named in ("times", "cases", "images", "fällen", "cas", "tries"))
        percent = 100.0 * number.value / whole.value
        return Amount(at, end, "share", percent, in_digits=number.in_digits, of_errors=wrong)

    def _thousands(self, at: int, number: _Number) -> Amount | None:
        """Read "64k", "64 K" and "64 k bytes"."""
        if number.end >= len(self._tokens) or number.by_article:
            return None
        factor = THOUSANDS.get(self._tokens[number.end].text)
        if factor is None:
            return None
        value = None if number.value is None else number.value * factor
        spelled = UNITS.get(self._word(number.end + 1))
        if spelled and spelled.dimension == "memory" and spelled.factor == 1.0:
            return Amount(at, number.end + 2, "memory", value)
        return Amount(at, number.end + 1, "thousand", value)

    def _size(self, end: int) -> int:
        """Return where a size such as 32x32x3 ends."""
        while self._word(end) in ("x", "×", "*") and self._word(end + 1)[:1].isdigit():
            end += 2
        return end

    def _misspelled(self, at: int, number: _Number) -> Amount | None:
        named = self._after_hyphen(number.end)
        if named >= len(self._tokens) or number.by_article:
            return None
        if self._tokens[named].kind == "name" and self._touches(named):
            prefix = _LEADING_LETTERS.match(self._word(named))
            if number.in_digits and prefix and prefix[0] in NEVER_ALONE:  # "20ms64KB"
                return Amount(at, named + 1, "count", number.value, hint="ms, KB, mJ or %")
            return None
        if self._tokens[named].kind != "word":
            return None
        hint = meant_instead(self._tokens[named].text)
        if hint is None and number.in_digits and self._touches(number.end):
            hint = None if self._word(named) in _NO_UNITS else "ms, KB, mJ or %"
        return (hint and Amount(at, named + 1, "count", number.value, hint=hint)) or None
