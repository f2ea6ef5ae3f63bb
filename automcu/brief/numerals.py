"""Numbers as people write them: digits with their separators, fractions, and words.

English words are read up to millions, German and French ones as far as limits are written in them.
"""

import re
import unicodedata
from collections.abc import Sequence

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_GERMAN_ONES = (
    *("null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"),
    *("elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn"),
    "neunzehn",
)
_GERMAN_TENS = (
    *("zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"),
)
_FRENCH_ONES = (
    *("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix"),
    *("onze", "douze", "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit"),
    "dix-neuf",
)
_FRENCH_TENS = {
    "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60,
    "septante": 70, "quatre-vingt": 80, "nonante": 90,
}  # fmt: skip


def _french() -> dict[str, float]:
    """Return 2 to 99 in French, as "quatre-vingt-dix-sept": hyphens between all words."""
    found = {word: float(value) for value, word in enumerate(_FRENCH_ONES) if value > 1}
    for tens, value in _FRENCH_TENS.items():
        found[tens] = float(value)
        upto = 20 if value in (60, 80) else 10
        for ones, word in enumerate(_FRENCH_ONES[1:upto], 1):
            found[f"{tens}-{word}"] = found[f"{tens}-et-{word}"] = float(value + ones)
    found["quatre-vingts"] = 80.0
    return found


_FRENCH = _french()
LONGEST_FRENCH = max(name.count("-") + 1 for name in _FRENCH)
"""Words in the longest French numeral below a hundred."""
_MULTIPLIERS = {
    "hundred": 100.0,
    "thousand": 1e3,
    "million": 1e6,
    "cent": 100.0,
    "mille": 1e3,
}
_GERMAN = {
    **{word: float(value) for value, word in enumerate(_GERMAN_ONES)},
    **{word: float(value) for value, word in zip(range(20, 100, 10), _GERMAN_TENS, strict=True)},
    "dreissig": 30.0,
    "eins": 1.0,
}
_WORDS = {
    **{word: float(value) for value, word in enumerate(_ONES)},
    **{word: float(value) for value, word in zip(range(20, 100, 10), _TENS, strict=True)},
    "dozen": 12.0,
    "once": 1.0,
    "twice": 2.0,
    "thrice": 3.0,
    "einmal": 1.0,
    "zweimal": 2.0,
    **_FRENCH,
}
_NAMED_SHARES = (
    *(("half", 2), ("third", 3), ("quarter", 4), ("fifth", 5), ("tenth", 10), ("twentieth", 20)),
    *(("fiftieth", 50), ("hundredth", 100), ("thousandth", 1000)),
    *(("halbes", 2), ("halbe", 2), ("halben", 2), ("halber", 2), ("viertel", 4), ("drittel", 3)),
    *(("demi", 2), ("quart", 4)),
)
SHARES = {word: 1.0 / parts for word, parts in _NAMED_SHARES} | {
    **{f"{word}s": 1.0 / parts for word, parts in _NAMED_SHARES[1:9]},
    **{
        f"{tens[:-1]}ieth": 1.0 / value
        for value, tens in zip(range(20, 100, 10), _TENS, strict=True)
    },
    **{f"{ones}th": 1.0 / value for value, ones in enumerate(_ONES) if value in (4, 6, 7, 10, 11)},
    **{f"{ones}th": 1.0 / value for value, ones in enumerate(_ONES) if value > 12},
    "eighth": 1 / 8,
    "ninth": 1 / 9,
    "twelfth": 1 / 12,
    "achtel": 1 / 8,
    **{
        f"{ones}tel": 1.0 / value
        for value, ones in enumerate(_GERMAN_ONES)
        if value in (5, 6, 9, 10)
    },
    **{
        f"{tens}stel": 1.0 / value
        for value, tens in zip(range(20, 100, 10), _GERMAN_TENS, strict=True)
    },
    "hundertstel": 0.01,
    "tausendstel": 0.001,
    "anderthalb": 1.5,
    "eineinhalb": 1.5,
    "zweieinhalb": 2.5,
}
"""Words for parts of one."""

ARTICLES = frozenset(
    ("a", "an", "one", "ein", "eine", "einen", "einem", "einer", "eines", "un", "une")
)
"""Words that say one where a unit follows."""

DIGITS = (
    r"\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?![\d])(?:[.,]\d+)?"
    r"|(?:\d|(?<![\w.,])[.,](?=\d))[\d_'’.,]*(?<![_'’.,])(?:e[+-]?\d+(?![\w]))?[½¼¾⅓⅔⅛]?"
    r"|[½¼¾⅓⅔⅛]"
)
"""A number in digits, whether or not it can be read, as a regular expression."""

_GROUPED = {
    ",": re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
    ".": re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?"),
}
_VULGAR = re.compile(r"[½¼¾⅓⅔⅛]")


def digits_value(text: str, decimal_comma: bool = False) -> float | None:
    """Read a number in digits; None where its separators make no sense.

    "1,000" is a thousand and "1.000" one, but where the language has a decimal comma it is the
    other way round. One separator before other than three digits is a decimal one in all of them.
    """
    vulgar = _VULGAR.search(text)
    if vulgar:
        before = digits_value(text[: vulgar.start()], decimal_comma) if vulgar.start() else 0.0
        return None if before is None else before + unicodedata.numeric(vulgar[0])
    plain = re.sub(r"[ \u00a0\u2009\u202f_'’]", "", text)
    mantissa, _, exponent = plain.lower().partition("e")
    value = _separated_value(mantissa, decimal_comma)
    if value is None or not exponent:
        return value
    return value * 10.0 ** int(exponent) if abs(int(exponent)) < 30 else None


def _separated_value(text: str, decimal_comma: bool) -> float | None:
    group = "." if decimal_comma else ","
    decimal = "," if decimal_comma else "."
    if _GROUPED[group].fullmatch(text) and not text.startswith("0"):
        return float(text.replace(group, "").replace(decimal, "."))
    if text.count(group) + text.count(decimal) > 1:
        if _GROUPED[decimal].fullmatch(text):  # "1.234.567,8" in an English sentence
            return float(text.replace(decimal, "").replace(group, "."))
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def word_value(word: str) -> float | None:
    """Read one number word, a German compound such as "zweihundertfünfzig" among them."""
    return _WORDS.get(word, _german_value(word))


def french_value(words: Sequence[str]) -> float | None:
    """Read a French numeral below a hundred in its words, without their hyphens."""
    return _FRENCH.get("-".join(words))


def multiplier(word: str) -> float | None:
    """Return what a word such as "hundred" multiplies the number before it by."""
    return _MULTIPLIERS.get(word)


def _german_value(word: str) -> float | None:
    if word in _GERMAN:
        return _GERMAN[word]
    for name, factor in (("tausend", 1000.0), ("hundert", 100.0)):
        before, found, behind = word.partition(name)
        if found:
            times = _german_value(before) if before else 1.0
            rest = _german_value(behind.removeprefix("und")) if behind else 0.0
            return None if times is None or rest is None else times * factor + rest
    ones, found, tens = word.partition("und")
    if found and ones in _GERMAN_ONES[1:10] and tens in (*_GERMAN_TENS, "dreissig"):
        return _GERMAN[ones] + _GERMAN[tens]
    return None


def spoken_value(values: list[tuple[float, bool]]) -> float | None:
    """Read a run of number words as one number: two, hundred, fifty are 250.

    Args:
        values: each word's value, and whether it multiplies.

    Returns:
        None where they make no number, as "ten twenty".
    """
    total, current, last = 0.0, 0.0, float("inf")
    for value, multiplies in values:
        if multiplies:
            current = max(current, 1.0) * value
            if value >= 1000.0:
                total, current = total + current, 0.0
            last = value
        elif value >= last or (last < 20.0) or (last < 100.0 and value >= 10.0):
            return None
        else:
            current, last = current + value, value
    return total + current
