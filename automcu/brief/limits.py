"""The limits in a text: what each amount in it means, by its unit and the words next to it.

An amount that looks like a limit and makes none is a problem, never nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from automcu.brief.amounts import Amount
from automcu.brief.battery import LITHIUM, StoredEnergy, stored_millijoule
from automcu.brief.brief import Problem
from automcu.brief.phrases import OPPOSITE, PhrasedText, Said
from automcu.brief.vocabulary import MS_PER_DAY, NEVER_ALONE

LimitEntry = Literal[
    "max_latency_ms", "max_energy_mj", "max_ram_bytes", "max_flash_bytes", "min_accuracy"
]
"""The entries of a brief that are limits."""

_FLAGS: dict[LimitEntry, str] = {
    "max_latency_ms": "--max-latency-ms",
    "max_energy_mj": "--max-energy",
    "max_ram_bytes": "--max-ram",
    "max_flash_bytes": "--max-flash",
    "min_accuracy": "--min-accuracy",
}
_LARGEST: dict[LimitEntry, float] = {
    "max_latency_ms": 1e9,
    "max_energy_mj": 1e9,
    "max_ram_bytes": 2.0**40,
    "max_flash_bytes": 2.0**40,
    "min_accuracy": 1.0,
}
_SPANNING = frozenset(("-", "–", "to", "bis", "à", "or", "oder", "and", "und", "et", "a", "/"))
_JOINING = frozenset(("-", "–", "to", "bis", "à", "/", "±", "+", "×", "x", "*", "^"))
_ONE_FIGURE = frozenset(("±", "+/-", "+-", "^", "^-"))
_CONTEXT_RATE = 1000.0
_MS_PER_MINUTE = 6e4
_MS_PER_HOUR = 3.6e6


@dataclass(frozen=True)
class SaidLimit:
    """A limit in the brief's own unit, and how it was reckoned where that is not plain."""

    field: LimitEntry
    value: float
    note: str | None = None


@dataclass(frozen=True)
class LimitsSaid:
    """What a text limits.

    `spans` are the parts of it that were read or are problems, `amount_spans` all its amounts.
    """

    limits: tuple[SaidLimit, ...]
    problems: tuple[Problem, ...]
    spans: tuple[tuple[int, int], ...]
    amount_spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Outcome:
    """What an amount is: a limit, a part of a battery's life, context, or a problem."""

    kind: Literal["limit", "life", "power", "context", "problem"]
    field: LimitEntry | None = None
    value: float = 0.0
    problem: str = ""
    settled_by: tuple[LimitEntry, ...] = ()


def read_limits_said(text: str) -> LimitsSaid:
    """Read the limits of a text; never raises.

    What was read already, names of boards and data say, stands as U+FFFC in it.
    """
    phrased = PhrasedText(text)
    said = _with_occasions(phrased, phrased.said())
    joined = {**_factors(said), **_joined(phrased, said)}
    outcomes = [(one, joined.get(one.at) or _decide(one, phrased.word_behind(one))) for one in said]
    limits = [
        SaidLimit(outcome.field, outcome.value)
        for _, outcome in outcomes
        if outcome.kind == "limit" and outcome.field is not None
    ]
    problems = [
        _as_problem(phrased, one, outcome) for one, outcome in outcomes if outcome.kind == "problem"
    ]
    spans = [
        phrased.span(_with_word_behind(phrased, one) if outcome.kind == "problem" else one)
        for one, outcome in outcomes
        if outcome.kind != "context" or one.at in joined
    ]
    without = _units_without_numbers(phrased, said)
    by_battery = _by_battery(phrased, outcomes)
    return LimitsSaid(
        limits=(*limits, *by_battery.limits),
        problems=(*problems, *without.problems, *by_battery.problems),
        spans=tuple(sorted((*spans, *without.spans, *by_battery.spans))),
        amount_spans=tuple(phrased.span(one) for one in said),
    )


def _as_problem(phrased: PhrasedText, one: Said, outcome: _Outcome) -> Problem:
    words = phrased.words(_with_word_behind(phrased, one))
    message = outcome.problem.format(words=words)
    return Problem(words=words, message=message, settled_by=outcome.settled_by)


def _with_word_behind(phrased: PhrasedText, one: Said) -> Said:
    """Take the word that may be the unknown unit: "under 20 bananas"."""
    return one if phrased.word_behind(one) is None else replace(one, end=one.end + 1)


def _units_without_numbers(phrased: PhrasedText, said: Sequence[Said]) -> LimitsSaid:
    """Find units outside all amounts, whose numbers cannot be read: "NaN ms"."""
    read = [phrased.span(one) for one in said]
    spans = [
        phrased.token_span(at - 1 if at and phrased.tokens[at - 1].kind == "word" else at, at + 1)
        for at, token in enumerate(phrased.tokens)
        if token.lower in NEVER_ALONE and not any(start <= token.start < end for start, end in read)
    ]
    problems = []
    for start, end in spans:
        words = " ".join(phrased.text[start:end].split())
        message = f"“{words}” has a unit and no number. Write it in digits, as in “20 ms”."
        problems.append(Problem(words=words, message=message))
    return LimitsSaid((), tuple(problems), tuple(spans), ())


def _joined(phrased: PhrasedText, said: Sequence[Said]) -> dict[int, _Outcome]:
    """Find amounts that are one figure together, which cannot be read: "10-20 ms"."""
    found: dict[int, _Outcome] = {}
    for one, other in pairwise(said):
        if _is_one_figure(one.amount, other.amount, phrased.between(one, other)):
            whole = phrased.text[phrased.span(one)[0] : phrased.span(other)[1]]
            problem = (
                f"“{whole}” is more than one figure. Give one, the limit itself, as in “under "
                "20 ms”."
            )
            found[one.at] = _Outcome("context")
            found[other.at] = _Outcome("problem", problem=_literal(problem))
    return found


def _with_occasions(phrased: PhrasedText, said: Sequence[Said]) -> tuple[Said, ...]:
    """Take "of the time" behind shares; without a subject they may say how often a time is kept."""
    timed = any(one.amount.dimension == "time" for one in said)
    found = []
    for one in said:
        end = phrased.occasions_behind(one) if one.amount.dimension == "share" else None
        subject = one.subject or ("occasions" if timed else None)
        found.append(replace(one, subject=subject, end=end) if end else one)
    return tuple(found)


def _factors(said: Sequence[Said]) -> dict[int, _Outcome]:
    """Find the factors of comparisons, which belong to the amount behind: "20 % faster than"."""
    return {
        other.at: _Outcome("context")
        for one in said
        for other in said
        if one.excepted and one.first <= other.at < one.at
    }


def _by_battery(phrased: PhrasedText, outcomes: Sequence[tuple[Said, _Outcome]]) -> LimitsSaid:
    """Turn battery life, or mean power, and a rate into a limit on energy."""
    asked = [(one, outcome) for one, outcome in outcomes if outcome.kind in ("life", "power")]
    rates = [
        1e3 / outcome.value
        for one, outcome in outcomes
        if outcome.field == "max_latency_ms" and one.amount.dimension in ("rate", "count")
    ]
    rate = rates[0] if len(rates) == 1 else None
    stored = stored_millijoule(phrased.cells, phrased.amounts, phrased.tokens)
    limits: list[SaidLimit] = []
    problems: list[Problem] = []
    for one, outcome in asked:
        words = phrased.words(one)
        missing = _missing(outcome, rate, stored)
        if missing or not rate:
            message = f"“{words}” limits the energy of an inference, but {missing}"
            problems.append(Problem(words=words, message=message, settled_by=("max_energy_mj",)))
            continue
        value = outcome.value / rate
        source = ""
        if outcome.kind == "life" and stored is not None:
            value = stored.millijoule / (outcome.value / 1e3 * rate)
            source = f" from {stored.words}"
        note = f"{words}{source} at {_often(rate)}; sleep is not counted"
        limits.append(SaidLimit("max_energy_mj", value, note))
    spans = _battery_spans(phrased, outcomes) if asked else ()
    return LimitsSaid(tuple(limits), tuple(problems), spans, ())


def _battery_spans(
    phrased: PhrasedText, outcomes: Sequence[tuple[Said, _Outcome]]
) -> tuple[tuple[int, int], ...]:
    """Return where a text says what the battery is."""
    cells = [phrased.token_span(cell.first, cell.end) for cell in phrased.cells]
    chemistry = [
        phrased.token_span(at, at + 1)
        for at, token in enumerate(phrased.tokens)
        if token.lower in LITHIUM
    ]
    words = [
        phrased.token_span(phrase.first, phrase.end)
        for phrase in phrased.phrases
        if phrase.meaning == "battery"
    ]
    amounts = [
        phrased.span(one) for one, _ in outcomes if one.amount.dimension in ("charge", "voltage")
    ]
    return (*cells, *chemistry, *words, *amounts)


def _is_one_figure(one: Amount, other: Amount, between: list[str]) -> bool:
    if "".join(between) in _ONE_FIGURE:
        return True
    bare = one.dimension == "count" and one.in_digits
    measured = other.dimension not in ("count", "other")
    if bare and measured:
        return all(word in _SPANNING | _JOINING for word in between) and len(between) < 2
    same = one.dimension == other.dimension != "other"
    if same and one.dimension != "count":
        return len(between) < 2 and all(word in _JOINING for word in between)
    trailing = one.dimension not in ("count", "other") and other.dimension == "count"
    return trailing and len(between) == 1 and between[0] in ("±", "×", "x", "*", "^", "/")


def _decide(one: Said, behind: str | None) -> _Outcome:
    """Say what an amount is."""
    amount = one.amount
    if amount.hint:
        return _Outcome(
            "problem",
            problem=f"“{{words}}” has an unknown unit. Was {amount.hint} meant? Write it so.",
        )
    if one.subject == "tolerance":
        return _context(one, behind)
    if one.excepted and amount.dimension not in ("count", "other"):
        return _problem(
            "is no limit: it is not meant, left over, a difference or a multiple. Leave it out, or "
            "give the limit itself, as in “under 20 ms”"
        )
    if one.direction == "range":
        return _problem("is a range. Give one figure, the limit itself")
    if amount.value is None and amount.dimension != "other":
        return _problem("has a number that cannot be read. Write it in digits, as in 1.5 or 100000")
    return _BY_DIMENSION.get(amount.dimension, _context)(one, behind)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _problem(what: str, *settled_by: LimitEntry) -> _Outcome:
    flags = " or ".join(_FLAGS[field] for field in settled_by)
    hint = f", or give {flags}" if flags else ""
    return _Outcome(
        "problem", problem=f"“{{words}}” {_literal(what)}{hint}.", settled_by=settled_by
    )


_NOT_LIMITED = (
    "cannot be kept: automcu limits latency, energy, RAM, flash and accuracy. Leave it out, or say "
    "which of these it is about"
)


def _context(one: Said, behind: str | None) -> _Outcome:
    del behind
    return _problem(_NOT_LIMITED) if one.is_strict else _Outcome("context")


def _checked(one: Said, field: LimitEntry, value: float, required: str) -> _Outcome:
    """Return the limit, unless it is none: the other way round, zero, absurd, of something else."""
    amount = one.amount
    if one.direction in ("bad", OPPOSITE[required]):
        way = "at most" if required == "upper" else "at least"
        return _problem(f"is a limit the wrong way round: automcu keeps “{way}”. Say so", field)
    if amount.per is not None:
        return _problem(f"is per {amount.per}, but limits are per inference. Give that", field)
    if value <= 0.0:
        return _problem("is no limit: it must be above 0. Correct it", field)
    if value > _LARGEST[field]:
        return _problem("is more than there can be. Correct it", field)
    if field.endswith("_bytes") and value < 1.0:
        return _problem("is less than a byte. Correct it", field)
    return _Outcome("limit", field, float(int(value)) if field.endswith("_bytes") else value)


def _time(one: Said, behind: str | None) -> _Outcome:
    del behind
    amount = one.amount
    value = amount.value or 0.0
    if one.subject in ("input", "sampling"):
        return _problem(_NOT_LIMITED) if one.is_strict else _Outcome("context")
    long = amount.unit_factor >= _MS_PER_HOUR and not (one.subject or one.is_strict)
    if one.subject == "battery" or amount.unit_factor >= MS_PER_DAY or long:
        return _life(one, value)
    said = one.subject == "latency" or (one.direction is not None and one.words not in ("at", "to"))
    if amount.unit_factor >= _MS_PER_MINUTE and one.subject != "latency":
        said = False  # no network on a microcontroller takes minutes
    if amount.unit_factor >= 1e3 and not said:  # milliseconds need no further words
        return _problem(
            "may be a latency or the length of something. Say “latency under” before a latency",
            "max_latency_ms",
        )
    return _checked(one, "max_latency_ms", value, "upper")


def _life(one: Said, value: float) -> _Outcome:
    if one.direction in ("upper", "bad") and one.words not in ("up to", "bis zu"):
        return _problem(
            "is a limit the wrong way round: a battery is to last “at least” so long. Say so",
            "max_energy_mj",
        )
    if value <= 0.0:
        return _problem("is no battery life: it must be above 0. Correct it", "max_energy_mj")
    return _Outcome("life", value=value)


def _memory(one: Said, behind: str | None) -> _Outcome:
    value = one.amount.value or 0.0
    if one.subject == "ram":
        return _checked(one, "max_ram_bytes", value, "upper")
    if one.subject == "flash":
        return _checked(one, "max_flash_bytes", value, "upper")
    if one.subject in ("other", "input"):
        return _context(one, behind)
    return _problem(
        "may be RAM or flash. Say which, as in “64 KB of RAM”", "max_ram_bytes", "max_flash_bytes"
    )


def _thousand(one: Said, behind: str | None) -> _Outcome:
    if one.subject in ("ram", "flash", "both"):
        return _memory(one, behind)
    if one.subject == "other" or behind is not None:
        return _context(one, behind)
    return _memory(one, behind)


def _share(one: Said, behind: str | None) -> _Outcome:
    value = round((one.amount.value or 0.0) / 100.0, 12)
    if one.subject == "error":
        if not 0.0 < value < 1.0:
            return _problem("is no error rate: give one between 0 and 100 %", "min_accuracy")
        return _checked(one, "min_accuracy", 1.0 - value, "upper")
    if one.subject == "occasions":
        return _problem(
            "may be an accuracy, or how often the time is kept; automcu keeps it at every "
            "inference. Leave it out, or say “at least 97 % accuracy”",
            "min_accuracy",
        )
    if one.subject in ("ram", "flash", "both", "battery"):
        return _problem(
            "is a share of the board's own. Give an amount, as in “64 KB of RAM”",
            "max_ram_bytes",
            "max_flash_bytes",
        )
    if one.subject == "other" or (one.subject is None and behind is not None):
        return _problem(_NOT_LIMITED, "min_accuracy")
    if one.subject is None and one.direction in ("upper", "bad"):
        return _problem(
            "may be an accuracy or an error rate. Say which, as in “at least 97 % accuracy”",
            "min_accuracy",
        )
    if not 0.0 < value <= 1.0:
        return _problem("is no accuracy: give one between 0 and 100 %", "min_accuracy")
    return _checked(one, "min_accuracy", value, "lower")


def _energy(one: Said, behind: str | None) -> _Outcome:
    if one.subject in ("battery", "other"):
        return _context(one, behind)
    return _checked(one, "max_energy_mj", one.amount.value or 0.0, "upper")


def _power(one: Said, behind: str | None) -> _Outcome:
    del behind
    value = one.amount.value or 0.0
    if one.direction in ("lower", "bad") or value <= 0.0:
        return _problem("is no limit on power. Say “at most”, above 0", "max_energy_mj")
    return _Outcome("power", value=value)


def _rate(one: Said, behind: str | None) -> _Outcome:
    del behind
    value = one.amount.value or 0.0
    if one.subject in ("sampling", "input") or (one.amount.per and value >= _CONTEXT_RATE):
        return _problem(_NOT_LIMITED) if one.is_strict else _Outcome("context")
    if one.amount.per:
        return _problem(
            "may be a sample rate or how often to infer. Say “inferences per second”",
            "max_latency_ms",
        )
    if value <= 0.0:
        return _problem("is no rate: it must be above 0. Correct it", "max_latency_ms")
    enough = one.words in ("max", "maximum", "up to", "at most", "limit", "bis zu")
    keeps_up = replace(one, direction=None) if enough else one
    return _checked(keeps_up, "max_latency_ms", 1e3 / value, "lower")


def _count(one: Said, behind: str | None) -> _Outcome:
    value = one.amount.value or 0.0
    if one.subject == "rate":
        return _rate(one, behind)
    if (value <= 1.0 and one.subject in ("accuracy", "error")) or (
        value >= 10.0 and one.subject == "accuracy"
    ):
        percent = 100.0 * value if value <= 1.0 else value
        return _share(replace(one, amount=replace(one.amount, value=percent)), behind)
    if one.subject in ("latency", "energy", "ram", "flash", "both", "accuracy", "error"):
        return _problem("has no unit. Add it, as in “20 ms”, “64 KB” or “97 %”")
    if one.is_strict and behind is None and one.subject is None:
        return _problem("has no unit. Add it, as in “20 ms”, “64 KB” or “97 %”")
    return _context(one, behind)


_BY_DIMENSION: dict[str, Callable[[Said, str | None], _Outcome]] = {
    "time": _time,
    "memory": _memory,
    "thousand": _thousand,
    "share": _share,
    "energy": _energy,
    "power": _power,
    "rate": _rate,
    "count": _count,
}


def _missing(outcome: _Outcome, rate: float | None, stored: StoredEnergy | None) -> str | None:
    """Ask for what a limit on energy lacks, all at once."""
    asked = []
    if not rate:
        asked.append("how often it infers, as “once per minute”,")
    if outcome.kind == "life" and stored is None:
        asked.append("from which battery, as “a CR2032” or “1000 mAh at 3.7 V”,")
    if not asked:
        return None
    return f"{' and '.join(asked)} is not said. Add it, or give --max-energy."


def _often(rate: float) -> str:
    """Write a rate as one inference a period, or several a second."""
    if rate >= 1.0:
        return f"{rate:g} inference{'s' if rate != 1.0 else ''} a second"
    return f"one inference every {1.0 / rate:g} s"
