"""`automcu bench --compare`: the results so far, and what changed from one to the next."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from automcu.cli.answer import Answer

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {
    "date": "date",
    "project": "project",
    "device": "device",
    "board": "board",
    "compiler": "compiler",
    "firmware_hash": "firmware",
}


def comparison(path: Path, project: Path) -> Answer:
    """Compare what the table in `path` holds; one that is not the project's own holds others too.

    Raises:
        WrongInputError: there is no such table.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from automcu.boards.records import compared, history

    runs = compared(history(path))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in _COLUMNS.values():
        table.add_column(heading, overflow="fold", no_wrap=heading == "device")
    for heading in ("median ms", "change", "accuracy %", "stack", "arena"):
        table.add_column(heading, justify="right")
    for _, run in runs.iterrows():
        table.add_row(
            *(_short(column, str(run[column])) for column in _COLUMNS),
            f"{run['latency_median_ms']:.3f}",
            _signed(run["latency_change_percent"], "%"),
            "–" if math.isnan(run["accuracy"]) else f"{100 * run['accuracy']:.2f}",
            f"{run['stack_bytes']:,}",
            f"{run['arena_bytes']:,}",
        )
    rows = json.loads(runs.to_json(orient="records"))
    return Answer({"table": str(path), "runs": rows}, Group(table, *_notes(runs)))


def _notes(runs: "pd.DataFrame") -> list[str]:
    """Say where the runs of one project are not one story, so that nobody compares them."""
    devices = {
        name: sorted(set(found)) for name, found in runs.groupby("project")["device"] if name
    }
    return [
        f"{name!s} ran on different devices ({', '.join(found)}): a change is that since the last "
        "run on the same device, board and source."
        for name, found in devices.items()
        if len(found) > 1
    ]


def _short(column: str, text: str) -> str:
    """A minute of a date, a compiler's name and version, the beginning of a hash."""
    if column == "date":
        return text[: len("2026-01-31T12:00")].replace("T", " ")
    if column == "compiler":
        return " ".join(text.split()[:2])
    return text[:8] if column == "firmware_hash" else text


def _signed(number: float, unit: str) -> str:
    return "–" if math.isnan(number) else f"{number:+.1f} {unit}"
