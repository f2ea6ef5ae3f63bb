"""What was understood, in rows for people."""

from collections.abc import Sequence

from automcu.brief.brief import Brief
from automcu.brief.draft import Draft, Problem

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
