"""`automcu boards` and `automcu board run`: what is plugged in, and virtual boards."""

import contextlib
import time
from typing import Annotated

import typer

from automcu.boards.discovery import find_boards
from automcu.boards.records import FoundBoard
from automcu.boards.virtual import running_boards, virtual_board
from automcu.cli.answer import Answer, Debug, Json, respond, table, text
from automcu.cli.console import say, say_json
from automcu.errors import BoardError
from automcu.mcu import Device, find_device

board = typer.Typer(help="Virtual boards.", no_args_is_help=True, add_completion=False)

_LOOK_S = 0.5


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
    found = find_boards(ask)
    document = {"boards": [one.model_dump(mode="json") for one in found]}
    if not found:
        return Answer(
            document,
            "No board is plugged in, and no virtual one runs. "
            "Start one with `automcu board run ID`; `automcu devices` lists the ids.",
        )
    rows = ((one.url, one.usb_id or "virtual", _names(one), _evidence(one)) for one in found)
    headings = [text(heading) for heading in ("port", "USB id", "board", "known by")]
    return Answer(document, table(headings, rows, pad_edge=False))


def _names(found: FoundBoard) -> str:
    return "\n".join(found.devices) or found.description or "not known"


def _evidence(found: FoundBoard) -> str:
    if found.problem:
        return found.problem
    if found.known_by == "nothing":
        return "no answer" if found.devices else "USB id of no profile; not asked"
    return f"{found.known_by}: {found.chip}" if found.chip else found.known_by


@board.callback()
def _board() -> None:
    """Virtual boards that other programs can flash and measure."""


@board.command("run")
def run(
    devices: Annotated[list[str], typer.Argument(metavar="ID...", help="Boards to run.")],
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="TCP port of the first, the others follow; 0: any free one."
        ),
    ] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run virtual boards on rfc2217:// until Ctrl-C; every board command takes their URLs."""
    respond(lambda: _run(devices, port, json), json, debug)


def _run(names: list[str], first_port: int, as_json: bool) -> Answer:
    known = [find_device(name) for name in names]
    with contextlib.ExitStack() as stack:
        urls = [
            stack.enter_context(
                virtual_board(device, first_port + index if first_port else 0, "rfc2217")
            )
            for index, device in enumerate(known)
        ]
        _announce(known, urls, as_json)
        with contextlib.suppress(KeyboardInterrupt):
            _wait(urls)
    return Answer({"ended": urls}, "The virtual boards have ended.")


def _announce(known: list[Device], urls: list[str], as_json: bool) -> None:
    if as_json:
        started = [
            {"device": device.id, "url": url} for device, url in zip(known, urls, strict=True)
        ]
        say_json({"boards": started})
        return
    for device, url in zip(known, urls, strict=True):
        say(f"virtual {device.name}: {url}")
    say("Ctrl-C ends.", error=True)


def _wait(urls: list[str]) -> None:
    """Wait for Ctrl-C.

    Raises:
        BoardError: a board ended by itself.
    """
    while True:
        time.sleep(_LOOK_S)
        gone = set(urls) - {one.url for one in running_boards()}
        if gone:
            raise BoardError(f"The virtual board at {min(gone)} has ended. Start it again.")
