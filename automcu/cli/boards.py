"""`automcu boards`: what is plugged in, and the virtual boards that run."""

from typing import TYPE_CHECKING, Annotated

import typer

from automcu.cli.answer import Answer, Debug, Json, respond

if TYPE_CHECKING:
    from automcu.boards.records import FoundBoard


def boards(
    ask: Annotated[
        bool, typer.Option(help="Ask each chip what it is; without, USB ids alone tell.")
    ] = True,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the boards that are plugged in and the virtual ones that run."""
    respond(lambda: _boards(ask), json, debug)


def _boards(ask: bool) -> Answer:
    from rich import box
    from rich.table import Table

    from automcu.boards.discovery import find_boards

    found = find_boards(ask)
    document = {"boards": [board.model_dump(mode="json") for board in found]}
    if not found:
        return Answer(
            document,
            "No board is plugged in, and no virtual one runs. "
            "Start one with `automcu board run ID`; `automcu devices` lists the ids.",
        )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("port", "USB id", "board", "known by"):
        table.add_column(heading, overflow="fold")
    for board in found:
        table.add_row(board.url, board.usb_id or "virtual", _names(board), _evidence(board))
    return Answer(document, table)


def _names(board: "FoundBoard") -> str:
    return "\n".join(board.devices) or board.description or "not known"


def _evidence(board: "FoundBoard") -> str:
    if board.problem:
        return board.problem
    if board.known_by == "nothing":
        return "no answer" if board.devices else "USB id of no profile; not asked"
    return f"{board.known_by}: {board.chip}" if board.chip else board.known_by
