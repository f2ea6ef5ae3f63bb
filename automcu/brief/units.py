"""Units as people spell them, and what they measure."""

import difflib
from dataclasses import dataclass
from typing import Literal

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
NEVER_ALONE = frozenset(
    (
        "ps",
        "ns",
        "us",
        "µs",
        "μs",
        "ms",
        "kb",
        "kib",
        "mb",
        "mib",
        "uj",
        "µj",
        "mj",
        "fps",
        "%",
        "percent",
        "prozent",
        "pourcent",
        "milliseconds",
        "millisekunden",
        "millisecondes",
    )
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
