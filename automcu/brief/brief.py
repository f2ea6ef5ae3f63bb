"""What the user wants: the brief, and the draft that becomes one when nothing is missing.

A sentence, a TOML file and flags each make a draft; the stronger one overrides.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from automcu.brief.amounts import single_amount
from automcu.brief.vocabulary import Dimension
from automcu.errors import WrongInputError
from automcu.records import Record


class Limits(Record):
    """What one inference and its firmware may need at most; None where there is no limit.

    Milliseconds, millijoule and bytes, above 0. A device's own memory is a limit beside these.
    """

    latency_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    energy_mj: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    ram_bytes: int | None = Field(default=None, gt=0)
    flash_bytes: int | None = Field(default=None, gt=0)

    def milliseconds_allowed(self, watt: float) -> float | None:
        """Return the longest inference that keeps latency and energy, at a power of `watt`.

        Modelled energy is latency times power, so that each limit of it is one of latency.
        """
        by_energy = None if self.energy_mj is None else self.energy_mj / watt
        return min((one for one in (self.latency_ms, by_energy) if one is not None), default=None)


NO_LIMITS = Limits()


class Brief(Record):
    """A task, a board and limits. Limits that the user did not give are None.

    Latency is in milliseconds, energy in millijoule per inference, memory in bytes, accuracy a
    fraction of 1. `unused` are word groups of the text that nothing was read from, None where
    nobody looked for them; `notes` says of an entry how it was reckoned.
    """

    text: str
    device: str
    dataset: str
    family: str = "cnn"
    max_latency_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_energy_mj: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_ram_bytes: int | None = Field(default=None, gt=0)
    max_flash_bytes: int | None = Field(default=None, gt=0)
    min_accuracy: float | None = Field(default=None, gt=0, le=1)
    unused: tuple[str, ...] | None = None
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def is_read_whole(self) -> bool:
        """Whether each word of the text is known to have been read, or to say nothing."""
        return not self.text or self.unused == ()

    def asks_the_same(self, other: "Brief") -> bool:
        """Say whether another brief has the same text, board, data, limits and goal."""
        how_it_was_read: dict[str, Any] = {"unused": None, "notes": {}}
        one, two = (brief.model_copy(update=how_it_was_read) for brief in (self, other))
        return one == two

    @property
    def limits(self) -> Limits:
        """The limits on what an inference and its firmware need."""
        return Limits(
            latency_ms=self.max_latency_ms,
            energy_mj=self.max_energy_mj,
            ram_bytes=self.max_ram_bytes,
            flash_bytes=self.max_flash_bytes,
        )


_MOST_NAMED = 16
_MOST_QUESTIONS = 6


class Problem(Record):
    """Words that look like a limit and could not be read as one.

    `message` says why and what to do; an entry in `settled_by` that a file or a flag gives makes
    the words needless.
    """

    words: str
    message: str
    settled_by: tuple[str, ...] = ()


class Draft(Record):
    """Everything a sentence, a file or flags said; None where they said nothing.

    `boards` holds the ids of all boards that were named, `unknown_boards` the words that look
    like a board but name none. `unused` are the word groups of the sentence that nothing was read
    from, `notes` says of an entry how it was reckoned. Other entries are those of `Brief`.
    """

    text: str = ""
    boards: tuple[str, ...] = ()
    unknown_boards: tuple[str, ...] = ()
    dataset: str | None = None
    family: str | None = None
    max_latency_ms: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_energy_mj: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_ram_bytes: int | None = Field(default=None, gt=0)
    max_flash_bytes: int | None = Field(default=None, gt=0)
    min_accuracy: float | None = Field(default=None, gt=0, le=1)
    unused: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: dict[str, str] = Field(default_factory=dict)


def override(draft: Draft, stronger: Draft) -> Draft:
    """Return `draft` with everything that `stronger` says put in its place.

    A board that `stronger` names settles the question, so unknown words no longer matter; so does
    a limit for words that could not be read as one.
    """
    said = {
        name: value
        for name, value in stronger.model_dump().items()
        if value not in (None, (), [], "", {})
    }
    if stronger.boards:
        said["unknown_boards"] = ()
    said["problems"] = (
        tuple(one for one in draft.problems if not said.keys() & set(one.settled_by))
        + stronger.problems
    )
    if stronger.text:  # it read the sentence as well, and knows what is left of it
        said["unused"] = stronger.unused
    notes = {entry: note for entry, note in draft.notes.items() if entry not in said}
    said["notes"] = notes | stronger.notes
    return draft.model_copy(update=said)


def complete(
    draft: Draft, nearest_boards: tuple[str, ...] = (), known_boards: tuple[str, ...] = ()
) -> Brief:
    """Turn a draft into a brief.

    Args:
        draft: what was understood.
        nearest_boards: known boards to suggest where the draft names an unknown one.
        known_boards: what to name where none is near.

    Raises:
        WrongInputError: the board or the data is missing or ambiguous, or a limit could not be
            read; the message asks for it.
    """
    messages = list(dict.fromkeys(problem.message for problem in draft.problems))
    questions = messages[:_MOST_QUESTIONS]
    if len(messages) > _MOST_QUESTIONS:
        questions.append(f"And {len(messages) - _MOST_QUESTIONS} more could not be read.")
    if len(draft.boards) != 1 or draft.unknown_boards or draft.dataset is None:
        questions.append(_question(draft, nearest_boards, known_boards))
    if questions or draft.dataset is None:
        raise WrongInputError(" ".join(questions))
    values = draft.model_dump(exclude={"boards", "unknown_boards", "problems"}, exclude_none=True)
    return Brief(device=draft.boards[0], **values)


def _question(draft: Draft, nearest_boards: tuple[str, ...], known: tuple[str, ...]) -> str:
    """Ask for everything that is missing at once, so that one answer is enough."""
    data_hint = "give --data NAME, FOLDER or FILE.npz"
    if len(draft.boards) == 1 and not draft.unknown_boards:
        return f"Which data should it learn from? Name them in the sentence or {data_hint}."
    if draft.unknown_boards:
        words = " or ".join(f"'{word}'" for word in draft.unknown_boards)
        near = f" (nearest: {', '.join(nearest_boards)})" if nearest_boards else ""
        others = f" (known: {', '.join(known[:_MOST_NAMED])})" if known and not near else ""
        named = f", but {' and '.join(draft.boards)} is" if draft.boards else ""
        problem = f"No board is known by the name {words}{near or others}{named}."
        hint = "Give one that `automcu devices` lists with --device"
    elif draft.boards:
        problem = f"Which of these boards is meant: {', '.join(draft.boards)}?"
        hint = "Give one of them with --device"
    else:
        problem = "Which board should it run on?"
        hint = "Name it in the sentence or give --device ID (`automcu devices` lists them)"
    return f"{problem} {hint}{'' if draft.dataset else f', and {data_hint}'}."


KEYS = (
    "text",
    "device",
    "data",
    "family",
    "max_latency_ms",
    "max_energy",
    "max_ram",
    "max_flash",
    "min_accuracy",
)


def read_brief_file(path: Path) -> dict[str, Any]:
    """Read the settings of a brief from a TOML file; a relative data path is relative to the file.

    Raises:
        WrongInputError: the file is missing, is not TOML, or holds an unknown key.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongInputError(
            f"The brief {path} cannot be read ({error.strerror}). Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongInputError(f"{path} is not a TOML file: {error}. Correct it there.") from error
    unknown = sorted(set(settings) - set(KEYS))
    if unknown:
        raise WrongInputError(
            f"{path} has the unknown key '{unknown[0]}'. The keys of a brief are {', '.join(KEYS)}."
        )
    data = settings.get("data")
    if isinstance(data, str) and (path.parent / data).exists():
        settings["data"] = str(path.parent / data)
    return settings


def draft_from_settings(
    *,
    device: str | None = None,
    data: str | None = None,
    family: str | None = None,
    max_latency_ms: float | None = None,
    max_energy: str | float | None = None,
    max_ram: str | int | None = None,
    max_flash: str | int | None = None,
    min_accuracy: str | float | None = None,
) -> Draft:
    """Turn settings into a draft; amounts may carry units ("64 KB", "97 %") or be plain.

    Args:
        device: a board's id, already resolved.
        data: a data set's name or path.
        family: the name of a family of networks, or "auto" for all.
        max_latency_ms: milliseconds.
        max_energy: millijoule of an inference, or an amount with a unit.
        max_ram: bytes, or an amount with a unit.
        max_flash: bytes, or an amount with a unit.
        min_accuracy: a fraction of 1, or a percentage.

    Raises:
        WrongInputError: a value is out of its range; the message names the setting.
    """
    return Draft(
        boards=(device,) if device else (),
        dataset=None if data is None else _text("data", data),
        family=None if family is None else _text("family", family),
        max_latency_ms=None if max_latency_ms is None else _milliseconds(max_latency_ms),
        max_energy_mj=None if max_energy is None else _millijoule(max_energy),
        max_ram_bytes=None if max_ram is None else _bytes("max_ram", max_ram),
        max_flash_bytes=None if max_flash is None else _bytes("max_flash", max_flash),
        min_accuracy=None if min_accuracy is None else _fraction(min_accuracy),
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise WrongInputError(f"{name} is {value!r}, but it must be text. Correct it.")
    return value


def _milliseconds(value: object) -> float:
    found = 0.0 if isinstance(value, str) else _amount(value, "time")
    if not 0 < found < 1e9:
        raise WrongInputError(f"max_latency_ms is {value!r}. Give milliseconds above 0, as in 20.")
    return found


def _millijoule(value: object) -> float:
    found = _amount(value, "energy")
    if not 0.0 < found < 1e9:
        raise WrongInputError(f'max_energy is {value!r}. Give energy of an inference, as "2 mJ".')
    return found


def _bytes(name: str, value: object) -> int:
    found = 0.0 if isinstance(value, float) else _amount(value, "memory")
    if not 1.0 <= found <= 2.0**40:
        raise WrongInputError(f'{name} is {value!r}. Give an amount of memory, as in "64 KB".')
    return int(found)


def _amount(value: object, dimension: Dimension) -> float:
    """Return a number as it is, a text's amount in the dimension's own unit; 0 for neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return 0.0
    return single_amount(value, dimension) or single_amount(value, "count") or 0.0


def _fraction(value: object) -> float:
    found = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = value / 100.0 if value > 1 else float(value)
    elif isinstance(value, str):
        plain = single_amount(value, "count")
        percent = single_amount(value, "share")
        if percent is not None:
            found = percent / 100.0
        elif plain is not None:
            found = plain / 100.0 if plain > 1 else plain
    if not 0.0 < found <= 1.0:
        raise WrongInputError(f'min_accuracy is {value!r}. Give a share of 1 or "97 %".')
    return found


_MOST_ROWS = 12
_NOT_SAID = "–"
_NANOSECONDS_BELOW_MS = 1e-3


def describe(brief: Draft | Brief) -> tuple[tuple[str, str], ...]:
    """Return (what, value) rows of a brief; a dash stands where nothing was said."""
    return (
        ("board", _board(brief)),
        ("data", brief.dataset or _NOT_SAID),
        ("family", brief.family or _NOT_SAID),
        ("latency", _latency(brief)),
        ("energy", _said(brief, "max_energy_mj", "at most {:.4g} mJ per inference (modelled)")),
        ("RAM", _at_most(brief, "max_ram_bytes")),
        ("flash", _at_most(brief, "max_flash_bytes")),
        ("accuracy", _said(brief, "min_accuracy", "at least {:.12g}")),
        *_rows("not read", [one.words for one in _problems(brief)]),
        *_rows("not used", brief.unused or ()),
    )


def _problems(brief: Draft | Brief) -> tuple[Problem, ...]:
    return brief.problems if isinstance(brief, Draft) else ()


def _rows(what: str, groups: Sequence[str]) -> list[tuple[str, str]]:
    """One row for each group of words, and of many the number of those that are left out."""
    different = list(dict.fromkeys(groups))
    rows = [(what, words) for words in different[:_MOST_ROWS]]
    more = len(different) - len(rows)
    return [*rows, (what, f"and {more} more")] if more else rows


def _board(brief: Draft | Brief) -> str:
    if isinstance(brief, Brief):
        return brief.device
    return " or ".join(brief.boards) or _NOT_SAID


def _said(brief: Draft | Brief, entry: str, wording: str) -> str:
    value = getattr(brief, entry)
    if not value:
        return _NOT_SAID
    note = brief.notes.get(entry)
    return wording.format(value) + (f": {note}" if note else "")


def _latency(brief: Draft | Brief) -> str:
    if brief.max_latency_ms and brief.max_latency_ms < _NANOSECONDS_BELOW_MS:
        return f"at most {brief.max_latency_ms * 1e6:.6g} ns"
    return _said(brief, "max_latency_ms", "at most {:.6g} ms")


def _at_most(brief: Draft | Brief, entry: str) -> str:
    size: int = getattr(brief, entry) or 0
    if 0 < size < 1024:
        return _said(brief, entry, f"at most {size:,} byte{'s' if size > 1 else ''}")
    return _said(brief, entry, f"at most {size:,} bytes ({size / 1024:g} KB)")
