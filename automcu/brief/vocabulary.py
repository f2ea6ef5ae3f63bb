"""The words of a sentence: units, numbers, and the words around amounts.

Units are as people spell them. Numbers are digits with their separators, fractions, and words:
English ones up to millions, German and French ones as far as limits are written in them. The other
words say which way a limit goes, what it limits, or nothing.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Direction = Literal["upper", "lower", "good", "bad", "about", "weak", "range"]
"""At most; at least; whichever is better, or worse; roughly; "in", as in "in 20 ms"; a range."""

Subject = Literal[
    "latency", "energy", "ram", "flash", "accuracy", "error", "rate", "battery", "input",
    "sampling", "tolerance", "other",
]  # fmt: skip
"""What is limited. "input" is how long a recording is, "sampling" how it was made, "tolerance" how
far a figure may be off, "other" what automcu limits in no way, such as recall or the number of
parameters."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def _phrases(
    entries: dict[Direction, str] | dict[Subject, str],
) -> dict[tuple[str, ...], str]:
    return {
        tuple(phrase.split()): meaning
        for meaning, listed in entries.items()
        for phrase in listed.split("|")
        if phrase.strip()
    }


_DIRECTIONS: dict[Direction, str] = {
    "upper": (
        "<|<=|=<|≤|⩽|under|below|beneath|within|less than|fewer than|lower than|smaller than|"
        "less than or equal to|lower than or equal to|smaller than or equal to|less or equal|"
        "less than or equal|kleiner|kleiner gleich|kleiner oder gleich|geringer als|"
        "shorter than|at most|at the most|at the very most|up to|max|maximum|maximally|maximal|"
        "limited to|or less|or lower|or fewer|or below|or under|tops|sub|limit|no longer than|"
        "höchstens|unter|weniger als|kleiner als|kürzer als|bis zu|innerhalb|binnen|"
        "oder weniger|maximale|maximaler|moins de|en moins de|moins d'|en moins d'|au plus|"
        "au maximum|sous|jusqu'à|inférieur à|inférieure à|inférieur ou égal à|"
        "inférieure ou égale à|menos de|como máximo|meno di|al massimo"
    ),
    "lower": (
        ">|>=|=>|≥|⩾|over|above|more than|greater than|larger than|higher than|longer than|"
        "at least|at the least|at the very least|min|minimum|minimal|or more|or higher|or above|"
        "beyond|mindestens|über|mehr als|größer als|höher als|länger als|oder mehr|"
        "greater than or equal to|higher than or equal to|more than or equal to|greater or equal|"
        "größer|größer gleich|größer oder gleich|wenigstens|supérieur ou égal à|"
        "supérieure ou égale à|plus d'|dépasse|dépasser|überschreiten|überschreitet|"
        "minimale|au moins|plus de|supérieur à|supérieure à|al menos|más de|almeno|più di|"
        "exceed|exceeds|exceeding|exceeded"
    ),
    "good": (
        "better than|or better|faster than|or faster|quicker than|or quicker|besser als|"
        "oder besser|schneller als|oder schneller|mieux que"
    ),
    "bad": "worse than|slower than|langsamer als|schlechter als",
    "about": "about|around|roughly|approximately|approx|ca|circa|~|≈|etwa|ungefähr|rund|environ",
    "weak": "in|en|to|at",
    "range": "between|zwischen|entre",
}
DIRECTIONS = _phrases(_DIRECTIONS)
COMPARISONS = word_set("< <= =< ≤ ⩽ > >= => ≥ ⩾")
"""Directions that may stand behind their amount, the other way round: "97 % < accuracy"."""
EXCEEDING = word_set("exceed exceeds exceeding exceeded überschreiten überschreitet")
"""Directions that follow their amount after "not": "20 ms must not be exceeded"."""
EXCEPTIONS = frozenset(
    (word,)
    for word in word_set(
        """
        ignore ignoring forget except statt anstatt reserve reserved reserves reserving leave leaves
        leaving spare save saves saving freihalten réserver laisser économiser
        """
    )
) | {
    ("instead", "of"),
    ("rather", "than"),
    ("au", "lieu", "de"),
    ("plutôt", "que"),
    *((part, "of") for part in ("half", "third", "quarter", "fifth", "tenth", "fraction")),
    *((word,) for word in ("double", "triple", "doppelt", "halb", "hälfte", "moitié")),
}
"""Words before an amount that is not a limit: not meant, to be left over, or a multiple of it."""
FACTOR_MARKS = word_set("of as so wie aussi times x × fold mal fois der du de")
"""Words between a number and an amount of which it is a factor: "half of", "twice as fast as"."""
FACTOR_WORDS = FACTOR_MARKS | word_set(
    """
    the que des la le fast quick quickly much many small little big large long short good accurate
    schnell viel klein groß genau vite rapide peu plus
    moins
    """
)
TIMES = word_set("times x × fold times-fold mal fois percent")
"""Words behind the number of a comparison: "3 times faster than 40 ms"."""
OCCASIONS = word_set(
    """
    time times cases runs inferences frames requests calls occasions zeit fälle fällen temps cas
    """
)
"""What a share of which may be how often a time is kept: "95 % of the time under 20 ms"."""
OF_ALL = word_set("of the all its der aller du des tous les")
LEFT_OVER = word_set("free left over spare unused remaining frei übrig libre libres restants")
"""Words behind an amount of memory that is to be left over."""
NEGATIONS = word_set(
    """
    no not never without don't doesn't mustn't shouldn't can't cannot nicht nie kein keine
    keinen ohne pas ne sans nothing none neither nor weder
    """
)

_SUBJECTS: dict[Subject, str] = {
    "latency": (
        "latency|lat|inference time|response|response time|run time|runtime|execution time|"
        "time per inference|frame time|deadline|delay|answer|answers|respond|responds|reply|"
        "latenz|inferenzzeit|laufzeit|antwortzeit|rechenzeit|latence"
    ),
    "energy": (
        "energy|energie|énergie|energieverbrauch|power|average power|power consumption|average|"
        "on average|mean|leistung|leistungsaufnahme|im mittel|verbrauch|energy consumption"
    ),
    "ram": (
        "ram|sram|memory|working memory|work memory|main memory|arbeitsspeicher|speicher|"
        "hauptspeicher|mémoire|mémoire vive|memoria|data memory|ram memory|heap"
    ),
    "flash": (
        "flash|rom|storage|flash memory|program memory|code memory|flashspeicher|programmspeicher|"
        "flash speicher|mémoire flash|firmware|firmware size|binary|binary size|code size|"
        "program size|image size|model size|rom memory|non volatile memory|memoria flash"
    ),
    "accuracy": (
        "accuracy|accurate|accuracies|acc|correct|correctly|right|genauigkeit|genau|richtig|korrekt|"
        "treffer|trefferquote|précision|exactitude|precisión|hit rate|success rate|top-1 accuracy|"
        "test accuracy|top-1|recognition rate|erkennungsrate|correct answers"
    ),
    "error": (
        "error|errors|error rate|wrong|wrong answers|wrong predictions|mistakes|mistake|"
        "misclassified|misclassifications|fehler|"
        "fehlerrate|fehlerquote|falsch|erreur|erreurs|taux d'erreur|error rates|incorrect"
    ),
    "rate": "fps|speed|geschwindigkeit|frame rate|framerate|inference rate|throughput|bildrate|hz",
    "battery": (
        "battery life|battery lifetime|battery|batteries|batterielaufzeit|akkulaufzeit|batterie|"
        "akku|lifetime|last|lasts|lasting|runtime on|autonomy|autonomie|pile|hält|halten"
    ),
    "input": (
        "sound|audio|recording|recordings|clip|clips|window|windows|speech|signal|data|of sound|"
        "hop|stride|long|train|trained|segments|segment|frames|utterance|utterances|fenster|aufnahme|aufnahmen|"
        "snippets|chunks|input|history|training|epochs|timeout"
    ),
    "sampling": (
        "sample rate|sampling rate|sampling|sampled|sample|samples|sampling frequency|"
        "accelerometer|imu|microphone|mains|abtastrate|adc|sensor|gyroscope|camera clock"
    ),
    "tolerance": (
        "tolerance|jitter|margin|headroom|deviation|spread|variation|toleranz|abweichung|"
        "tolérance|marge"
    ),
    "other": (
        "top-5 accuracy|top-3 accuracy|top-5|top-3|split|percentile|"
        "psram|sdram|dram|external ram|external sram|external flash|external memory|arena|"
        "tensor arena|stack|cpu|recall|precision|f1|f1 score|auc|sensitivity|specificity|sparsity|"
        "dropout|duty cycle|load|utilisation|utilization|parameters|params|weights|layers|"
        "classes|macs|accuracy loss|accuracy drop|loss|drop|false positives|false positive rate|"
        "false negatives|false alarms|cycles|time budget|confidence|channels|bits|cost|price|"
        "neurons|images|examples|threads|cores|sd card|eeprom|swap"
    ),
}
SUBJECTS = _phrases(_SUBJECTS)
LONGEST_PHRASE = max(len(phrase) for phrase in (*DIRECTIONS, *SUBJECTS))

LINKS = word_set(
    """
    of for in on the its a an is are be must should shall stay stays keep keeps to use uses
    using time take takes need needs internal on-chip available free total peak average mean with at
    may can could would will do go ( )
    as than - : = – de du des d' la le l' von vom der die das den dem im am zu für mit nur only
    just budget limit requirement target goal usage consumption size overall it max maximum
    within chip test top low accurate hold have has having per inference each inferenz answers
    run runs result results all cases fit fits into no not sein soll
    """
)
"""Words that may stand between an amount and what it limits."""

FILLER = word_set(
    """
    a an the this that these those it its my our your their me i we you one some any on in at of
    for to from with without by as into onto and or but also then than so is are be being been
    learn learns fit fits fitting available free left total consume consumes consuming
    erkenne unterscheide bei soll
    was do does did can could may might must should shall will would have has having need needs
    want wants like please let make makes making made give gives show find build builds building
    create design develop train trained training deploy run runs running use uses using used get
    gets keep keeps stay take takes put tell apart hear listen recognise recognize recognises
    recognizes recognising recognizing recognition recogniser recognizer classify classifies
    classifying classification classifier detect detects detecting detection detector identify
    identifies identifying distinguish predict read reads reading image images picture pictures
    photo photos photograph photographs data dataset set file folder directory named called
    written drawn hand network networks net neural model models nn ai ml machine learning deep
    tiny tinyml embedded mcu microcontroller microcontrollers controller chip soc device devices
    target targets targeting board boards dev devkit devkitc kit development discovery disco
    disc nucleo eval evaluation stm32 esp32 arm cortex per inference auf mit und oder für im ein
    eine einen einem einer der die das den dem des von vom zu zum erkennen erkennt
    klassifizieren unterscheiden bilder bild netz netzwerk modell bitte soll karte
    mikrocontroller welche ich möchte brauche eines sur avec et ou pour un une le la les de du
    dans en reconnaître reconnaitre classer réseau carte microcontrôleur je veux con y para una
    el los las reconocer clasificar su di il riconoscere there here where which what who when
    how each every all only just
    """
)
"""Words that ask for nothing that a limit, a board or data would have to answer."""


Dimension = Literal[
    "time", "memory", "thousand", "share", "energy", "power", "rate", "frequency", "charge",
    "voltage", "bandwidth", "other", "count",
]  # fmt: skip
"""What an amount measures: milliseconds, bytes, thousands of something, percent, millijoule,
milliwatt, a second, Hz above a thousand, mAh, volt, bytes a second, something else, nothing."""


@dataclass(frozen=True)
class Unit:
    """A unit: what it measures, and how much of the dimension's own unit it is.

    `spelled_out` units may follow an article: "a second", but not "a s".
    """

    dimension: Dimension
    factor: float
    spelled_out: bool = False


MS_PER_DAY = 86_400_000.0


def _units() -> dict[str, Unit]:
    found: dict[str, Unit] = {}

    def add(dimension: Dimension, factor: float, short: str, long: str = "") -> None:
        found.update({name: Unit(dimension, factor) for name in short.split()})
        found.update({name: Unit(dimension, factor, True) for name in long.split()})

    add("time", 1e-9, "ps", "picosecond picoseconds pikosekunden")
    add("time", 1e-6, "ns nsec", "nanosecond nanoseconds nanosekunde nanosekunden nanoseconde")
    add(
        "time", 1e-3, "us µs μs usec µsec μsec",
        "microsecond microseconds mikrosekunde mikrosekunden microseconde microsecondes micros",
    )  # fmt: skip
    add(
        "time", 1.0, "ms msec msecs",
        "millisecond milliseconds millisekunde millisekunden milliseconde millisecondes millis "
        "milisegundo milisegundos",
    )  # fmt: skip
    add(
        "time", 1e3, "s sec secs sek",
        "second seconds sekunde sekunden seconde secondes segundo segundos",
    )  # fmt: skip
    add("time", 6e4, "min mins", "minute minutes minuten")
    add("time", 3.6e6, "h hr hrs", "hour hours stunde stunden heure heures")
    add("time", MS_PER_DAY, "", "day days tag tage tagen jour jours")
    add("time", 7 * MS_PER_DAY, "", "week weeks woche wochen semaine semaines")
    add("time", 30.4375 * MS_PER_DAY, "", "month months monat monate monaten mois")
    add("time", 365.25 * MS_PER_DAY, "yr yrs", "year years jahr jahre jahren ans année années")
    # Datasheets count in powers of two whatever the unit's spelling: 1 KB is 1,024 bytes.
    add("memory", 1.0, "b", "byte bytes octet octets")
    add(
        "memory", 1024.0, "kb kib ko kbyte kbytes",
        "kilobyte kilobytes kibibyte kibibytes kilooctet kilooctets",
    )  # fmt: skip
    add(
        "memory", 1024.0**2, "mb mib mo mbyte mbytes",
        "megabyte megabytes mebibyte mebibytes mégaoctet mégaoctets",
    )  # fmt: skip
    add("memory", 1024.0**3, "gb gib gbyte gbytes", "gigabyte gigabytes gibibyte gibibytes")
    add("memory", 1024.0**4, "tb tib", "terabyte terabytes")
    add("share", 1.0, "% percent prozent percents pct pourcent")
    add("energy", 1e-6, "nj", "nanojoule nanojoules")
    add("energy", 1e-3, "uj µj μj", "microjoule microjoules mikrojoule")
    add("energy", 1.0, "mj", "millijoule millijoules")
    add("energy", 1e3, "j", "joule joules")
    add("energy", 3.6e3, "mwh", "milliwatthour milliwatthours")
    add("energy", 3.6, "uwh µwh μwh")
    add("energy", 3.6e6, "wh", "watthour watthours wattstunden")
    add("power", 1e-3, "uw µw μw", "microwatt microwatts mikrowatt")
    add("power", 1.0, "mw", "milliwatt milliwatts")
    add("power", 1e3, "w", "watt watts")
    add("rate", 1.0, "fps hz ips", "hertz")
    add("frequency", 1e3, "khz", "kilohertz")
    add("frequency", 1e6, "mhz", "megahertz")
    add("frequency", 1e9, "ghz", "gigahertz")
    add("charge", 1.0, "mah", "milliamperehours milliamphours")
    add("charge", 1e3, "ah", "amperehours amphours")
    add("voltage", 1.0, "v", "volt volts")
    add("voltage", 1e-3, "mv", "millivolt millivolts")
    add("bandwidth", 1.0, "kbps mbps bps baud")
    add(
        "other",
        1.0,
        "bit bits kbit kbits mbit mbits ma ua µa μa na px pixel pixels mm cm db ppm "
        "€ $ eur euro euros usd dollar dollars °c",
        "ampere amperes milliampere milliamperes meter meters",
    )  # fmt: skip
    return found


UNITS = _units()
NEVER_ALONE = word_set(
    """
    ps ns us µs μs ms kb kib mb mib uj µj mj fps % percent prozent pourcent
    milliseconds millisekunden millisecondes
    """
) | {name for name, unit in UNITS.items() if unit.spelled_out and unit.factor not in (1.0, 1e3)}
"""Units that say, where they stand without a number, that one could not be read."""
_AMBIGUOUS_CAPITALS = {"MJ": "mJ", "MW": "mW", "Mj": "mJ", "Mw": "mW", "MWh": "mWh"}
THOUSANDS = {"k": 1024.0, "K": 1024.0, "M": 1024.0**2, "kilo": 1024.0, "mega": 1024.0**2}
"""Letters that count thousands of bytes where a memory is named: "64k of RAM"."""
_LONG_NAMES = tuple(name for name, unit in UNITS.items() if unit.spelled_out and len(name) > 6)


def unit_named(word: str) -> Unit | None:
    """Return the unit that a word spells; None for none, and for a megajoule or megawatt."""
    return None if word in _AMBIGUOUS_CAPITALS else UNITS.get(word.lower())


def meant_instead(word: str) -> str | None:
    """Return the unit that a misspelled word resembles, or that wrong capitals mean."""
    if word in _AMBIGUOUS_CAPITALS:
        return _AMBIGUOUS_CAPITALS[word]
    near = difflib.get_close_matches(word.lower(), _LONG_NAMES, n=1, cutoff=0.83)
    return near[0] if near else None


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
